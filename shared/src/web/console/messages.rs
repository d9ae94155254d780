//! Messages: the list over all mailboxes, newest first, and one message with its story. Mail is hostile: it is shown as
//! text, never as HTML.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use maud::{Markup, html};

use crate::{
    account::MailboxKey,
    content::{MessageSummary, ParsedMessage},
    message::{Disposition, Message, MessageKey},
    records::{
        RecordError,
        accounts::Accounts,
        debts::Debts,
        events::Events,
        messages::{Listed, Messages},
    },
    web::{
        Web,
        page::{self, Place, instant},
        session::Session,
    },
};

use super::parts::{LINES, ago, more, plural};

const PLACE: Place = Place::Messages;
/// Lines a search looks through for one page; the link goes on from there.
const LOOKED_THROUGH: usize = 2_000;
/// Characters of a body that are shown; the file has it whole.
const SHOWN: usize = 64 * 1024;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/messages", get(list))
        .route("/messages/{mailbox}/{key}", get(show))
}

fn trouble(error: &RecordError) -> Response {
    page::trouble(&error.to_string())
}

struct Found {
    lines: Vec<(MailboxKey, Listed)>,
    next: Option<String>,
}

/// One page of the merged lists: what fits account and words, before the mark.
async fn look(web: &Web, account: Option<&str>, needle: &str, before: Option<&str>) -> Result<Found, RecordError> {
    let accounts = Accounts::new(Arc::clone(&web.ports.store));
    let messages = Messages::new(Arc::clone(&web.ports.store));
    let mailboxes = match account {
        Some(id) => vec![accounts.get(id).await?.mailbox],
        None => accounts.mailboxes().await?.into_iter().map(|row| row.key).collect(),
    };
    let needle = needle.to_lowercase();
    let mut found = Found {
        lines: Vec::new(),
        next: before.map(str::to_owned),
    };
    let mut looked = 0;
    loop {
        let mut batch = Vec::new();
        looked += LINES * mailboxes.len();
        for mailbox in &mailboxes {
            for (sort, listed) in messages.newest(mailbox, found.next.as_deref(), LINES).await? {
                batch.push((sort, mailbox.clone(), listed));
            }
        }
        batch.sort_by(|one, other| other.0.cmp(&one.0));
        batch.truncate(LINES);
        if batch.is_empty() {
            found.next = None;
            return Ok(found);
        }
        for (sort, mailbox, listed) in batch {
            found.next = Some(sort);
            let fits = account.is_none_or(|account| listed.account == account) && listed.matches(&needle);
            if fits {
                found.lines.push((mailbox, listed));
            }
            if found.lines.len() == LINES {
                return Ok(found);
            }
        }
        if looked >= LOOKED_THROUGH {
            return Ok(found);
        }
    }
}

fn subject(text: Option<&str>) -> &str {
    text.filter(|text| !text.trim().is_empty()).unwrap_or("(no subject)")
}

async fn list(
    State(web): State<Web>,
    Query(query): Query<HashMap<String, String>>,
    _session: Session,
) -> Result<Response, Response> {
    let given = |name: &str| query.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let (account, needle, before) = (given("account"), given("search").unwrap_or_default(), given("before"));
    let found = match look(&web, account, needle, before).await {
        Ok(found) => found,
        Err(error) => return Err(page::record_trouble(PLACE, &error)),
    };
    let now = web.ports.clock.now();
    let body = html! {
        form.bar method="get" action="/messages" role="search" {
            @if let Some(account) = account { input type="hidden" name="account" value=(account); }
            label for="search" { "Search" }
            input id="search" name="search" type="text" value=(needle);
            button type="submit" { "Look" }
        }
        @if let Some(account) = account { p { "Account " (account) ". " a href="/messages" { "All accounts" } } }
        @if found.lines.is_empty() { p { "No message" @if !needle.is_empty() { " with these words" } " here." } } @else {
            table.cards {
                thead { tr { th { "Received" } th { "From" } th { "Subject" } th { "Account" } th { "Files" } } }
                tbody {
                    @for (mailbox, listed) in &found.lines {
                        tr {
                            td data-name="Received" { @match listed.envelope.received { Some(at) => { (ago(at, now)) } None => { "-" } } }
                            td data-name="From" { (listed.envelope.from.as_deref().unwrap_or("-")) }
                            td data-name="Subject" {
                                a href={ "/messages/" (mailbox) "/" (listed.key) } { (subject(listed.envelope.subject.as_deref())) }
                                @if listed.disposition != Disposition::Imported { " [" (listed.disposition) "]" }
                            }
                            td data-name="Account" { (listed.account) }
                            td data-name="Files" { (listed.attachments.unwrap_or_default()) }
                        }
                    }
                }
            }
        }
        @if let Some(next) = &found.next {
            @if found.lines.len() == LINES || !needle.is_empty() {
                (more("/messages", &[("account", account.unwrap_or_default()), ("search", needle), ("before", next)]))
            }
        }
    };
    Ok(page::console(StatusCode::OK, PLACE, "Messages", &body))
}

