//! The frame of every page: title, navigation, notices. `maud` escapes whatever is put into it.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::records::RecordError;

/// Where in the console a page belongs, for the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Credentials.
    Credentials,
    /// Accounts.
    Accounts,
    /// Runs.
    Runs,
    /// Messages.
    Messages,
    /// Owed and set aside.
    Owed,
    /// Health.
    Health,
}

const PLACES: [(Place, &str, &str); 6] = [
    (Place::Credentials, "/credentials", "Credentials"),
    (Place::Accounts, "/accounts", "Accounts"),
    (Place::Runs, "/runs", "Runs"),
    (Place::Messages, "/messages", "Messages"),
    (Place::Owed, "/owed", "Owed"),
    (Place::Health, "/health", "Health"),
];

/// A page of the console, with its navigation.
pub(crate) fn console(status: StatusCode, place: Place, title: &str, body: &Markup) -> Response {
    let navigation = html! {
        nav aria-label="Console" {
            @for (one, path, name) in PLACES {
                a href=(path) aria-current=[(one == place).then_some("page")] { (name) }
            }
        }
    };
    frame(status, title, Some(&navigation), body)
}

/// A page outside the console: results, refusals.
pub(crate) fn plain(status: StatusCode, title: &str, body: &Markup) -> Response {
    frame(status, title, None, body)
}

/// A page that looks again by itself, without a script.
pub(crate) fn waiting(title: &str, body: &Markup) -> Response {
    framed(StatusCode::OK, title, None, body, true)
}

/// Something of ours is in trouble: store, vault.
pub(crate) fn trouble(what: &str) -> Response {
    let body = html! {
        p.problem { (words(what)) }
        p { "Try again in a moment. If it stays, the log of " code { "postroom serve" } " says more." }
    };
    plain(StatusCode::SERVICE_UNAVAILABLE, "Not just now", &body)
}

/// A record that is not there, or cannot be read.
pub(crate) fn record_trouble(place: Place, error: &RecordError) -> Response {
    match error {
        RecordError::Missing { what, .. } => {
            let body = html! { p { "There is no such " (what) "." } };
            console(StatusCode::NOT_FOUND, place, "Not found", &body)
        }
        _ => trouble(&error.to_string()),
    }
}

/// An instant, for people and machines.
pub(crate) fn instant(at: Timestamp) -> Markup {
    let exact = format!("{at:.0}");
    html! { time datetime=(exact) { (at.strftime("%Y-%m-%d %H:%M UTC")) } }
}

/// A sentence of ours: what stands between backticks is set as code, as the command line's readers know it.
pub(crate) fn words(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @for (at, part) in parts.iter().enumerate() {
            // A backtick without its fellow stays what it is.
            @if at % 2 == 1 && at + 1 < parts.len() { code { (part) } }
            @else if at % 2 == 1 { "`" (part) }
            @else { (part) }
        }
    }
}

fn frame(status: StatusCode, title: &str, navigation: Option<&Markup>, body: &Markup) -> Response {
    framed(status, title, navigation, body, false)
}

fn framed(status: StatusCode, title: &str, navigation: Option<&Markup>, body: &Markup, again: bool) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if again { meta http-equiv="refresh" content="2"; }
                title { (title) " · Postroom" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    span.brand { "Postroom" }
                    @if let Some(navigation) = navigation { (navigation) }
                }
                main #main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    (status, Html(page.into_string())).into_response()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn code_is_set_as_code_and_nothing_is_lost_or_let_through() {
        for (text, shown) in [
            ("plain", "plain"),
            (
                "credential `app` of `x`.",
                "credential <code>app</code> of <code>x</code>.",
            ),
            ("one ` alone", "one ` alone"),
            ("`<b>` <i> `", "<code>&lt;b&gt;</code> &lt;i&gt; `"),
            ("", ""),
        ] {
            assert_eq!(words(text).into_string(), shown);
        }
    }
}
