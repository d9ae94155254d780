//! What several pages are made of: lists, times, fields of forms, paging.

use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    credential::GrantType,
    error::AccountState,
    import::check::{Step, report},
    manage::ManageError,
    records::{RecordError, accounts::AccountRow, credentials::CredentialRow},
    time::between,
    web::{
        page::{self, Place, instant},
        session::Session,
    },
};

/// Lines of one page of a list.
pub(super) const LINES: usize = 50;

/// The hidden field every form carries.
pub(super) fn csrf(session: &Session) -> Markup {
    html! { input type="hidden" name="csrf" value=(session.csrf()); }
}

/// A form that is one button; for operators, nobody else sees it.
pub(super) fn button(session: &Session, action: &str, text: &str, class: &str) -> Markup {
    html! { @if session.operates() { (anybodys_button(session, action, text, class)) } }
}

/// The same for whoever has a session.
pub(super) fn anybodys_button(session: &Session, action: &str, text: &str, class: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (csrf(session))
            button type="submit" class=(class) { (text) }
        }
    }
}

/// How long ago, with the instant for machines.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let seconds = between(at, now).as_secs();
    let text = match seconds {
        0..=59 => "just now".to_owned(),
        60..=5_399 => plural(seconds / 60, "minute"),
        5_400..=172_799 => plural(seconds / 3_600, "hour"),
        _ => plural(seconds / 86_400, "day"),
    };
    html! { time datetime=(format!("{at:.0}")) title=(format!("{at:.0}")) { (text) @if seconds >= 60 { " ago" } } }
}

/// `1 message`, `2 messages`.
pub(super) fn plural(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The link to the next page; the mark is data, encoded.
pub(super) fn more(path: &str, pairs: &[(&str, &str)]) -> Markup {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    html! { p.next { a.button rel="next" href={ (path) "?" (query) } { "Older" } } }
}

/// How an account is, in words.
pub(super) fn state(row: &AccountRow, now: Timestamp) -> Markup {
    if !row.account.enabled {
        return html! { "paused" };
    }
    if row.silent_for(now).is_some() {
        return html! { span.bad { "silent" } };
    }
    match row.last_run.as_ref().map(|run| run.state) {
        None => html! { "never ran" },
        Some(AccountState::Healthy) => html! { span.ok { "healthy" } },
        Some(AccountState::Waiting) => html! { "waiting" },
        Some(AccountState::NeedsSignIn) => html! { span.bad { "needs sign-in" } },
        Some(AccountState::NeedsAdmin) => html! { span.bad { "needs admin" } },
        Some(AccountState::NeedsOperator) => html! { span.bad { "needs operator" } },
    }
}

/// What ends soon, and apps that reach what they should not, above a page.
pub(super) fn banner<'a>(rows: impl IntoIterator<Item = &'a CredentialRow>, now: Timestamp) -> Markup {
    let rows: Vec<_> = rows.into_iter().collect();
    let reach = rows
        .iter()
        .filter_map(|row| Some((&row.credential.id, crate::reach::warning(row)?)));
    let mut warnings: Vec<_> = rows.iter().flat_map(|row| crate::warning::of(row, now)).collect();
    warnings.sort_by_key(|warning| warning.ends_at);
    html! {
        @for (id, warning) in reach { p.warning role="status" { a href={ "/credentials/" (id) } { (id) } ": " (page::words(&warning)) } }
        @for warning in &warnings {
            p.warning role="status" { a href={ "/credentials/" (warning.credential) } { (warning.credential) } ": " (page::words(&warning.text)) }
        }
    }
}

/// How a credential is, in words.
pub(super) fn credential_state(row: &CredentialRow, now: Timestamp) -> Markup {
    let delegated = row.credential.grant_type == GrantType::AuthorizationCode;
    if delegated && row.needs_sign_in {
        return html! { span.bad { "needs sign-in" } };
    }
    if row.problem.is_some() {
        return html! { span.bad { "refused" } };
    }
    match (&row.sign_in, &row.token) {
        (Some(sign_in), _) if delegated => html! { span.ok { "signed in as " (sign_in.who()) } },
        (None, _) if delegated => html! { "nobody has signed in yet" },
        (_, Some(token)) if token.expires_at > now => html! { span.ok { "token until " (instant(token.expires_at)) } },
        (_, Some(_)) => html! { "token over, renewed when needed" },
        (_, None) => html! { "no token yet" },
    }
}

