//! The key: sends a browser to Microsoft's login, or asks for a token at once.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use maud::{Markup, html};

use crate::{
    credential::GrantType,
    oauth::{AuthorizationFlow, Begin},
    ports::TokenNeed,
    records::{
        RecordError,
        accounts::Accounts,
        audit::Audit,
        authorizations::Errand,
        credentials::{CredentialRow, Credentials},
        sessions::Sessions,
    },
    secret::Secret,
};

use super::{Web, cookie, form::Posted, page, page::Place, session::Session};

/// How long a flow's cookie stays with the browser, in seconds: as long as its record may be consumed.
pub(super) const FLOW_SECONDS: u32 = 600;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/credentials/{id}/authorize", post(key))
        .route("/credentials/{id}/consent", post(consent))
}

/// Accounts that use a credential and the mailboxes they read.
pub(super) async fn reads(web: &Web, row: &CredentialRow) -> Result<Vec<(String, String)>, RecordError> {
    let accounts = Accounts::new(Arc::clone(&web.ports.store)).all().await?;
    Ok(accounts
        .iter()
        .filter(|account| account.account.credential == row.credential.id)
        .map(|account| {
            let account = &account.account;
            (account.id.to_string(), account.mailbox.as_str().to_owned())
        })
        .collect())
}

/// Who is bound now, and which mailboxes they open: said before anybody clicks.
pub(super) fn who(row: &CredentialRow, reads: &[(String, String)]) -> Markup {
    html! {
        p {
            @match &row.sign_in {
                Some(sign_in) => { "Signed in as " strong { (sign_in.who()) } ". Only this person can sign in again." }
                None => { "Nobody has signed in yet: whoever signs in first is the one." }
            }
        }
        @if reads.is_empty() {
            p { "No account uses this credential yet." }
        } @else {
            p { "Will read:" }
            ul {
                @for (account, mailbox) in reads {
                    li {
                        @match (mailbox.as_str(), &row.sign_in) {
                            ("me", Some(sign_in)) => { "the mailbox of " (sign_in.who()) }
                            ("me", None) => { "the mailbox of whoever signs in" }
                            _ => { (mailbox) }
                        }
                        " (account " code { (account) } ")"
                    }
                }
            }
        }
    }
}

/// What a sign-in was begun from.
pub(super) enum Beginner {
    /// A session of the console, by its key.
    Session(String),
    /// A one-time link, by its token.
    Launch(Secret),
}

/// Begins, and sends the browser to Microsoft with the flow's cookie.
pub(super) async fn send_on(web: &Web, row: &CredentialRow, errand: Errand, rebind: bool, by: Beginner) -> Response {
    let (session, launch) = match by {
        Beginner::Session(key) => (Some(key), None),
        Beginner::Launch(token) => (None, Some(token)),
    };
    let flow = AuthorizationFlow::new(web.ports.clone());
    let begin = Begin {
        credential: &row.credential,
        errand,
        redirect_uri: web.redirect_uri(),
        rebind,
        session,
        claims: row.claims.as_deref(),
    };
    match flow.begin(begin).await {
        Ok(begun) => {
            if let Some(token) = launch {
                let sessions = Sessions::new(Arc::clone(&web.ports.store));
                if let Err(error) = sessions.began(&token, &begun.key).await {
                    return page::trouble(&error.to_string());
                }
            }
            let mut response = Redirect::to(begun.location.as_str()).into_response();
            let name = cookie::flow_name(web, &begun.key);
            cookie::set(web, response.headers_mut(), &name, &begun.cookie, FLOW_SECONDS);
            response
        }
        Err(error) => page::trouble(&error.to_string()),
    }
}

async fn find(web: &Web, id: &str) -> Result<CredentialRow, Response> {
    let found = Credentials::new(Arc::clone(&web.ports.store)).get(id).await;
    found.map_err(|error| page::record_trouble(Place::Credentials, &error))
}

async fn note(web: &Web, session: &Session, what: &str) -> Result<(), Response> {
    let audit = Audit::new(Arc::clone(&web.ports.store), Arc::clone(&web.ports.rng));
    let noted = audit.note(web.ports.clock.now(), &session.by(), what).await;
    noted.map_err(|error| page::trouble(&error.to_string()))
}

async fn key(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let credential = &row.credential;
    let rebind = posted.fields.ticked("rebind");
    let allowed = if rebind { ", another person may take over" } else { "" };
    note(
        &web,
        &posted.session,
        &format!("clicked the key of credential `{}`{allowed}", credential.id),
    )
    .await?;
    if credential.grant_type == GrantType::AuthorizationCode {
        return Ok(send_on(
            &web,
            &row,
            Errand::SignIn,
            rebind,
            Beginner::Session(posted.session.key),
        )
        .await);
    }
    let back = html! { p { a href={ "/credentials/" (credential.id) } { "To the credential" } } };
    Ok(
        match web.tokens.access_token(credential.id.as_str(), TokenNeed::New).await {
            Ok(token) => {
                let all: Vec<&str> = token.roles.iter().map(String::as_str).collect();
                let body = html! {
                    p { "Microsoft gave an access token for " strong { (credential.id) } ", good until " (page::instant(token.expires_at)) ". It is renewed by itself." }
                    @if all.is_empty() {
                        p.warning { "It carries no permission. Azure portal, App registrations, your app, API permissions: add Mail.ReadWrite (Application) and press Grant admin consent. Permissions given by Exchange RBAC for Applications do not show in a token." }
                    } @else {
                        p { "Permissions: " (all.join(", ")) }
                    }
                    (back)
                };
                page::console(StatusCode::OK, Place::Credentials, "Access token", &body)
            }
            Err(error) => {
                let body = html! {
                    p.problem { (page::words(&error.what)) }
                    @if let Some(trace) = &error.trace { p.quiet { "For Microsoft's support: " (trace) } }
                    (back)
                };
                let status = StatusCode::from_u16(error.next().meaning().http_status);
                let status = status.unwrap_or(StatusCode::CONFLICT);
                page::console(status, Place::Credentials, "No access token", &body)
            }
        },
    )
}

async fn consent(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    note(
        &web,
        &posted.session,
        &format!("asked for admin consent for credential `{}`", row.credential.id),
    )
    .await?;
    Ok(send_on(
        &web,
        &row,
        Errand::AdminConsent,
        false,
        Beginner::Session(posted.session.key),
    )
    .await)
}
