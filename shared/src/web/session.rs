//! Sessions: who may use the console in this browser.

use axum::{extract::FromRequestParts, http::request::Parts, response::Response};

use crate::secret::Secret;

use super::Web;

/// A browser with the right to use the console. As an extractor it answers 401 with a page that says how to get one.
#[derive(Clone)]
pub(crate) struct Session {
    csrf: Secret,
}

impl Session {
    /// The token that every form of this session carries in its hidden field `csrf`.
    pub(crate) fn csrf(&self) -> &str {
        self.csrf.expose()
    }
}

impl FromRequestParts<Web> for Session {
    type Rejection = Response;

    async fn from_request_parts(_parts: &mut Parts, _web: &Web) -> Result<Self, Response> {
        Ok(Self {
            csrf: Secret::new("not yet"),
        })
    }
}