/// What is wrong with a form: the field and the reason, or a reason for the whole form.
#[derive(Default)]
pub(super) struct Wrong {
    field: &'static str,
    reason: String,
}

impl Wrong {
    /// What an error says of a form; errors that are nobody's typing become a page of their own.
    pub(super) fn of(error: &ManageError) -> Result<Self, Response> {
        if let Some((field, reason)) = error.field() {
            return Ok(Self { field, reason });
        }
        match error {
            ManageError::Refused(reason) => Ok(Self {
                field: "",
                reason: reason.clone(),
            }),
            ManageError::Record(error @ (RecordError::Missing { .. } | RecordError::Changed { .. })) => Ok(Self {
                field: "",
                reason: error.to_string(),
            }),
            other => Err(page::trouble(&other.to_string())),
        }
    }

    /// The summary above a form.
    pub(super) fn summary(&self) -> Markup {
        html! {
            @if !self.reason.is_empty() {
                p.problem role="alert" {
                    "Not saved. "
                    @if !self.field.is_empty() { strong { (self.field) } ": " }
                    (page::words(&self.reason))
                }
            }
        }
    }

    pub(super) fn here(&self, name: &str) -> Option<&str> {
        (self.field == name && !name.is_empty()).then_some(self.reason.as_str())
    }
}

/// A field of a form.
pub(super) struct Field<'a> {
    /// Its name on the wire and in the page's ids.
    pub(super) name: &'a str,
    /// As [`crate::field::FieldError::field`] names it.
    pub(super) known_as: &'static str,
    /// For people.
    pub(super) label: &'a str,
    /// Where the value comes from.
    pub(super) hint: &'a str,
    /// `text`, `url`, `password`.
    pub(super) kind: &'a str,
    /// What was typed, or stands.
    pub(super) value: &'a str,
    /// An example.
    pub(super) example: &'a str,
}

impl Field<'_> {
    /// Label, hint, input and what is wrong with it.
    pub(super) fn draw(&self, wrong: &Wrong) -> Markup {
        let said = wrong.here(self.known_as);
        let described = match said {
            Some(_) => format!("{0}-hint {0}-wrong", self.name),
            None => format!("{}-hint", self.name),
        };
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                p.hint id={ (self.name) "-hint" } { (self.hint) }
                input id=(self.name) name=(self.name) type=(self.kind) value=(self.value) placeholder=(self.example)
                    autocomplete=(if self.kind == "password" { "new-password" } else { "off" }) spellcheck="false" aria-describedby=(described) aria-invalid=[said.map(|_| "true")];
                @if let Some(reason) = said { p.wrong id={ (self.name) "-wrong" } { (page::words(reason)) } }
            }
        }
    }
}

/// A page that asks before something is destroyed.
pub(super) fn confirm(session: &Session, place: Place, title: &str, what: &str, action: &str, back: &str) -> Response {
    let body = html! {
        p { (what) }
        div.bar {
            (button(session, action, "Remove", "danger"))
            a.button href=(back) { "Keep it" }
        }
    };
    page::console(axum::http::StatusCode::OK, place, title, &body)
}

/// The steps of a check, and the same as text under this heading, to copy.
pub(super) fn steps(heading: &str, steps: &[Step]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Step" } th { "Result" } th { "What came back" } } }
            tbody {
                @for step in steps {
                    tr {
                        td data-name="Step" { (step.what) }
                        td data-name="Result" { @if step.ok { span.ok { "ok" } } @else { span.bad { "failed" } } }
                        td data-name="What came back" {
                            (page::words(&step.detail))
                            @if let Some(fix) = &step.fix { p { "Mend it: " (page::words(fix)) } }
                            @if let Some(ids) = &step.ids { p.quiet { "For Microsoft's support: " (ids) } }
                        }
                    }
                }
            }
        }
        h2 { "To copy" }
        p.quiet { "No secret is in it." }
        pre { (report(heading, steps)) }
    }
}
