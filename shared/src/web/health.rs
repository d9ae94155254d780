//! `/healthz`: for monitors. It needs no session, names no mailbox and depends on no error path.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    records::{RecordError, accounts::Accounts},
    time::between,
};

use super::Web;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/healthz", get(health))
}

async fn health(State(web): State<Web>) -> Response {
    match told(&web).await {
        Ok((ok, told)) => {
            let status = if ok {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (status, Json(told)).into_response()
        }
        Err(problem) => {
            let told = json!({"ok": false, "problem": problem.to_string()});
            (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
        }
    }
}

/// Whether no account is silent, and how each is.
pub(super) async fn told(web: &Web) -> Result<(bool, Value), RecordError> {
    let now = web.ports.clock.now();
    let rows = Accounts::new(Arc::clone(&web.ports.store)).all().await?;
    let ok = rows.iter().all(|row| row.silent_for(now).is_none());
    let accounts: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.account.id,
                "enabled": row.account.enabled,
                "silent": row.silent_for(now).is_some(),
                "last_success": row.last_success,
                "seconds_since_success": row.last_success.map(|at| between(at, now).as_secs()),
                "owed": row.owed,
                "quarantined": row.quarantined,
                "undelivered": row.unsent(),
            })
        })
        .collect();
    Ok((ok, json!({"ok": ok, "accounts": accounts})))
}
