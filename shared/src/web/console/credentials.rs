//! Credentials: the list with its keys, one credential, its removal.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};

use crate::{
    credential::GrantType,
    manage::Manage,
    oauth::entra_origin,
    records::credentials::{CredentialRow, Credentials},
    web::{
        Web, authorize,
        form::Posted,
        guard::FormTargets,
        page::{self, Place, instant},
        session::{Operator, Session},
    },
};

use super::{
    parts::{self, Wrong, button, credential_state, csrf},
    reach,
};

const PLACE: Place = Place::Credentials;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/credentials", get(list))
        .route("/credentials/{id}", get(show))
        .route("/credentials/{id}/remove", get(ask).post(remove))
}

/// A page with keys: its forms may lead to these login hosts.
fn with_keys<'a>(mut response: Response, rows: impl Iterator<Item = &'a CredentialRow>) -> Response {
    let mut targets: Vec<_> = rows.filter_map(|row| entra_origin(&row.credential)).collect();
    targets.sort_by_key(ToString::to_string);
    targets.dedup();
    response.extensions_mut().insert(FormTargets(targets));
    response
}

pub(super) async fn find(web: &Web, id: &str) -> Result<CredentialRow, Response> {
    let found = Credentials::new(Arc::clone(&web.ports.store)).get(id).await;
    found.map_err(|error| page::record_trouble(PLACE, &error))
}

/// A key, drawn: fonts with a sign for it are not everywhere.
fn icon() -> Markup {
    html! {
        svg.icon viewBox="0 0 20 20" aria-hidden="true" {
            path d="M7 3a5 5 0 1 0 4.6 7H14v2h2v2h3v-4.5L11.9 7A5 5 0 0 0 7 3zm-1 3.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z" {}
        }
    }
}

fn key(session: &Session, row: &CredentialRow) -> Markup {
    let id = &row.credential.id;
    let text = match row.credential.grant_type {
        GrantType::ClientCredentials => "Get a token",
        GrantType::AuthorizationCode => "Sign in",
    };
    if !session.operates() {
        return html! {};
    }
    html! {
        form method="post" action={ "/credentials/" (id) "/authorize" } {
            (csrf(session))
            button type="submit" aria-label={ (text) " for " (id) } { (icon()) " " (text) }
        }
    }
}

async fn list(State(web): State<Web>, session: Session) -> Result<Response, Response> {
    let rows = Credentials::new(Arc::clone(&web.ports.store)).all().await;
    let rows = rows.map_err(|error| page::trouble(&error.to_string()))?;
    let now = web.ports.clock.now();
    let body = html! {
        (parts::banner(&rows, now))
        @if session.operates() { div.bar { a.button.main href="/credentials/new" { "+ New credential" } } }
        @if rows.is_empty() {
            p { "No credentials yet. A credential is an app registration in Entra ID, with which Postroom gets into mailboxes." }
        } @else {
            table.cards {
                thead { tr { th { "Id" } th { "Description" } th { "Grant type" } th { "State" } th { "Key" } } }
                tbody {
                    @for row in &rows {
                        tr {
                            td data-name="Id" { a href={ "/credentials/" (row.credential.id) } { (row.credential.id) } }
                            td data-name="Description" { (row.credential.description) }
                            td data-name="Grant type" { (row.credential.grant_type) }
                            td data-name="State" { (credential_state(row, now)) }
                            td data-name="Key" { (key(&session, row)) }
                        }
                    }
                }
            }
        }
    };
    Ok(with_keys(
        page::console(StatusCode::OK, PLACE, "Credentials", &body),
        rows.iter(),
    ))
}

