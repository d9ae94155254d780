//! `postroom message`: one message, where its bytes lie, and its story.

use serde_json::{Value, json};
use shared::{
    account::MailboxKey,
    message::{Archived, Debt, Message},
};

use super::{
    Desk,
    credential::fields_text,
    failure::Failure,
    messages::{Merged, mailboxes},
    output::{Answer, clean, count, size},
};

/// So many are named when the beginning of an id fits several.
const NAMED: usize = 5;

pub(super) async fn run(desk: &Desk, id: &str) -> Result<Answer, Failure> {
    let message = find(desk, id.trim()).await?;
    show(desk, &message).await
}

/// One message as it is shown.
pub(crate) async fn show(desk: &Desk, message: &Message) -> Result<Answer, Failure> {
    let debt = desk.debts.get(&message.account, &message.key).await?;
    let files = match &message.archived {
        Some(archived) => files(desk, archived).await,
        None => Vec::new(),
    };
    let mut value = shared::records::json(message);
    if let Value::Object(fields) = &mut value {
        fields.insert("debt".into(), shared::records::json(&debt));
        fields.insert("files".into(), files.clone().into());
    }
    Ok(Answer::new(value, text(desk, message, debt.as_ref(), &files)))
}

/// By key, the beginning of one, or Message-ID.
async fn find(desk: &Desk, id: &str) -> Result<Message, Failure> {
    let mailboxes = mailboxes(desk, None).await?;
    let missing = || {
        Failure::missing(format!(
            "there is no message `{}`; `postroom messages` lists them, `postroom messages --search TEXT` looks for one",
            clean(id)
        ))
    };
    let looks_like_key = !id.is_empty() && id.len() <= 26 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    if !looks_like_key {
        return by_message_id(desk, mailboxes, id).await?.ok_or_else(missing);
    }
    let mut found = Vec::new();
    for mailbox in &mailboxes {
        found.extend(desk.messages.beginning_with(mailbox, id, NAMED + 1).await?);
    }
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().take(NAMED).map(|message| message.key.0.as_str()).collect();
        let more = if found.len() > NAMED { ", .." } else { "" };
        return Err(Failure::usage(format!(
            "`{id}` is the beginning of several messages: {}{more}; type more of it",
            names.join(", ")
        )));
    }
    found.pop().ok_or_else(missing)
}

/// The newest with this Message-ID: it is the sender's word, and may stand in several.
async fn by_message_id(desk: &Desk, mailboxes: Vec<MailboxKey>, id: &str) -> Result<Option<Message>, Failure> {
    let wanted = id.trim_start_matches('<').trim_end_matches('>');
    for mailbox in mailboxes {
        let mut lines = Merged::new(desk, vec![mailbox.clone()], None);
        while let Some((_, listed)) = lines.next().await? {
            if !wanted.is_empty() && listed.envelope.internet_message_id.as_deref() == Some(wanted) {
                return Ok(desk.messages.get(&mailbox, &listed.key).await?);
            }
        }
    }
    Ok(None)
}

/// What lies in the archive for an attempt, as paths on this machine.
async fn files(desk: &Desk, archived: &Archived) -> Vec<Value> {
    let root = desk.opened.data_dir.archive();
    let path = |name: &str| root.join(&archived.path).join(name).display().to_string();
    let mut files = vec![
        json!({"name": "message.eml", "path": path("message.eml"), "size": archived.size}),
        json!({"name": "message.json", "path": path("message.json")}),
    ];
    // What the parser found is told if it can be read; the record stands without it.
    let parsed = desk.archive.read(&archived.path, "message.json").await.ok();
    let parsed: Option<Value> = parsed.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let attachments = parsed
        .as_ref()
        .and_then(|parsed| parsed.get("attachments"))
        .and_then(Value::as_array);
    for attachment in attachments.into_iter().flatten() {
        let text = |name: &str| attachment.get(name).and_then(Value::as_str).unwrap_or_default();
        let on_disk = path(&format!("attachments/{}", text("file_name")));
        files.push(json!({
            "name": text("name"), "path": on_disk, "size": attachment.get("size"), "content_type": text("content_type"),
        }));
    }
    files
}

fn text(desk: &Desk, message: &Message, debt: Option<&Debt>, files: &[Value]) -> String {
    let envelope = &message.envelope;
    let output = &desk.output;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let from = match (&envelope.from_name, &envelope.from) {
        (Some(name), Some(address)) if name != address => format!("{name} <{address}>"),
        (_, address) => or_none(address),
    };
    let became = match &message.reason {
        Some(reason) => format!("{}: {reason}", message.disposition),
        None => message.disposition.to_string(),
    };
    let mut lines = vec![
        ("Message", message.key.to_string()),
        ("Subject", or_none(&envelope.subject)),
        ("From", from),
        (
            "Received",
            envelope.received.map_or_else(|| "-".into(), |at| output.exact_time(at)),
        ),
        ("Message-ID", or_none(&envelope.internet_message_id)),
        ("Account", format!("{}, folder {}", message.account, message.folder)),
        ("Disposition", became),
    ];
    if let Some(archived) = &message.archived {
        let attachments = count(archived.attachments.into(), "attachment");
        lines.push(("Size", format!("{}, {attachments}", size(archived.size))));
        lines.push(("SHA-256", archived.sha256.clone()));
    }
    if let Some(sequence) = message.sequence {
        lines.push(("Event", format!("number {sequence} of account {}", message.account)));
    }
    if let Some(action) = &message.action {
        let note = action
            .note
            .as_ref()
            .map(|note| format!(" ({note})"))
            .unwrap_or_default();
        let tries = count(action.attempts.into(), "attempt");
        let state = format!(
            "{}: {}, {tries}, {}{note}",
            action.wanted,
            action.state,
            output.time(action.at)
        );
        lines.push(("After import", state));
    }
    if let Some(debt) = debt {
        let when = match (debt.quarantined, debt.next_try) {
            (true, _) | (false, None) => "set aside; `postroom owed retry` tries again".into(),
            (false, Some(at)) => format!("next try {}", output.time(at)),
        };
        lines.push((
            "Owed",
            format!("{}; {}; {when}", debt.reason, count(debt.attempts.into(), "attempt")),
        ));
    }
    let mut text = fields_text(&lines);
    if !files.is_empty() {
        text.push_str(&format!("\n{}\n", output.bold("Files")));
        for file in files {
            text.push_str(&format!(
                "  {}\n",
                clean(file.get("path").and_then(Value::as_str).unwrap_or_default())
            ));
        }
    }
    text.push_str(&format!("\n{}\n", output.bold("Story")));
    for line in &message.story {
        text.push_str(&format!("  {}  {}\n", output.time(line.at), clean(&line.what)));
    }
    text
}
