//! Forms as posted: bounded, from our own pages, each field once.

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use maud::html;

use super::{
    Web,
    page::plain,
    session::{Operator, Session},
};

/// The most bytes of a form.
const MOST_BYTES: usize = 64 * 1024;
/// The most fields.
const MOST_FIELDS: usize = 100;

/// The fields of a form from one of our pages. As an extractor it refuses, with a page that says why: a foreign `Origin`,
/// another content type, more than 64 KiB or 100 fields, a field twice.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// A field, trimmed; empty if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// A field, trimmed, if it is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0
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

/// A form posted from one of our pages in an operator's session, with the session's `csrf` token.
pub(crate) struct Posted {
    /// Whose.
    pub(crate) session: Session,
    /// What.
    pub(crate) fields: Fields,
}

/// The same in any session, a viewer's as well: for what concerns nobody else.
pub(crate) struct PostedByAnybody(pub(crate) Session);

fn refuse(status: StatusCode, what: &str) -> Response {
    plain(
        status,
        "This form was not taken",
        &html! { p { (what) } p { "Nothing was changed." } },
    )
}

/// Only our own pages may post. Since our pages send no referrer, browsers say `Origin: null` with their forms (Fetch
/// standard, "append a request `Origin` header"); then `Sec-Fetch-Site`, which no script can set, must say that the form was
/// ours. A sandboxed frame says `null`, too, but is cross-site.
fn from_here(web: &Web, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match text("origin") {
        None | Some("null") => text("sec-fetch-site") == Some("same-origin"),
        Some(origin) => origin == web.public_url.origin().ascii_serialization(),
    }
}

impl FromRequest<Web> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        if !from_here(web, request.headers()) {
            return Err(refuse(StatusCode::FORBIDDEN, "It came from another site."));
        }
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() != "application/x-www-form-urlencoded" {
            return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "It is no form."));
        }
        let bytes = to_bytes(request.into_body(), MOST_BYTES)
            .await
            .map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "It is larger than 64 KiB, or broke off."))?;
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&bytes)
            .into_owned()
            .take(MOST_FIELDS + 1)
            .collect();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if fields.len() > MOST_FIELDS || names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(refuse(StatusCode::BAD_REQUEST, "It has a field twice, or too many."));
        }
        Ok(Self(fields))
    }
}

/// The form of a session: its token must be among the fields.
async fn of_session(parts: Parts, body: Body, web: &Web, session: &Session) -> Result<Fields, Response> {
    let fields = Fields::from_request(Request::from_parts(parts, body), web).await?;
    if session.takes(fields.text("csrf")) {
        return Ok(fields);
    }
    Err(refuse(
        StatusCode::FORBIDDEN,
        "It belongs to another session. Open the page anew and try again.",
    ))
}

impl FromRequest<Web> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Operator(session) = Operator::from_request_parts(&mut parts, web).await?;
        let fields = of_session(parts, body, web, &session).await?;
        Ok(Self { session, fields })
    }
}

impl FromRequest<Web> for PostedByAnybody {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, web).await?;
        of_session(parts, body, web, &session).await?;
        Ok(Self(session))
    }
}
