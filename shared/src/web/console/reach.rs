//! The reach of an app on the credential's page: the mailboxes it must read and must not, and what trying them found.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use maud::{Markup, html};

use crate::{
    import::checks::CheckError,
    manage::Manage,
    reach::{Expected, Probe, scoping},
    records::credentials::CredentialRow,
    web::{
        Web,
        form::Posted,
        page::{self, Place, instant},
        session::Session,
    },
};

use super::{
    credentials::find,
    parts::{Wrong, csrf},
};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/credentials/{id}/reach", post(save))
}

/// The two lists, one mailbox a line.
pub(super) struct Typed {
    must_read: String,
    must_not_read: String,
}

impl Typed {
    /// As they stand.
    pub(super) fn of(row: &CredentialRow) -> Self {
        Self {
            must_read: row.expected.must_read.join("\n"),
            must_not_read: row.expected.must_not_read.join("\n"),
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// What stands below a credential of an app of its own.
pub(super) fn section(session: &Session, row: &CredentialRow, typed: &Typed, wrong: &Wrong) -> Markup {
    let list = |name: &str, known_as: &str, label: &str, hint: &str, value: &str| {
        html! {
            div.field {
                label for=(name) { (label) }
                p.hint id={ (name) "-hint" } { (hint) }
                textarea id=(name) name=(name) rows="3" autocomplete="off" spellcheck="false" aria-describedby={ (name) "-hint" } { (value) }
                @if let Some(reason) = wrong.here(known_as) { p.wrong id={ (name) "-wrong" } { (page::words(reason)) } }
            }
        }
    };
    html! {
        h2 { "What the app reaches" }
        @if let Some(reach) = &row.reach {
            p { "It " (reach.summary()) " (" (instant(reach.at)) ")." @if reach.is_as_meant() { " " span.ok { "As it should be." } } }
            @for finding in reach.findings() { p.problem { (page::words(&finding)) } }
            @if !reach.probes.is_empty() {
                table.cards {
                    thead { tr { th { "Mailbox" } th { "Wanted" } th { "Found" } } }
                    tbody { @for probe in &reach.probes { (line(probe)) } }
                }
            }
            @if !reach.is_as_meant() && !reach.tenant_wide().is_empty() {
                h3 { "To limit it" }
                p.quiet { "For an Exchange admin, to copy. No secret is in it." }
                pre { (scoping(&row.credential, &row.expected, reach)) }
            }
        } @else {
            p.quiet { "Name mailboxes that this app must read, and some that it must not. Postroom tries them now and once a day, and tells when that changes." }
        }
        @if session.operates() {
            form method="post" action={ "/credentials/" (row.credential.id) "/reach" } {
                (csrf(session))
                (list("must_read", "must read", "It must read these mailboxes", "One address a line.", &typed.must_read))
                (list("must_not_read", "must not read", "It must not read these", "One address a line; mailboxes that there are, or nothing is proven.", &typed.must_not_read))
                div.bar { button type="submit" { "Save and try" } }
            }
        }
    }
}

fn line(probe: &Probe) -> Markup {
    let found = probe.found_words();
    html! {
        tr {
            td data-name="Mailbox" { (probe.mailbox) }
            td data-name="Wanted" { (probe.wanted_words()) }
            td data-name="Found" { @if probe.is_as_meant() { span.ok { (found) } } @else { span.bad { (found) } } }
        }
    }
}

async fn save(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let id = row.credential.id.as_str();
    let typed = Typed {
        must_read: posted.fields.text("must_read").to_owned(),
        must_not_read: posted.fields.text("must_not_read").to_owned(),
    };
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    let saved = match Expected::parse(&lines(&typed.must_read), &lines(&typed.must_not_read)) {
        Ok(expected) => manage.expect_reach(&row, &expected).await.map(|()| expected.is_empty()),
        Err(error) => Err(error.into()),
    };
    match saved {
        Err(error) => {
            let wrong = Wrong::of(&error)?;
            let body = html! { (wrong.summary()) (section(&posted.session, &row, &typed, &wrong)) };
            let (status, place) = (StatusCode::UNPROCESSABLE_ENTITY, Place::Credentials);
            Ok(page::console(status, place, id, &body))
        }
        Ok(true) => Ok(back(id)),
        Ok(false) => match web.checks.reach(id).await {
            Ok(_) => Ok(back(id)),
            Err(error) => Ok(not_tried(id, &error)),
        },
    }
}

fn back(id: &str) -> Response {
    Redirect::to(&format!("/credentials/{id}")).into_response()
}

fn not_tried(id: &str, error: &CheckError) -> Response {
    let body = html! {
        p { "The mailboxes are noted, and are tried again by themselves." }
        p.problem { "They could not be tried now: " (page::words(&error.to_string())) }
        p { a href={ "/credentials/" (id) } { "To the credential" } }
    };
    page::console(StatusCode::OK, Place::Credentials, "Not tried yet", &body)
}
