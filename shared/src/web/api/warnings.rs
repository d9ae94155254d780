//! What somebody must act on, credential by credential, from the records alone.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    reach,
    records::credentials::{CredentialRow, Credentials},
    warning,
    web::Web,
};

use super::{
    Paging,
    caller::Caller,
    listed,
    problem::{Asked, Problem},
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/api/v1/warnings", get(list))
}

/// Of one credential, the most urgent first.
fn of(row: &CredentialRow, now: Timestamp) -> Vec<Value> {
    let id = &row.credential.id;
    let mut found = Vec::new();
    if row.needs_sign_in || row.problem.is_some() {
        let text = row.problem.as_deref().unwrap_or("somebody must sign in");
        found.push(json!({"credential": id, "kind": "problem", "needs_sign_in": row.needs_sign_in, "text": text}));
    }
    for warning in warning::of(row, now) {
        let mut told = json!(warning);
        told["kind"] = "ending".into();
        found.push(told);
    }
    if let Some(text) = reach::warning(row) {
        found.push(json!({"credential": id, "kind": "reach", "text": text}));
    }
    found
}

/// A page is so many credentials; most have nothing to tell.
async fn list(_caller: Caller, State(web): State<Web>, Asked(paging): Asked<Paging>) -> Result<Json<Value>, Problem> {
    let credentials = Credentials::new(Arc::clone(&web.ports.store));
    let shelf = credentials.page(paging.limit()?, paging.after()).await?;
    let now = web.ports.clock.now();
    let found: Vec<Value> = shelf.records.iter().flat_map(|row| of(row, now)).collect();
    Ok(listed(&found, shelf.next.as_ref()))
}
