//! `/healthz`: for monitors. It needs no session, names no mailbox and depends on no error path.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;

use crate::{records::accounts::Accounts, time::between};

use super::Web;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/healthz", get(health))
}

async fn health(State(web): State<Web>) -> Response {
    let now = web.ports.clock.now();
    let rows = match Accounts::new(Arc::clone(&web.ports.store)).all().await {
        Ok(rows) => rows,
        Err(problem) => {
            let value = json!({"ok": false, "problem": problem.to_string()});
            return (StatusCode::SERVICE_UNAVAILABLE, Json(value)).into_response();
        }
    };
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
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({"ok": ok, "accounts": accounts}))).into_response()
}
