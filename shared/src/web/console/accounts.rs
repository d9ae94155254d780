//! Accounts: the list, one account, what is done to it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use maud::html;

use crate::{
    account::{show_interval, show_size},
    manage::{Manage, ManageError},
    records::accounts::{AccountRow, Accounts},
    web::{
        Web,
        form::Posted,
        page::{self, Place, instant},
        session::{Operator, Session},
    },
};

use super::parts::{self, Wrong, ago, button, plural, state};

const PLACE: Place = Place::Accounts;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/accounts", get(list))
        .route("/accounts/{id}", get(show))
        .route("/accounts/{id}/check", post(check))
        .route("/accounts/{id}/import", post(import))
        .route("/accounts/{id}/pause", post(pause))
        .route("/accounts/{id}/resume", post(resume))
        .route("/accounts/{id}/remove", get(ask).post(remove))
}

async fn find(web: &Web, id: &str) -> Result<AccountRow, Response> {
    let found = Accounts::new(Arc::clone(&web.ports.store)).get(id).await;
    found.map_err(|error| page::record_trouble(PLACE, &error))
}

async fn list(State(web): State<Web>, session: Session) -> Result<Response, Response> {
    let rows = Accounts::new(Arc::clone(&web.ports.store)).all().await;
    let rows = rows.map_err(|error| page::trouble(&error.to_string()))?;
    let now = web.ports.clock.now();
    let body = html! {
        @if session.operates() { div.bar { a.button.main href="/accounts/new" { "+ New account" } } }
        @if rows.is_empty() {
            p { "No accounts yet. An account is a mailbox to import, with the credential applied on it." }
        } @else {
            table.cards {
                thead { tr { th { "Id" } th { "Mailbox" } th { "State" } th { "Last success" } th { "Messages" } th { "Owed" } th { "Set aside" } } }
                tbody {
                    @for row in &rows {
                        tr {
                            td data-name="Id" { a href={ "/accounts/" (row.account.id) } { (row.account.id) } }
                            td data-name="Mailbox" { (row.account.mailbox.as_str()) }
                            td data-name="State" { (state(row, now)) }
                            td data-name="Last success" { @match row.last_success { Some(at) => { (ago(at, now)) } None => { "never" } } }
                            td data-name="Messages" { (row.recorded) }
                            td data-name="Owed" { (row.owed) }
                            td data-name="Set aside" { (row.quarantined) }
                        }
                    }
                }
            }
        }
    };
    Ok(page::console(StatusCode::OK, PLACE, "Accounts", &body))
}

async fn show(State(web): State<Web>, Path(id): Path<String>, session: Session) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let account = &row.account;
    let now = web.ports.clock.now();
    let path = format!("/accounts/{}", account.id);
    let folders: Vec<String> = account.folders.iter().map(ToString::to_string).collect();
    let body = html! {
        p { (state(&row, now)) }
        @if let Some(silence) = row.silent_for(now) {
            p.problem { "No success for " (plural(silence.as_secs() / 60, "minute")) ": nobody imports this mailbox." }
        }
        @if let Some(problem) = row.last_run.as_ref().and_then(|run| run.problem.as_ref()) { p.problem { (page::words(problem)) } }
        div.bar {
            (button(&session, &format!("{path}/import"), "Import now", "main"))
            (button(&session, &format!("{path}/check"), "Check", ""))
            @if account.enabled { (button(&session, &format!("{path}/pause"), "Pause", "")) }
            @else { (button(&session, &format!("{path}/resume"), "Resume", "")) }
            a.button href={ "/messages?account=" (account.id) } { "Messages" }
            a.button href={ "/runs?account=" (account.id) } { "Runs" }
            @if session.operates() { a.button.danger href={ (path) "/remove" } { "Remove" } }
        }
        dl {
            dt { "Mailbox" } dd { (account.mailbox.as_str()) }
            dt { "Description" } dd { (account.description) }
            dt { "Credential" } dd { a href={ "/credentials/" (account.credential) } { (account.credential) } }
            dt { "Folders" } dd { (folders.join(", ")) @if account.subfolders { ", with subfolders" } }
            dt { "Start" } dd { (account.start) }
            dt { "After import" } dd { (account.after_import) }
            dt { "Largest message" } dd { (show_size(account.max_message)) }
            dt { "Every" } dd { (show_interval(account.every)) @if !account.enabled { ", paused" } }
            dt { "Last run" } dd { @match &row.last_run { Some(run) => { (ago(run.at, now)) } None => { "never" } } }
            dt { "Last success" } dd { @match row.last_success { Some(at) => { (ago(at, now)) } None => { "never" } } }
            @if let Some(at) = row.asked_at { dt { "Asked to import" } dd { (ago(at, now)) } }
            @if let Some(until) = row.paused_until.filter(|until| *until > now) { dt { "Waits for Microsoft until" } dd { (instant(until)) } }
            dt { "Messages" } dd { (row.recorded) }
            dt { "Owed" } dd { a href={ "/owed?account=" (account.id) } { (row.owed) " owed, " (row.quarantined) " set aside" } }
            dt { "Actions still wanted" } dd { (row.actions) }
            dt { "Events not sent" } dd { (row.unsent()) }
        }
    };
    Ok(page::console(StatusCode::OK, PLACE, account.id.as_str(), &body))
}

