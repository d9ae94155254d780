//! Sessions: who may use the console in this browser, and for what.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::Response,
};
use maud::html;

use crate::{
    oauth::derive,
    records::{
        api_keys::Scope,
        sessions::{Door, Holder, Sessions},
    },
    secret::Secret,
};

use super::{Web, cookie, page, sign_in};

/// A browser with the right to look at the console. As an extractor it answers 401 with a page that says how to get one.
#[derive(Clone)]
pub(crate) struct Session {
    /// Its key in the records.
    pub(crate) key: String,
    holder: Holder,
    csrf: Secret,
}

/// A session that may change things. As an extractor it answers 401 without one, 403 to a viewer's.
pub(crate) struct Operator(pub(crate) Session);

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

    /// Whether it may change things; pages show buttons to nobody else.
    pub(crate) fn operates(&self) -> bool {
        self.holder.scope == Scope::Operator
    }

    /// Who it is and as what, for people to read; `None` on one machine, where nobody says who they are.
    pub(crate) fn who(&self) -> Option<String> {
        let scope = if self.operates() { "operator" } else { "viewer" };
        self.holder.who.as_ref().map(|who| format!("{who} ({scope})"))
    }

    /// As the audit names it.
    pub(crate) fn by(&self) -> String {
        self.holder.by()
    }

    /// The session of a request, if it has one that is alive and came in by a door that is still open.
    pub(crate) async fn of(parts: &Parts, web: &Web) -> Result<Option<Self>, Response> {
        let Some(value) = cookie::read(&parts.headers, &cookie::session_name(web)) else {
            return Ok(None);
        };
        let key = Sessions::key(&value);
        let sessions = Sessions::new(Arc::clone(&web.ports.store));
        let alive = sessions.alive(&key, web.ports.clock.now()).await;
        let holder = alive.map_err(|error| page::trouble(&error.to_string()))?;
        let holder = holder.filter(|holder| match &holder.door {
            Door::Link => web.one_time_links,
            Door::SignIn { settings } => web.entrance().is_some_and(|entrance| entrance.digest() == settings),
        });
        Ok(holder.map(|holder| Self {
            key,
            holder,
            csrf: derive(value.expose(), "postroom csrf", ""),
        }))
    }
}

impl FromRequestParts<Web> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        Self::of(parts, web)
            .await?
            .ok_or_else(|| sign_in::door(web, StatusCode::UNAUTHORIZED))
    }
}

impl FromRequestParts<Web> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, web).await?;
        if session.operates() {
            return Ok(Self(session));
        }
        let body = html! {
            p { "You may look at the console and change nothing: that is for operators. Nothing was changed." }
            p { a href="/" { "To the console" } }
        };
        Err(page::plain(StatusCode::FORBIDDEN, "For operators", &body))
    }
}
