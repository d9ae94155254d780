//! `/healthz`: for monitors. It needs no session, names no mailbox and depends on no error path. On AWS anybody can ask: they are
//! told yes or no, and the table is not asked more than twice a minute for them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    records::{RecordError, accounts::Accounts},
    time::between,
};

use super::Web;

/// So long the last answer is good for strangers.
const REMEMBERED: Duration = Duration::from_secs(30);

type Memory = Arc<Mutex<Option<(Timestamp, bool)>>>;

pub(super) fn routes() -> Router<Web> {
    let memory = Memory::default();
    let health = async move |State(web): State<Web>| {
        if web.one_time_links {
            here(&web).await
        } else {
            anywhere(&web, &memory).await
        }
    };
    Router::new().route("/healthz", get(health))
}

/// For whoever may be anybody: how an account is called, and what a store says of itself, is not theirs.
async fn anywhere(web: &Web, memory: &Memory) -> Response {
    let now = web.ports.clock.now();
    let last = *memory.lock().unwrap_or_else(PoisonError::into_inner);
    let ok = match last {
        Some((at, ok)) if between(at, now) < REMEMBERED => ok,
        _ => {
            let ok = match told(web).await {
                Ok((ok, _)) => ok,
                Err(problem) => {
                    tracing::warn!(%problem, "the health of the accounts cannot be told");
                    false
                }
            };
            *memory.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, ok));
            ok
        }
    };
    (status(ok), Json(json!({"ok": ok}))).into_response()
}

fn status(ok: bool) -> StatusCode {
    if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// On one machine.
async fn here(web: &Web) -> Response {
    match told(web).await {
        Ok((ok, told)) => (status(ok), Json(told)).into_response(),
        Err(problem) => {
            let told = json!({"ok": false, "problem": problem.to_string()});
            (status(false), Json(told)).into_response()
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