fn done(id: &str, result: Result<(), ManageError>) -> Result<Response, Response> {
    match result {
        Ok(()) => Ok(Redirect::to(&format!("/accounts/{id}")).into_response()),
        Err(error) => {
            let wrong = Wrong::of(&error)?;
            let body = html! { (wrong.summary()) p { a href={ "/accounts/" (id) } { "Back" } } };
            Ok(page::console(StatusCode::CONFLICT, PLACE, "Not done", &body))
        }
    }
}

fn manage(web: &Web, posted: &Posted) -> Manage {
    Manage::new(&web.ports, &web.trusted, &posted.session.by())
}

async fn import(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let id = row.account.id.as_str();
    done(id, manage(&web, &posted).ask_for_run(id).await)
}

/// Tries credential, token, mailbox and folders; the one page that asks Microsoft, because somebody pressed for it.
async fn check(State(web): State<Web>, Path(id): Path<String>, _posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let id = row.account.id.as_str();
    let steps = web.checks.account(id).await;
    let steps = steps.map_err(|error| page::trouble(&error.to_string()))?;
    let good = steps.iter().all(|step| step.ok);
    let now = web.ports.clock.now();
    let body = html! {
        @if good { p.good { "Everything works." } } @else { p.problem { "Mend the step that failed, then check again." } }
        (parts::steps(&format!("Check of account {id}, {now:.0}"), &steps))
        p { a href={ "/accounts/" (id) } { "Back" } }
    };
    Ok(page::console(StatusCode::OK, PLACE, &format!("Check of {id}"), &body))
}

async fn pause(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    done(
        row.account.id.as_str(),
        manage(&web, &posted).switch_account(&row, false).await,
    )
}

async fn resume(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    done(
        row.account.id.as_str(),
        manage(&web, &posted).switch_account(&row, true).await,
    )
}

async fn ask(
    State(web): State<Web>,
    Path(id): Path<String>,
    Operator(session): Operator,
) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let path = format!("/accounts/{}", row.account.id);
    Ok(parts::confirm(
        &session,
        PLACE,
        &format!("Remove account {}?", row.account.id),
        &format!(
            "Settings, progress and schedule go. Its records, archive and events stay. Still open: {} owed, {} set aside, {} not delivered.",
            row.owed,
            row.quarantined,
            plural(row.unsent(), "event")
        ),
        &format!("{path}/remove"),
        &path,
    ))
}

async fn remove(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let id = row.account.id.as_str();
    match manage(&web, &posted).remove_account(&row, "").await {
        Ok(()) => Ok(Redirect::to("/accounts").into_response()),
        failed => done(id, failed),
    }
}
