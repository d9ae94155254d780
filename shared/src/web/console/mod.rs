//! The console's pages. Drawing one reads the store and calls nobody.

mod account_form;
mod accounts;
mod credential_form;
mod credentials;
mod errors;
mod health;
mod messages;
mod owed;
mod parts;
mod reach;
mod redirect;
mod runs;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};

use super::{Web, cookie, form::PostedByAnybody, page};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(async || Redirect::to("/credentials")))
        .merge(style_route())
        .route("/sign-out", post(sign_out))
        .merge(credentials::routes())
        .merge(credential_form::routes())
        .merge(reach::routes())
        .merge(redirect::routes())
        .merge(accounts::routes())
        .merge(account_form::routes())
        .merge(runs::routes())
        .merge(messages::routes())
        .merge(owed::routes())
        .merge(health::routes())
        .merge(errors::routes())
}

/// What every page is drawn with.
pub(super) fn style_route() -> Router<Web> {
    Router::new().route("/style.css", get(style))
}

async fn style() -> Response {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("../style.css"),
    )
        .into_response()
}

async fn sign_out(State(web): State<Web>, PostedByAnybody(session): PostedByAnybody) -> Response {
    let sessions = crate::records::sessions::Sessions::new(std::sync::Arc::clone(&web.ports.store));
    match sessions.end(&session.key).await {
        Ok(()) => {
            let body = maud::html! {
                p { "This browser may not use the console any more." }
                @if web.entrance().is_some() {
                    p { "You may still be signed in with the issuer, who would let you in again without a question." }
                    p { a href="/sign-in" { "Sign in again" } }
                }
            };
            let mut response = page::plain(axum::http::StatusCode::OK, "Signed out", &body);
            cookie::clear(&web, response.headers_mut(), &cookie::session_name(&web));
            response
        }
        Err(error) => page::trouble(&error.to_string()),
    }
}
