//! Who calls: the key in `Authorization: Bearer`, checked before anything else; what it may do follows from the method.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{Method, header, request::Parts},
};

use crate::{
    records::api_keys::{ApiKeys, Scope},
    secret::Secret,
    web::Web,
};

use super::problem::Problem;

/// A program with a key that may do what it asks for. As an extractor it answers 401 or 403.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    key: String,
}

impl Caller {
    /// As the audit names it: by the id of its key, which is no secret.
    pub(super) fn by(&self) -> String {
        format!("API key {}", self.key)
    }
}

fn unknown() -> Problem {
    Problem::new(
        401,
        "Who calls?",
        "send a key of this API in `Authorization: Bearer`; an operator makes one",
    )
}

impl FromRequestParts<Web> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let mut sent = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return Err(unknown());
        };
        let (scheme, key) = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or_else(unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") || key.len() > 128 {
            return Err(unknown());
        }
        let keys = ApiKeys::new(Arc::clone(&web.ports.store));
        let known = keys.check(&Secret::new(key.trim()), web.ports.clock.now()).await?;
        let known = known.ok_or_else(unknown)?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if known.scope == Scope::Operator || reads {
            return Ok(Self { key: known.id });
        }
        Err(Problem::new(
            403,
            "Not with this key",
            "a viewer's key reads only; an operator's key is needed",
        ))
    }
}
