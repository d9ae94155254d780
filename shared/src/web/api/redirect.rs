//! The redirect URI: would Microsoft take it, and is Postroom reached there?

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};

use crate::web::Web;

use super::{caller::Caller, problem::Problem};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/api/v1/redirect-uri/check", post(check))
}

/// A step that failed is an answer, too.
async fn check(_caller: Caller, State(web): State<Web>) -> Result<Json<Value>, Problem> {
    let uri = web.redirect_uri();
    let step = web.checks.redirect(&uri).await?;
    Ok(Json(json!({"redirect_uri": uri, "ok": step.ok, "steps": [step]})))
}
