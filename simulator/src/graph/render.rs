//! A message as Graph's JSON, with just the selected properties.

use super::prefer::Prefer;
use crate::clock::graph_time;
use crate::mail::facts::{ItemKind, Person};
use crate::mail::parts;
use crate::mailbox::ids::{self, IdFormat};
use crate::mailbox::{Item, ItemKey, Mailbox};
use serde_json::{Map, Value, json};

/// Properties a message shows when nothing is selected, in Graph's order.
pub(crate) const USUAL: [&str; 28] = [
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "categories",
    "receivedDateTime",
    "sentDateTime",
    "hasAttachments",
    "internetMessageId",
    "subject",
    "bodyPreview",
    "importance",
    "parentFolderId",
    "conversationId",
    "conversationIndex",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
    "isRead",
    "isDraft",
    "webLink",
    "inferenceClassification",
    "body",
    "sender",
    "from",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "flag",
];

/// Properties that are shown only when selected.
pub(crate) const ON_REQUEST: [&str; 2] = ["internetMessageHeaders", "uniqueBody"];

/// Properties of meeting messages.
const MEETING: [&str; 4] = ["meetingMessageType", "startDateTime", "endDateTime", "isOutOfDate"];

/// Properties that can be listed although the message itself cannot be read.
const CHEAP: [&str; 14] = [
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "receivedDateTime",
    "sentDateTime",
    "hasAttachments",
    "internetMessageId",
    "subject",
    "parentFolderId",
    "isRead",
    "isDraft",
    "categories",
    "flag",
];

/// How to write it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style<'a> {
    /// Selected properties; empty means the usual ones.
    pub(crate) select: &'a [String],
    pub(crate) prefer: &'a Prefer,
    /// Whether plain messages say that they are messages.
    pub(crate) always_typed: bool,
}

/// Whether a name is a property that can be selected.
pub(crate) fn selectable(name: &str) -> bool {
    name == "id" || USUAL.contains(&name) || ON_REQUEST.contains(&name) || MEETING.contains(&name)
}

/// Whether a selection can be answered from the folder's table, without opening messages.
pub(crate) fn is_cheap(select: &[String]) -> bool {
    !select.is_empty() && select.iter().all(|name| CHEAP.contains(&name.as_str()))
}

pub(crate) fn message(mailbox: &Mailbox, key: ItemKey, style: Style<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    let Some(item) = mailbox.items.get(key) else {
        return out;
    };
    if style.always_typed || item.facts.kind != ItemKind::Message {
        out.insert("@odata.type".to_owned(), item.odata_type().into());
    }
    out.insert("@odata.etag".to_owned(), format!("W/\"{}\"", item.change_key).into());
    out.insert("id".to_owned(), mailbox.id_of(key, style.prefer.ids).into());
    let usual: Vec<&str>;
    let names: Vec<&str> = if style.select.is_empty() {
        usual = USUAL
            .iter()
            .chain(if item.facts.kind == ItemKind::Message {
                [].iter()
            } else {
                MEETING.iter()
            })
            .copied()
            .collect();
        usual
    } else {
        style.select.iter().map(String::as_str).collect()
    };
    for name in names {
        if let Some(value) = property(mailbox, key, item, name, style.prefer) {
            out.insert(name.to_owned(), value);
        }
    }
    out
}

fn property(mailbox: &Mailbox, key: ItemKey, item: &Item, name: &str, prefer: &Prefer) -> Option<Value> {
    let facts = &item.facts;
    Some(match name {
        "createdDateTime" => graph_time(item.created_ms).into(),
        "lastModifiedDateTime" => graph_time(item.modified_ms).into(),
        "changeKey" => item.change_key.clone().into(),
        "categories" => json!(item.categories),
        "receivedDateTime" => graph_time(item.received_ms).into(),
        "sentDateTime" => graph_time(facts.sent_ms.unwrap_or(item.received_ms)).into(),
        "hasAttachments" => (facts.has_attachments || !item.references.is_empty()).into(),
        "internetMessageId" => json!(facts.message_id),
        "subject" => facts.subject.clone().into(),
        "bodyPreview" => facts.preview.clone().into(),
        "importance" => item.importance.clone().into(),
        "parentFolderId" => mailbox.folders.get(item.folder).map(|f| f.id.clone()).into(),
        "conversationId" => conversation(mailbox, item).into(),
        "conversationIndex" => ids::conversation_index(&mailbox.guid, key).into(),
        "isDeliveryReceiptRequested" => {
            if item.draft {
                json!(false)
            } else {
                Value::Null
            }
        }
        "isReadReceiptRequested" => false.into(),
        "isRead" => item.read.into(),
        "isDraft" => item.draft.into(),
        "webLink" => format!(
            "https://outlook.office365.com/owa/?ItemID={}&exvsurl=1&viewmodel=ReadMessageItem",
            encode(&mailbox.id_of(key, IdFormat::Default))
        )
        .into(),
        "inferenceClassification" => "focused".into(),
        "body" => {
            let body = parts::body(&item.mime.bytes());
            if prefer.text_body {
                json!({"contentType": "text", "content": body.text})
            } else {
                json!({"contentType": "html", "content": body.html})
            }
        }
        "uniqueBody" => {
            json!({"contentType": "text", "content": parts::body(&item.mime.bytes()).text})
        }
        "internetMessageHeaders" => parts::headers(&item.mime.bytes())
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect(),
        "sender" => facts.sender.as_ref().map_or(Value::Null, recipient),
        "from" => facts.from.as_ref().map_or(Value::Null, recipient),
        "toRecipients" => facts.to.iter().map(recipient).collect(),
        "ccRecipients" => facts.cc.iter().map(recipient).collect(),
        "bccRecipients" => facts.bcc.iter().map(recipient).collect(),
        "replyTo" => facts.reply_to.iter().map(recipient).collect(),
        "flag" => json!({"flagStatus": item.flag}),
        "meetingMessageType" => match facts.kind {
            ItemKind::Message => return None,
            ItemKind::MeetingRequest => "meetingRequest".into(),
            ItemKind::MeetingResponse => "meetingAccepted".into(),
            ItemKind::MeetingCancelled => "meetingCancelled".into(),
        },
        "isOutOfDate" if facts.kind != ItemKind::Message => false.into(),
        _ => return None,
    })
}

fn recipient(person: &Person) -> Value {
    json!({"emailAddress": {"name": person.name, "address": person.address}})
}

/// Mail with the same subject, `RE:` and `FW:` aside, is one conversation.
fn conversation(mailbox: &Mailbox, item: &Item) -> String {
    let mut topic = item.facts.subject.trim();
    while let Some((before, after)) = topic
        .split_once(':')
        .filter(|(b, _)| ["RE", "FW", "FWD", "AW", "WG"].contains(&b.to_ascii_uppercase().as_str()))
    {
        debug_assert!(before.len() < topic.len());
        topic = after.trim();
    }
    format!("AAQkAGQ4{}", ids::change_key(&format!("{}{topic}", mailbox.guid), 0, 0))
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
