//! Errors of the API as problem documents (RFC 9457), and bodies that are read strictly.

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    import::checks::CheckError, manage::ManageError, oauth::TokenError, ports::StoreError, records::RecordError,
    web::Web,
};

/// The most bytes of a body.
const MOST_BYTES: usize = 64 * 1024;

/// Why a call was not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    title: &'static str,
    detail: String,
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    pub(super) fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            more: Vec::new(),
        }
    }

    pub(super) fn field(name: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let mut problem = Self::new(422, "A field cannot be taken", format!("{name}: {reason}"));
        problem.more.push(("field", name.into()));
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({"title": self.title, "status": self.status, "detail": self.detail});
        for (name, value) in self.more {
            body[name] = value;
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body.to_string(),
        )
            .into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        let status = error.next().meaning().http_status;
        let said = error.to_string();
        match error {
            RecordError::Missing { what, id, .. } => Self::new(404, "Not found", format!("there is no {what} `{id}`")),
            RecordError::Field(error) => Self::field(error.field, error.reason),
            RecordError::Taken { .. } | RecordError::Changed { .. } | RecordError::InUse(_) => {
                Self::new(409, "As things stand", said)
            }
            // A page mark that is none.
            RecordError::Store(StoreError::Contract(_)) => Self::new(422, "Cannot be taken", said),
            _ => Self::new(status, "Not just now", said),
        }
    }
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        let status = error.next().meaning().http_status;
        match error {
            ManageError::Field(error) => Self::field(error.field, error.reason),
            ManageError::Record(error) => error.into(),
            ManageError::Refused(why) => Self::new(409, "As things stand", why),
            other => Self::new(status, "Not just now", other.to_string()),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let meaning = error.next().meaning();
        let mut problem = Self::new(meaning.http_status, "No access token", error.what);
        problem.more.push(("error_type", meaning.error_type.into()));
        problem.more.push(("codes", error.codes.into()));
        problem.more.push(("trace", error.trace.into()));
        problem
    }
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        let status = error.next().meaning().http_status;
        match error {
            CheckError::Token(error) => error.into(),
            CheckError::Missing(what) => Self::new(404, "Not found", what),
            CheckError::Refused(why) => Self::new(409, "As things stand", why),
            CheckError::Trouble(what) => Self::new(status, "Not just now", what),
        }
    }
}

/// A JSON body, of a kind that knows all its fields.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Web> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Web) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("application/json")
        {
            return Err(Problem::new(415, "Not JSON", "send Content-Type: application/json"));
        }
        let bytes = to_bytes(request.into_body(), MOST_BYTES)
            .await
            .map_err(|_| Problem::new(413, "Too large", "a body has at most 64 KiB"))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            // The error names the field; it may repeat what was sent only where that is no secret: a name or a kind.
            let why = match error.classify() {
                serde_json::error::Category::Data => error.to_string(),
                _ => format!("it is no JSON (line {}, column {})", error.line(), error.column()),
            };
            Problem::new(422, "The body cannot be taken", why)
        })
    }
}

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Web> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|_| Problem::new(422, "The query cannot be taken", "a parameter is not what it should be"))
    }
}