async fn show(
    State(web): State<Web>,
    Path((mailbox, key)): Path<(String, String)>,
    session: Session,
) -> Result<Response, Response> {
    let key = MessageKey(key);
    let found = Messages::new(Arc::clone(&web.ports.store))
        .get(&MailboxKey(mailbox), &key)
        .await
        .map_err(|error| trouble(&error))?;
    let Some(message) = found else {
        let body = html! { p { "There is no such message." } };
        return Ok(page::console(StatusCode::NOT_FOUND, PLACE, "Not found", &body));
    };
    let debt = Debts::new(Arc::clone(&web.ports.store))
        .get(&message.account, &key)
        .await;
    let debt = debt.map_err(|error| trouble(&error))?;
    // What stands in the mail itself is read by operators alone.
    let inside = if session.operates() {
        inside(&web, &message).await.map_err(|error| trouble(&error))?
    } else {
        html! { p.quiet { "What the message says is shown to operators." } }
    };
    let owed = debt.map(|debt| format!("{}; {}", debt.reason, plural(debt.attempts.into(), "attempt")));
    let body = html! {
        (facts(&message, owed.as_deref()))
        (inside)
        h2 { "Story" }
        table.cards {
            thead { tr { th { "When" } th { "What" } } }
            tbody { @for line in &message.story { tr { td data-name="When" { (instant(line.at)) } td data-name="What" { (line.what) } } } }
        }
    };
    let title = crate::message::cut(subject(message.envelope.subject.as_deref()), 200);
    Ok(page::console(StatusCode::OK, PLACE, &title, &body))
}

/// What the message says: from the archive where these pages may open it, otherwise from its event.
async fn inside(web: &Web, message: &Message) -> Result<Markup, RecordError> {
    let Some(archived) = &message.archived else {
        return Ok(html! {});
    };
    if let Some(archive) = &web.archive {
        // What the parser made of it is told if it can be read; the record stands without it.
        let bytes = archive.read(&archived.path, "message.json").await.ok();
        let parsed: Option<ParsedMessage> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return Ok(parsed.as_ref().map_or_else(|| html! {}, content));
    }
    let events = Events::new(Arc::clone(&web.ports.store));
    let event = match message.sequence {
        Some(sequence) => events.from(&message.account, sequence, 1).await?.pop(),
        None => None,
    };
    let event = event.filter(|event| event["message"] == message.key.0.as_str());
    let summary: Option<MessageSummary> =
        event.and_then(|mut event| serde_json::from_value(event["summary"].take()).ok());
    Ok(html! {
        @if let Some(summary) = &summary { (summarized(summary)) }
        h2 { "Text and attachments" }
        p.quiet { "This console may not open the archive. They lie in the bucket (output " code { "ArchiveBucket" } " of the stack), below:" }
        pre { (archived.path) "/message.eml\n" (archived.path) "/message.json\n" (archived.path) "/attachments/" }
    })
}

fn summarized(summary: &MessageSummary) -> Markup {
    let others = summary.to_count.saturating_sub(summary.to.len());
    html! {
        dl {
            dt { "To" }
            dd {
                @for to in &summary.to { @if let Some(name) = &to.name { (name) " " } (to.address.as_deref().unwrap_or_default()) br; }
                @if others > 0 { "and " (others) " more" }
            }
            @if !summary.attachment_names.is_empty() {
                dt { "Attachments" }
                dd { @for name in &summary.attachment_names { (name) br; } }
            }
        }
        @if !summary.preview.is_empty() { h2 { "Begins" } pre { (summary.preview) } }
    }
}

fn facts(message: &Message, owed: Option<&str>) -> Markup {
    let envelope = &message.envelope;
    html! {
        dl {
            dt { "From" } dd { @if let Some(name) = &envelope.from_name { (name) " " } (envelope.from.as_deref().unwrap_or("-")) }
            dt { "Received" } dd { @match envelope.received { Some(at) => { (instant(at)) } None => { "-" } } }
            dt { "Message-ID" } dd { (envelope.internet_message_id.as_deref().unwrap_or("-")) }
            dt { "Account" } dd { (message.account) ", folder " (message.folder) }
            dt { "Disposition" } dd { (message.disposition) @if let Some(reason) = &message.reason { ": " (reason) } }
            @if let Some(archived) = &message.archived {
                dt { "In the archive" } dd { code { (archived.path) } }
                dt { "Size" } dd { (archived.size) " bytes, " (plural(archived.attachments.into(), "attachment")) }
                dt { "SHA-256" } dd { code { (archived.sha256) } }
            }
            @if let Some(limited) = &message.limited { dt { "Limited" } dd { (limited) } }
            @if let Some(sequence) = message.sequence { dt { "Event" } dd { "number " (sequence) " of account " (message.account) } }
            @if let Some(action) = &message.action { dt { "After import" } dd { (action.wanted) ": " (action.state) ", " (plural(action.attempts.into(), "attempt")) } }
            @if let Some(owed) = owed { dt { "Owed" } dd { (owed) } }
        }
    }
}

fn content(parsed: &ParsedMessage) -> Markup {
    let text = parsed
        .text
        .as_ref()
        .map(|body| crate::message::cut(&body.content, SHOWN));
    html! {
        @if !parsed.attachments.is_empty() {
            h2 { "Attachments" }
            table.cards {
                thead { tr { th { "Name" } th { "Type" } th { "Bytes" } th { "SHA-256" } } }
                tbody {
                    @for one in &parsed.attachments {
                        tr {
                            td data-name="Name" { (one.name) }
                            td data-name="Type" { (one.content_type) }
                            td data-name="Bytes" { (one.size) }
                            td data-name="SHA-256" { code { (one.sha256) } }
                        }
                    }
                }
            }
        }
        h2 { "Text" }
        @match text {
            Some(text) => { pre { (text) } }
            None => { p.quiet { "There is no plain text in it. The HTML stands in message.json and message.eml and is not shown here." } }
        }
    }
}
