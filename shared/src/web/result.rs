//! The result page: how a sign-in ended, for the browser it belongs to, as often as it is looked at.

use axum::{
    Router,
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use maud::html;

use crate::{
    oauth::{AuthorizationFlow, sha256_hex},
    records::{
        authorizations::{AuthorizationRow, Ending},
        credentials::Credentials,
    },
    secret::Secret,
    time::between,
};

use super::{Web, authorize, cookie, page, session::Session};

/// After this long nobody is at it any more.
const AT_WORK: std::time::Duration = std::time::Duration::from_secs(90);

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/authorizations/{key}", get(show))
}

/// Whether a flow's cookie is the one its record was made with. Hashes are compared; neither is a secret.
pub(super) fn belongs(row: &AuthorizationRow, cookie: &Secret) -> bool {
    row.cookie == sha256_hex(cookie.expose())
}

fn not_yours() -> Response {
    let body = html! { p { "This page is shown only to the browser that signed in, for ten minutes, or in the console." } p { a href="/" { "To the console" } } };
    page::plain(StatusCode::NOT_FOUND, "Nothing to show", &body)
}

async fn show(State(web): State<Web>, Path(key): Path<String>, request: Request) -> Result<Response, Response> {
    if key.len() != 64 || !key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(not_yours());
    }
    let (parts, _) = request.into_parts();
    let session = Session::of(&parts, &web).await?;
    let row = AuthorizationFlow::new(web.ports.clone()).shelf().get(&key).await;
    let Some(row) = row.map_err(|error| page::trouble(&error.to_string()))? else {
        return Ok(not_yours());
    };
    let cookie = cookie::read(&parts.headers, &cookie::flow_name(&web, &key));
    if session.is_none() && !cookie.is_some_and(|cookie| belongs(&row, &cookie)) {
        return Ok(not_yours());
    }
    let next = html! {
        p.next {
            @if let Some(session) = &session {
                a.button href={ "/credentials/" (row.pending.credential) } { "To the credential" }
                @if session.operates() { a.button href="/accounts/new" { "Add an account" } }
            } @else {
                "You may close this page. The command line tells the same."
            }
        }
    };
    match (&row.ending, row.consumed_at) {
        (Some(ending), _) => ended(&web, &row, ending, &next).await,
        (None, Some(at)) if between(at, web.ports.clock.now()) < AT_WORK => Ok(page::waiting(
            "Signing in",
            &html! { p { "Microsoft is being asked. This page looks again by itself." } },
        )),
        (None, Some(_)) => Ok(page::plain(
            StatusCode::OK,
            "The end is not known",
            &html! {
                p { "Postroom was stopped while it finished this sign-in. Look at the credential: if it is not signed in, click the key again. Nothing is half done." }
                (next)
            },
        )),
        (None, None) => Ok(page::plain(
            StatusCode::OK,
            "Not finished",
            &html! { p { "Microsoft has not sent the browser back yet." } (next) },
        )),
    }
}

async fn ended(web: &Web, row: &AuthorizationRow, ending: &Ending, next: &maud::Markup) -> Result<Response, Response> {
    let credentials = Credentials::new(std::sync::Arc::clone(&web.ports.store));
    let reads = match credentials.get(row.pending.credential.as_str()).await {
        Ok(credential) => authorize::reads(web, &credential).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let body = html! {
        p.problem[!ending.ok].good[ending.ok] #outcome { (page::words(&ending.what)) "." }
        @if let Some(trace) = &ending.trace { p.quiet { "For Microsoft's support: " (trace) } }
        @if let Some(who) = &ending.who {
            dl {
                dt { "Signed in as" } dd #who { (who) }
                dt { "Will read" }
                dd {
                    @if reads.is_empty() { "nothing yet: no account uses this credential" }
                    @for (account, mailbox) in &reads {
                        @if mailbox == "me" { "the mailbox of " (who) } @else { (mailbox) }
                        " (account " code { (account) } ") "
                    }
                }
                dt { "Granted" } dd { (ending.granted.join(", ")) }
                @if !ending.extra.is_empty() { dt { "Granted before, not asked for now" } dd { (ending.extra.join(", ")) } }
            }
        }
        @for warning in &ending.warnings { p.warning { (page::words(warning)) "." } }
        (next)
    };
    let title = match (ending.ok, &ending.who) {
        (true, Some(_)) => "Signed in",
        (true, None) => "Consented",
        (false, _) => "Not signed in",
    };
    Ok(page::plain(StatusCode::OK, title, &body))
}
