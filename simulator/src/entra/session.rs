//! Who is signed in within which browser, and the cookie a browser is known by.

use super::authorize::Prompt;
use super::directory::{Flow, SignedIn};
use crate::simulator::State;
use crate::wire::{Call, Reply, set};

/// Name of the cookie by which a browser is known again.
const COOKIE: &str = "ESTSAUTH";

/// The sessions of a browser that still count.
pub(super) fn sessions(state: &State, browser: &str, now_ms: i64) -> Vec<SignedIn> {
    let all = state.directory.browsers.get(browser).into_iter().flatten();
    all.filter(|s| state.directory.recent(s.at_ms, now_ms))
        .filter(|s| state.directory.user(&s.oid).is_some_and(|u| !u.disabled))
        .cloned()
        .collect()
}

/// Puts a person into the browser's session. An account that is blocked gets no session.
pub(super) fn sign_in(state: &mut State, flow: &Flow, oid: &str, now_ms: i64) {
    let blocked = state.directory.user(oid).is_none_or(|u| u.disabled);
    let fresh =
        flow.ask.prompt == Prompt::Login || !sessions(state, &flow.browser, now_ms).iter().any(|s| s.oid == oid);
    if fresh && !blocked {
        let accounts = state.directory.browsers.entry(flow.browser.clone()).or_default();
        accounts.retain(|a| a.oid != oid);
        accounts.push(SignedIn {
            oid: oid.to_owned(),
            at_ms: now_ms,
            mfa: false,
        });
    }
}

/// This browser's id, from its cookie.
pub(super) fn cookie(call: &Call) -> Option<&str> {
    let all = call.headers.get_all("cookie").iter().filter_map(|v| v.to_str().ok());
    let mut each = all
        .flat_map(|line| line.split(';'))
        .filter_map(|one| one.trim().split_once('='));
    each.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// A session cookie. Over TLS as Entra sets it; without, browsers would not take `SameSite=None`.
pub(super) fn remember(call: &Call, browser: &str, reply: &mut Reply) {
    let kind = if call.origin.starts_with("https://") {
        "Secure; SameSite=None"
    } else {
        "SameSite=Lax"
    };
    set(
        reply,
        "set-cookie",
        &format!("{COOKIE}={browser}; Path=/; HttpOnly; {kind}"),
    );
}
