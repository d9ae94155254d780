//! Messages of an account: the list, newest first, and one record. The bytes are in the archive, where the record points.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    account::MailboxKey,
    message::MessageKey,
    ports::PageMark,
    records::{accounts::Accounts, json, messages::Messages},
    web::Web,
};

use super::{
    Paging,
    caller::Caller,
    listed,
    problem::{Asked, Problem},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/messages", get(list))
        .route("/api/v1/messages/{mailbox}/{key}", get(show))
}

#[derive(Debug, Deserialize)]
struct Of {
    account: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

async fn list(_caller: Caller, State(web): State<Web>, Asked(of): Asked<Of>) -> Result<Json<Value>, Problem> {
    let Some(account) = of.account.filter(|id| !id.is_empty()) else {
        return Err(Problem::field("account", "say whose messages: ?account=ID"));
    };
    let paging = Paging {
        limit: of.limit,
        after: of.after,
    };
    let mailbox = Accounts::new(Arc::clone(&web.ports.store)).get(&account).await?.mailbox;
    let messages = Messages::new(Arc::clone(&web.ports.store));
    let after: Option<PageMark> = paging.after();
    let shelf = messages.page(&mailbox, paging.limit()?, after).await?;
    // Accounts that share a mailbox share its list.
    let lines = shelf.records.iter().filter(|line| line.account == account);
    let lines = lines.map(|line| {
        let mut told = json(line);
        told["mailbox"] = json(&mailbox);
        told
    });
    Ok(listed(&lines.collect::<Vec<_>>(), shelf.next.as_ref()))
}

async fn show(
    _caller: Caller,
    State(web): State<Web>,
    Path((mailbox, key)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let messages = Messages::new(Arc::clone(&web.ports.store));
    let found = messages.get(&MailboxKey(mailbox), &MessageKey(key)).await?;
    let message = found.ok_or_else(|| Problem::new(404, "Not found", "there is no such message"))?;
    Ok(Json(json(&message)))
}
