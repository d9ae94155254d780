//! The redirect URI, tried because somebody pressed for it: would Microsoft take it, and is Postroom reached there?

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use maud::html;

use crate::web::{
    Web,
    form::Posted,
    page::{self, Place},
};

use super::parts;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/redirect-uri/check", post(check))
}

async fn check(State(web): State<Web>, _posted: Posted) -> Result<Response, Response> {
    let step = web.checks.redirect(&web.redirect_uri()).await;
    let step = step.map_err(|error| page::trouble(&error.to_string()))?;
    let now = web.ports.clock.now();
    let body = html! {
        @if step.ok { p.good { "A browser that Microsoft sends back reaches Postroom." } } @else { p.problem { "Sign-ins would not come back. Mend this, then check again." } }
        (parts::steps(&format!("Check of the redirect URI, {now:.0}"), std::slice::from_ref(&step)))
        p { a href="/credentials" { "Back" } }
    };
    Ok(page::console(
        StatusCode::OK,
        Place::Credentials,
        "Check of the redirect URI",
        &body,
    ))
}
