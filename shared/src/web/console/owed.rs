//! Owed: what was seen and is not imported, why, and when it is tried again.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use maud::html;

use crate::{
    import::debt::{Verb, admin},
    manage::Manage,
    message::MessageKey,
    ports::PageMark,
    records::{RecordError, accounts::Accounts, debts::Debts},
    web::{
        Web,
        form::Posted,
        page::{self, Place, instant},
        session::Session,
    },
};

use super::parts::{LINES, button, more};

const PLACE: Place = Place::Owed;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/owed", get(list))
        .route("/owed/{account}/{key}/retry", post(retry))
}

async fn list(
    State(web): State<Web>,
    Query(query): Query<HashMap<String, String>>,
    session: Session,
) -> Result<Response, Response> {
    let trouble = |error: RecordError| page::trouble(&error.to_string());
    let accounts = Accounts::new(Arc::clone(&web.ports.store))
        .all()
        .await
        .map_err(trouble)?;
    let owing: Vec<&str> = accounts
        .iter()
        .filter(|row| row.owed > 0 || row.quarantined > 0)
        .map(|row| row.account.id.as_str())
        .collect();
    let wanted = query.get("account").map(String::as_str);
    let chosen = owing
        .iter()
        .find(|id| wanted.is_none_or(|wanted| wanted == **id))
        .copied();
    let Some(account) = chosen else {
        let body = html! { p.good { "Nothing is owed: every message that was seen is on record." } };
        return Ok(page::console(StatusCode::OK, PLACE, "Owed", &body));
    };
    let after = query.get("after").cloned().map(PageMark);
    let shelf = Debts::new(Arc::clone(&web.ports.store))
        .page(account, LINES, after)
        .await;
    let shelf = shelf.map_err(trouble)?;
    let body = html! {
        p { "Accounts that owe: " @for id in &owing { a href={ "/owed?account=" (id) } aria-current=[(*id == account).then_some("true")] { (id) } " " } }
        table.cards {
            thead { tr { th { "Message" } th { "Reason" } th { "Attempts" } th { "Next try" } th { "" } } }
            tbody {
                @for debt in &shelf.records {
                    tr {
                        td data-name="Message" { (debt.envelope.subject.as_deref().unwrap_or("(no subject)")) }
                        td data-name="Reason" { (debt.reason) }
                        td data-name="Attempts" { (debt.attempts) }
                        td data-name="Next try" { @match debt.next_try { Some(at) if !debt.quarantined => { (instant(at)) } _ => { "set aside" } } }
                        td data-name="" { (button(&session, &format!("/owed/{account}/{}/retry", debt.key), "Try again", "")) }
                    }
                }
            }
        }
        @if let Some(next) = &shelf.next { (more("/owed", &[("account", account), ("after", &next.0)])) }
    };
    Ok(page::console(StatusCode::OK, PLACE, "Owed", &body))
}

async fn retry(
    State(web): State<Web>,
    Path((account, key)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Response> {
    let debt = admin(&web.ports, &account, &MessageKey(key), Verb::Retry).await;
    let debt = debt.map_err(|error| page::record_trouble(PLACE, &error))?;
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    let noted = manage
        .note(&format!("retry of account `{account}`: {}", debt.key))
        .await;
    noted.map_err(|error| page::trouble(&error.to_string()))?;
    let asked = manage.ask_for_run(&account).await;
    asked.map_err(|error| page::trouble(&error.to_string()))?;
    Ok(Redirect::to("/owed").into_response())
}
