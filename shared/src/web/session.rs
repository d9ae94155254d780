//! Sessions: who may use the console in this browser.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::Response,
};
use maud::html;

use crate::{oauth::derive, records::sessions::Sessions, secret::Secret};

use super::{Web, cookie, page};

/// A browser with the right to use the console. As an extractor it answers 401 with a page that says how to get one.
#[derive(Clone)]
pub(crate) struct Session {
    /// Its key in the records.
    pub(crate) key: String,
    csrf: Secret,
}

impl Session {
    /// The token that every form of this session carries in its hidden field `csrf`. Derived from the cookie, so that
    /// nobody without the cookie has it and nobody keeps it.
    pub(crate) fn csrf(&self) -> &str {
        self.csrf.expose()
    }

    /// Whether a posted token is this session's. Compared in constant time.
    pub(crate) fn takes(&self, posted: &str) -> bool {
        self.csrf == Secret::new(posted)
    }

    /// The session of a request, if it has one that is alive.
    pub(crate) async fn of(parts: &Parts, web: &Web) -> Result<Option<Self>, Response> {
        let Some(value) = cookie::read(&parts.headers, &cookie::session_name(web)) else {
            return Ok(None);
        };
        let sessions = Sessions::new(std::sync::Arc::clone(&web.ports.store));
        let alive = sessions.alive(&value, web.ports.clock.now()).await;
        let key = alive.map_err(|error| page::trouble(&error.to_string()))?;
        Ok(key.map(|key| Self {
            key,
            csrf: derive(value.expose(), "postroom csrf", ""),
        }))
    }
}

impl FromRequestParts<Web> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let body = html! {
            p { "This browser has no session, or it is over." }
            p { "On the machine where Postroom runs, " code { "postroom console" } " prints a link that opens the console once." }
        };
        Self::of(parts, web)
            .await?
            .ok_or_else(|| page::plain(StatusCode::UNAUTHORIZED, "Please open the console anew", &body))
    }
}
