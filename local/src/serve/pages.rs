//! The status page: health for a monitor, a page for a person, and a word on signing in. Microsoft is never called here.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;
use shared::{
    ports::Clock,
    records::accounts::{AccountRow, Accounts},
    time::between,
};

use crate::cli::{Desk, status::silent_for};

/// What the pages read.
#[derive(Clone)]
struct Pages {
    accounts: Accounts,
    clock: Arc<dyn Clock>,
    /// How a browser names this machine, beside its loopback names.
    public_host: Arc<str>,
}

pub(super) fn router(desk: &Desk, public_host: &str) -> Router {
    let pages = Pages {
        accounts: desk.accounts.clone(),
        clock: Arc::clone(&desk.opened.ports.clock),
        public_host: public_host.into(),
    };
    Router::new()
        .route("/", get(front))
        .route("/healthz", get(health))
        .route("/OAuth2Callback", get(callback))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                page("Not found", "<p>There is no such page.</p>"),
            )
        })
        .layer(middleware::from_fn_with_state(pages.clone(), guard))
        .with_state(pages)
}

/// Refuses names that are not ours (a page elsewhere could make a browser ask us under its own name), and tells browsers
/// to do as little as possible with what is answered.
async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str))
        .unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let ours = ["localhost", "127.0.0.1", "[::1]", &*pages.public_host].contains(&name);
    let mut response = if ours {
        next.run(request).await
    } else {
        StatusCode::MISDIRECTED_REQUEST.into_response()
    };
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

async fn health(State(pages): State<Pages>) -> Response {
    let now = pages.clock.now();
    let rows = match pages.accounts.all().await {
        Ok(rows) => rows,
        Err(problem) => {
            let value = json!({"ok": false, "problem": problem.to_string()});
            return (StatusCode::SERVICE_UNAVAILABLE, Json(value)).into_response();
        }
    };
    let ok = rows.iter().all(|row| silent_for(row, now).is_none());
    let accounts: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.account.id,
                "enabled": row.account.enabled,
                "silent": silent_for(row, now).is_some(),
                "last_success": row.last_success,
                "seconds_since_success": row.last_success.map(|at| between(at, now).as_secs()),
                "owed": row.owed,
                "quarantined": row.quarantined,
                "undelivered": row.unsent(),
            })
        })
        .collect();
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({"ok": ok, "accounts": accounts}))).into_response()
}

async fn front(State(pages): State<Pages>) -> Response {
    let now = pages.clock.now();
    match pages.accounts.all().await {
        Ok(rows) => {
            let lines: String = rows.iter().map(|row| line(row, now)).collect();
            let body = format!(
                "<p>Postroom {} is running.</p><table><tr><th>account</th><th>last success</th><th>messages</th><th>owed</th>\
                 <th>set aside</th></tr>{lines}</table><p>{} in all. <code>postroom status</code> tells more; <a href=\"/healthz\">/healthz</a> \
                 is for monitors.</p>",
                env!("CARGO_PKG_VERSION"),
                crate::cli::output::count(rows.len() as u64, "account"),
            );
            page("Postroom", &body).into_response()
        }
        Err(problem) => {
            let body = format!("<p>The accounts cannot be read: {}</p>", escape(&problem.to_string()));
            (StatusCode::SERVICE_UNAVAILABLE, page("Postroom", &body)).into_response()
        }
    }
}

fn line(row: &AccountRow, now: jiff::Timestamp) -> String {
    let success = row
        .last_success
        .map_or_else(|| "never".to_owned(), |at| crate::cli::output::ago(at, now));
    let silent = if silent_for(row, now).is_some() {
        " (silent for too long)"
    } else {
        ""
    };
    format!(
        "<tr><td>{}</td><td>{success}{silent}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(row.account.id.as_str()),
        row.recorded,
        row.owed,
        row.quarantined
    )
}

/// Where Microsoft sends a browser after signing in. Nothing it brings is read or shown.
async fn callback() -> Response {
    let body = "<p>Signing in (authorization code) comes with the next version. Nothing was stored.</p>\
        <p>Credentials with the grant type <em>client credentials</em> work now and need no signing in.</p>";
    (StatusCode::NOT_IMPLEMENTED, page("Signing in comes next", body)).into_response()
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:44rem;padding:0 1rem}}\
         td,th{{text-align:left;padding:.2rem 1.2rem .2rem 0}}</style><h1>{title}</h1>{body}</html>"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
