//! Runs: what each did, newest first, by account.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use maud::html;

use crate::{
    import::report::Outcome,
    ports::PageMark,
    records::{accounts::Accounts, runs::Runs},
    web::{
        Web,
        page::{self, Place, instant},
        session::Session,
    },
};

use super::parts::{LINES, more};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/runs", get(list))
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Incomplete => "more to do",
        Outcome::Waiting => "waiting",
        Outcome::Busy => "another run was at it",
        Outcome::Failed => "failed",
    }
}

async fn list(
    State(web): State<Web>,
    Query(query): Query<HashMap<String, String>>,
    _session: Session,
) -> Result<Response, Response> {
    let trouble = |error: crate::records::RecordError| page::trouble(&error.to_string());
    let accounts = Accounts::new(Arc::clone(&web.ports.store))
        .all()
        .await
        .map_err(trouble)?;
    let wanted = query.get("account").map(String::as_str);
    let chosen = accounts
        .iter()
        .map(|row| row.account.id.as_str())
        .find(|id| wanted.is_none_or(|wanted| wanted == *id));
    let choice = html! {
        @if accounts.len() > 1 {
            p { "Account: " @for row in &accounts { a href={ "/runs?account=" (row.account.id) } aria-current=[(Some(row.account.id.as_str()) == chosen).then_some("true")] { (row.account.id) } " " } }
        }
    };
    let Some(account) = chosen else {
        let body = html! { (choice) p { "No account, no runs yet." } };
        return Ok(page::console(StatusCode::OK, Place::Runs, "Runs", &body));
    };
    let after = query.get("after").cloned().map(PageMark);
    let shelf = Runs::new(Arc::clone(&web.ports.store))
        .page(account, LINES, after)
        .await;
    let shelf = shelf.map_err(trouble)?;
    let body = html! {
        (choice)
        p.quiet { "Runs of " (account) " that did something, newest first. A run that finds nothing only moves the last success." }
        @if shelf.records.is_empty() { p { "None yet." } } @else {
            table.cards {
                thead { tr { th { "Started" } th { "Outcome" } th { "Imported" } th { "Owed" } th { "Requests" } th { "Problems" } } }
                tbody {
                    @for run in &shelf.records {
                        tr {
                            td data-name="Started" { (instant(run.started_at)) }
                            td data-name="Outcome" { (outcome(run.outcome)) }
                            td data-name="Imported" { (run.imported) }
                            td data-name="Owed" { (run.owed) }
                            td data-name="Requests" { (run.requests_total) }
                            td data-name="Problems" { @for problem in &run.problems { span { (problem.what) } " " } }
                        }
                    }
                }
            }
        }
        @if let Some(next) = &shelf.next { (more("/runs", &[("account", account), ("after", &next.0)])) }
    };
    Ok(page::console(StatusCode::OK, Place::Runs, "Runs", &body))
}
