//! Accounts: listed, read, made, changed, paused, removed, asked to import.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    manage::{AccountChanges, AccountForm, Manage, shown},
    records::accounts::{AccountRow, Accounts},
    web::Web,
};

use super::{
    Paging,
    caller::Caller,
    listed,
    problem::{Asked, Body, Problem},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/accounts", get(list).post(add))
        .route("/api/v1/accounts/{id}", get(show).patch(edit).delete(remove))
        .route("/api/v1/accounts/{id}/pause", post(pause))
        .route("/api/v1/accounts/{id}/resume", post(resume))
        .route("/api/v1/accounts/{id}/import", post(import))
        .route("/api/v1/accounts/{id}/check", post(check))
}

/// A new account as sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    id: String,
    #[serde(default)]
    description: String,
    mailbox: String,
    credential: String,
    #[serde(default)]
    folders: Vec<String>,
    #[serde(default)]
    subfolders: bool,
    #[serde(default = "from_now_on")]
    start: String,
    after_import: Option<String>,
    every: Option<String>,
    max_message: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

fn from_now_on() -> String {
    "now".to_owned()
}

fn yes() -> bool {
    true
}

fn manage(web: &Web, caller: &Caller) -> Manage {
    Manage::new(&web.ports, &web.trusted, &caller.by())
}

async fn find(web: &Web, id: &str) -> Result<AccountRow, Problem> {
    Ok(Accounts::new(Arc::clone(&web.ports.store)).get(id).await?)
}

async fn told(web: &Web, id: &str) -> Result<Json<Value>, Problem> {
    Ok(Json(shown::account(&find(web, id).await?)))
}

async fn list(_caller: Caller, State(web): State<Web>, Asked(paging): Asked<Paging>) -> Result<Json<Value>, Problem> {
    let accounts = Accounts::new(Arc::clone(&web.ports.store));
    let shelf = accounts.page(paging.limit()?, paging.after()).await?;
    let items: Vec<Value> = shelf.records.iter().map(shown::account).collect();
    Ok(listed(&items, shelf.next.as_ref()))
}

async fn show(_caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    told(&web, &id).await
}

async fn add(
    caller: Caller,
    State(web): State<Web>,
    Body(sent): Body<Sent>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let form = AccountForm {
        id: sent.id,
        description: sent.description,
        mailbox: sent.mailbox,
        credential: sent.credential,
        folders: sent.folders,
        subfolders: sent.subfolders,
        start: sent.start,
        after_import: sent.after_import,
        every: sent.every,
        max_message: sent.max_message,
        enabled: sent.enabled,
    };
    let row = manage(&web, &caller).add_account(&form).await?;
    Ok((StatusCode::CREATED, Json(shown::account(&row))))
}

async fn edit(
    caller: Caller,
    State(web): State<Web>,
    Path(id): Path<String>,
    Body(changes): Body<AccountChanges>,
) -> Result<Json<Value>, Problem> {
    let row = find(&web, &id).await?;
    manage(&web, &caller).edit_account(&row, &changes).await?;
    told(&web, &id).await
}

async fn pause(caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    manage(&web, &caller)
        .switch_account(&find(&web, &id).await?, false)
        .await?;
    told(&web, &id).await
}

async fn resume(caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    manage(&web, &caller)
        .switch_account(&find(&web, &id).await?, true)
        .await?;
    told(&web, &id).await
}

/// As soon as there is a place; on AWS within a minute.
async fn import(
    caller: Caller,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    find(&web, &id).await?;
    manage(&web, &caller).ask_for_run(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"account": id, "asked": true}))))
}

/// The steps of `account check`; one that failed is an answer, too.
async fn check(_caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    find(&web, &id).await?;
    let steps = web.checks.account(&id).await?;
    let good = steps.iter().all(|step| step.ok);
    Ok(Json(json!({"account": id, "ok": good, "steps": steps})))
}

#[derive(Debug, Deserialize)]
struct Confirmed {
    confirm: Option<String>,
}

/// Settings, progress and schedule go; records, archive and events stay. It must be said twice which account is meant.
async fn remove(
    caller: Caller,
    State(web): State<Web>,
    Path(id): Path<String>,
    Asked(said): Asked<Confirmed>,
) -> Result<StatusCode, Problem> {
    let row = find(&web, &id).await?;
    if said.confirm.as_deref() != Some(row.account.id.as_str()) {
        return Err(Problem::field(
            "confirm",
            "to remove the account, say its id in the query: ?confirm=ID",
        ));
    }
    manage(&web, &caller).remove_account(&row, "").await?;
    Ok(StatusCode::NO_CONTENT)
}
