//! Cookies: `__Host-` where there is TLS, a plain name on `http://localhost`, where browsers refuse that prefix.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::secret::Secret;

use super::Web;

const SESSION: &str = "postroom-session";
const FLOW: &str = "postroom-signin-";

fn name(web: &Web, base: &str) -> String {
    if web.public_url.scheme() == "https" {
        format!("__Host-{base}")
    } else {
        base.to_owned()
    }
}

/// The cookie of a flow: one for each, so that two tabs do not spoil each other's sign-in.
pub(super) fn flow_name(web: &Web, key: &str) -> String {
    name(web, &format!("{FLOW}{}", key.get(..16).unwrap_or(key)))
}

/// The session's cookie.
pub(super) fn session_name(web: &Web) -> String {
    name(web, SESSION)
}

/// The value of a cookie; `None` if it is absent or there twice.
pub(super) fn read(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(one, _)| *one == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() && value.len() <= 128 => Some(Secret::new(value)),
        _ => None,
    }
}

/// Sets a cookie for this host alone. `SameSite` is Lax: Strict would not be sent on the way back from Microsoft.
pub(super) fn set(web: &Web, headers: &mut HeaderMap, name: &str, value: &Secret, seconds: u32) {
    let secure = if web.public_url.scheme() == "https" {
        "; Secure"
    } else {
        ""
    };
    let text = format!(
        "{name}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}",
        value.expose()
    );
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        headers.append(header::SET_COOKIE, value);
    }
}

/// Takes a cookie from the browser.
pub(super) fn clear(web: &Web, headers: &mut HeaderMap, name: &str) {
    set(web, headers, name, &Secret::new(""), 0);
}