async fn show(State(web): State<Web>, Path(id): Path<String>, session: Session) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let reads = authorize::reads(&web, &row).await;
    let reads = reads.map_err(|error| page::trouble(&error.to_string()))?;
    let credential = &row.credential;
    let delegated = credential.grant_type == GrantType::AuthorizationCode;
    let now = web.ports.clock.now();
    let body = html! {
        (parts::banner([&row], now))
        p { (credential_state(&row, now)) }
        @if let Some(problem) = &row.problem { p.problem { (page::words(problem)) } }
        @if let Some(sign_in) = row.sign_in.as_ref().filter(|sign_in| delegated && sign_in.asked != credential.asked_scope()) {
            p.warning { "The scope was changed since somebody signed in (then: " code { (sign_in.asked) } "). The key asks for the new one." }
        }
        div.bar {
            (key(&session, &row))
            @if session.operates() {
                a.button href={ "/credentials/" (credential.id) "/edit" } { "Edit" }
                a.button href="/accounts/new" { "Add an account" }
                a.button.danger href={ "/credentials/" (credential.id) "/remove" } { "Remove" }
            }
        }
        @if delegated { (authorize::who(&row, &reads)) }
        dl {
            dt { "Description" } dd { (credential.description) }
            dt { "Grant type" } dd { (credential.grant_type) }
            @if let Some(url) = &credential.authorization_url { dt { "Authorization URL" } dd { (url) } }
            dt { "Access token URL" } dd { (credential.token_url) }
            dt { "Client id" } dd { (credential.client_id) }
            dt { "Proves itself by" } dd { (credential.authentication.words()) @if credential.authentication.has_secret() { "; what is secret is in the vault and never shown" } }
            @if let Some(at) = row.expires_at() { dt { "Expires" } dd { (instant(at)) @if row.secret_ends().is_some_and(|read| read.ends_at.is_some()) { ", as the app registration says" } } }
            @if credential.next_secret.is_some() {
                dt { "Next client secret" }
                dd {
                    @match &row.next_refused {
                        Some(refused) => { "does not work, the old one is used: " (page::words(&refused.what)) }
                        None => { "waits for the next request for a token; the old one stays until it has worked" }
                    }
                }
            }
            dt { "Scope" } dd { (credential.scope) }
            dt { "Graph URL" } dd { (credential.graph_url) }
            dt { "Redirect URI" } dd { (web.redirect_uri()) }
            @if let Some(sign_in) = &row.sign_in {
                dt { "Signed in" } dd { (sign_in.who()) ", " (instant(sign_in.at)) }
                dt { "Granted" } dd { (sign_in.granted.join(", ")) }
                dt { "Tenant and object id" } dd { (sign_in.identity.tenant) " / " (sign_in.identity.object) }
            }
            @if let Some(token) = &row.token {
                dt { "Access token" } dd { "got " (parts::ago(token.obtained_at, now)) ", good until " (instant(token.expires_at)) "; renewed by itself" }
                dt { "Permissions in it" } dd { (token.roles.iter().chain(&token.scopes).map(String::as_str).collect::<Vec<_>>().join(", ")) }
            }
            dt { "Accounts" }
            dd {
                @if reads.is_empty() { "none yet" }
                @for (account, _) in &reads { a href={ "/accounts/" (account) } { (account) } " " }
            }
        }
        @if !delegated { (reach::section(&session, &row, &reach::Typed::of(&row), &Wrong::default())) }
        @if session.operates() { (for_operators(&session, &row)) }
    };
    let response = page::console(StatusCode::OK, PLACE, credential.id.as_str(), &body);
    Ok(with_keys(response, std::iter::once(&row)))
}

/// What is done more rarely than clicking the key.
fn for_operators(session: &Session, row: &CredentialRow) -> Markup {
    let credential = &row.credential;
    let delegated = credential.grant_type == GrantType::AuthorizationCode;
    html! {
        @if delegated {
            h2 { "Redirect URI" }
            p.quiet { "Microsoft sends browsers back to it after a sign-in. Postroom calls it as a browser would, and says what is in the way: a proxy that adds a slash, changes letters or asks for a sign-in of its own." }
            (button(session, "/redirect-uri/check", "Check the redirect URI", ""))
        }
        h2 { "Admin consent" }
        p.quiet { "Where people may not consent themselves, an admin consents for the whole tenant. What was granted shows in the next token." }
        (button(session, &format!("/credentials/{}/consent", credential.id), "Ask for admin consent", ""))
        @if delegated && row.sign_in.is_some() {
            h2 { "Another person" }
            p.quiet { "This credential belongs to the person above. Only with this box may somebody else take over; accounts then read with that person's rights." }
            form method="post" action={ "/credentials/" (credential.id) "/authorize" } {
                (csrf(session))
                label.choice { input type="checkbox" name="rebind" value="yes" required; " Let another person sign in and take over" }
                button type="submit" { "Sign in as another person" }
            }
        }
    }
}

async fn ask(
    State(web): State<Web>,
    Path(id): Path<String>,
    Operator(session): Operator,
) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let path = format!("/credentials/{}", row.credential.id);
    Ok(parts::confirm(
        &session,
        PLACE,
        &format!("Remove credential {}?", row.credential.id),
        "Its client secret, its sign-in and its token are removed from the vault. The app registration in Entra ID stays as it is.",
        &format!("{path}/remove"),
        &path,
    ))
}

async fn remove(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    match manage.remove_credential(&row).await {
        Ok(()) => Ok(Redirect::to("/credentials").into_response()),
        Err(error) => {
            let wrong = Wrong::of(&error)?;
            let body = html! { (wrong.summary()) p { a href={ "/credentials/" (row.credential.id) } { "Back" } } };
            Ok(page::console(StatusCode::CONFLICT, PLACE, "Not removed", &body))
        }
    }
}
