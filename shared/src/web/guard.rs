//! What surrounds every route: the names it answers to, the security headers, the page for what is not there.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use maud::html;

use crate::origin::Origin;

use super::{Web, page::plain};

/// The most bytes of a path with its query (O-22).
const MOST_URI: usize = 8 * 1024;

/// Where forms of a page may lead besides here. Chromium holds `form-action` against the redirect that follows a POST,
/// so a page with a key must name the login host.
#[derive(Clone)]
pub(crate) struct FormTargets(pub(crate) Vec<Origin>);

/// Puts the guard around the routes.
pub(super) fn around(routes: Router<Web>, web: &Web) -> Router<Web> {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(web.clone(), guard))
}

async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = match admit(&web, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    let targets = response.extensions().get::<FormTargets>().cloned();
    let mut forms = "'self'".to_owned();
    for origin in targets.iter().flat_map(|targets| &targets.0) {
        forms.push_str(&format!(" {origin}"));
    }
    let policy =
        format!("default-src 'none'; style-src 'self'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'");
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if web.public_url.scheme() == "https" {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// Refuses names that are not ours: a page elsewhere could make a browser ask us under its own name (DNS rebinding).
fn admit(web: &Web, request: &Request) -> Result<(), Box<Response>> {
    let uri = request.uri();
    let refuse = |status, title: &str, what: &str| Err(Box::new(plain(status, title, &html! { p { (what) } })));
    if uri.path_and_query().map_or(0, |all| all.as_str().len()) > MOST_URI {
        return refuse(StatusCode::URI_TOO_LONG, "Too long", "The address is too long.");
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        (None, _) => uri.authority().map_or("", axum::http::uri::Authority::as_str),
        _ => "",
    };
    let public = authority(&web.public_url);
    if host.eq_ignore_ascii_case(&public) {
        return Ok(());
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let known = web.other_hosts.iter().any(|other| other.eq_ignore_ascii_case(name));
    if known && uri.path() == "/healthz" {
        return Ok(());
    }
    let callback = uri.path().eq_ignore_ascii_case("/OAuth2Callback");
    if known && matches!(*request.method(), Method::GET | Method::HEAD) && !callback {
        // Cookies belong to one name, so pages live under one.
        let mut to = web.public_url.clone();
        to.set_path(uri.path());
        to.set_query(uri.query());
        let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
        if let Ok(to) = HeaderValue::from_str(to.as_str()) {
            response.headers_mut().insert(header::LOCATION, to);
            return Err(Box::new(response));
        }
    }
    refuse(
        StatusCode::MISDIRECTED_REQUEST,
        "Wrong name",
        "Postroom does not answer under this name. Open it under its public address (--public-url; on AWS the output PublicUrl).",
    )
}

fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

async fn not_found(State(web): State<Web>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/OAuth2Callback" {
        let body = html! { p { "Microsoft's answer comes to this address as a query of a GET, and in no other way. Nothing was stored." } };
        return plain(StatusCode::NOT_FOUND, "Not like this", &body);
    }
    let path = path.trim_end_matches('/');
    if path.eq_ignore_ascii_case("/OAuth2Callback") {
        let body = html! {
            p { "Microsoft sent the browser to an address that differs from ours in upper and lower case or by a slash at its end. Nothing was stored." }
            p { "Register exactly this redirect URI (Azure portal, App registrations, your app, Authentication, Web), then begin again:" }
            p { code { (web.redirect_uri()) } }
        };
        return plain(StatusCode::NOT_FOUND, "Wrong redirect URI", &body);
    }
    plain(
        StatusCode::NOT_FOUND,
        "Not found",
        &html! { p { "There is no such page." } p { a href="/" { "To the console" } } },
    )
}

async fn not_allowed() -> Response {
    plain(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not like this",
        &html! { p { "This address is not used in this way." } p { a href="/" { "To the console" } } },
    )
}
