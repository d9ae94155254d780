//! Health: who is silent, who waits for whom, and what admins did last.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use maud::html;

use crate::{
    records::{RecordError, accounts::Accounts, apps::Apps, audit::Audit, credentials::Credentials},
    web::{
        Web,
        page::{self, Place, instant, words},
        session::Session,
    },
};

use super::parts::{ago, anybodys_button, banner, state};

/// Acts shown.
const ACTS: usize = 20;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/health", get(health))
}

async fn health(State(web): State<Web>, session: Session) -> Result<Response, Response> {
    let trouble = |error: RecordError| page::trouble(&error.to_string());
    let store = &web.ports.store;
    let now = web.ports.clock.now();
    let mut rows = Accounts::new(Arc::clone(store)).all().await.map_err(trouble)?;
    // The silent first, longest silence before all.
    rows.sort_by_key(|row| (row.silent_for(now).is_none(), row.last_success));
    let apps = Apps::new(Arc::clone(store)).all().await.map_err(trouble)?;
    let credentials = Credentials::new(Arc::clone(store)).all().await.map_err(trouble)?;
    let waiting: Vec<_> = credentials
        .iter()
        .filter(|row| row.needs_sign_in || row.problem.is_some())
        .collect();
    let silent = rows.iter().filter(|row| row.silent_for(now).is_some()).count();
    let audit = Audit::new(Arc::clone(store), Arc::clone(&web.ports.rng));
    let acts = audit.page(ACTS, None).await.map_err(trouble)?;
    let body = html! {
        @if silent == 0 && apps.is_empty() && waiting.is_empty() && credentials.iter().all(|row| crate::warning::of(row, now).is_empty() && crate::reach::warning(row).is_none()) { p.good { "All is well: nobody is silent, nobody has to act." } }
        (banner(&credentials, now))
        @if silent > 0 { p.problem { (silent) " of " (rows.len()) " accounts had no success for three of their intervals." } }
        @for app in &apps { p.problem { "Microsoft refuses the app " code { (app.client_id) } " since " (instant(app.opened_at)) ": " (words(&app.problem)) } }
        @for row in &waiting {
            p.problem { a href={ "/credentials/" (row.credential.id) } { (row.credential.id) } ": " (words(row.problem.as_deref().unwrap_or("somebody must sign in"))) }
        }
        h2 { "Accounts" }
        @if rows.is_empty() { p { "None yet." } } @else {
            table.cards {
                thead { tr { th { "Account" } th { "State" } th { "Last success" } th { "Owed" } th { "Not sent" } } }
                tbody {
                    @for row in &rows {
                        tr {
                            td data-name="Account" { a href={ "/accounts/" (row.account.id) } { (row.account.id) } }
                            td data-name="State" { (state(row, now)) }
                            td data-name="Last success" { @match row.last_success { Some(at) => { (ago(at, now)) } None => { "never" } } }
                            td data-name="Owed" { (row.owed) " owed, " (row.quarantined) " set aside" }
                            td data-name="Not sent" { (row.unsent()) }
                        }
                    }
                }
            }
        }
        h2 { "What admins did last" }
        table.cards {
            thead { tr { th { "When" } th { "Through" } th { "What" } } }
            tbody { @for act in &acts.records { tr { td data-name="When" { (instant(act.at)) } td data-name="Through" { (act.by) } td data-name="What" { (words(&act.what)) } } } }
        }
        p { a href="/errors" { "What Microsoft's error codes mean" } }
        p.quiet { "For monitors: " code { "/healthz" } " answers 503 as soon as an account is silent." }
        @if let Some(who) = session.who() { p { "Signed in as " strong #me { (who) } "." } }
        (anybodys_button(&session, "/sign-out", "Sign out of the console", ""))
    };
    Ok(page::console(StatusCode::OK, Place::Health, "Health", &body))
}
