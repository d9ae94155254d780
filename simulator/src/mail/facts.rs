//! The properties Graph shows of a message, read from its MIME. Never fails: odd mail has few properties.

use super::parts;
use mail_parser::{Addr, Address, HeaderName, Message, MessageParser, MimeHeaders as _, PartType};

/// Beyond this many nested messages or multiparts only the header section is parsed: the parser
/// works by recursion and a mail can be made that exhausts the stack.
const DEEPEST: usize = 60;

/// Name and address of a sender or recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// What kind of item a message is in Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Message,
    MeetingRequest,
    MeetingResponse,
    MeetingCancelled,
}

/// The properties that lists and delta pages show.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) subject: String,
    pub(crate) from: Option<Person>,
    pub(crate) sender: Option<Person>,
    pub(crate) to: Vec<Person>,
    pub(crate) cc: Vec<Person>,
    pub(crate) bcc: Vec<Person>,
    pub(crate) reply_to: Vec<Person>,
    pub(crate) message_id: Option<String>,
    pub(crate) sent_ms: Option<i64>,
    pub(crate) preview: String,
    pub(crate) has_attachments: bool,
    pub(crate) high_importance: bool,
    pub(crate) kind: ItemKind,
}

/// Parses totally; `None` only for bytes the parser sees nothing in.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let parser = MessageParser::default();
    if nesting(bytes) > DEEPEST {
        parser.parse_headers(bytes)
    } else {
        parser.parse(bytes)
    }
}

/// Counts what can nest, without parsing: every nested thing must be announced by one of these words.
fn nesting(bytes: &[u8]) -> usize {
    let mut count = 0;
    for at in 0..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let hit = match rest.first() {
            Some(b'm' | b'M') => {
                starts(rest, b"message/rfc822") || starts(rest, b"message/global") || starts(rest, b"multipart/")
            }
            _ => false,
        };
        count += usize::from(hit);
    }
    count
}

fn starts(rest: &[u8], word: &[u8]) -> bool {
    rest.get(..word.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(word))
}

impl Facts {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        parse(bytes).map_or_else(Self::nothing, |message| Self::read(&message))
    }

    fn nothing() -> Self {
        Self {
            subject: String::new(),
            from: None,
            sender: None,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            message_id: None,
            sent_ms: None,
            preview: String::new(),
            has_attachments: false,
            high_importance: false,
            kind: ItemKind::Message,
        }
    }

    fn read(message: &Message<'_>) -> Self {
        let from = people(message.from()).into_iter().next();
        Self {
            subject: message.subject().unwrap_or_default().to_owned(),
            sender: people(message.sender()).into_iter().next().or_else(|| from.clone()),
            from,
            to: people(message.to()),
            cc: people(message.cc()),
            bcc: people(message.bcc()),
            reply_to: people(message.reply_to()),
            message_id: message.message_id().map(|id| format!("<{id}>")),
            sent_ms: message
                .date()
                .filter(|d| d.is_valid())
                .map(|d| d.to_timestamp().saturating_mul(1000)),
            preview: parts::text_of(message)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(255)
                .collect(),
            has_attachments: parts::attachments_of(message).iter().any(|a| !a.inline),
            high_importance: header_is(message, HeaderName::Importance, "high")
                || header_is(message, HeaderName::Other("X-Priority".into()), "1"),
            kind: kind_of(message),
        }
    }
}

fn header_is(message: &Message<'_>, name: HeaderName<'static>, value: &str) -> bool {
    message
        .header_raw(name)
        .is_some_and(|raw| raw.trim().eq_ignore_ascii_case(value))
}

fn kind_of(message: &Message<'_>) -> ItemKind {
    let calendar = message
        .parts
        .iter()
        .find(|part| part.is_content_type("text", "calendar"));
    let Some(part) = calendar else {
        return ItemKind::Message;
    };
    let method = part
        .content_type()
        .and_then(|ct| ct.attribute("method"))
        .unwrap_or_default();
    match (method.to_ascii_uppercase().as_str(), &part.body) {
        ("REQUEST", PartType::Text(_) | PartType::Binary(_)) => ItemKind::MeetingRequest,
        ("REPLY", _) => ItemKind::MeetingResponse,
        ("CANCEL", _) => ItemKind::MeetingCancelled,
        _ => ItemKind::Message,
    }
}

fn people(address: Option<&Address<'_>>) -> Vec<Person> {
    let one = |addr: &Addr<'_>| {
        let address = addr.address.as_deref().unwrap_or_default().to_owned();
        let name = addr
            .name
            .as_deref()
            .filter(|n| !n.is_empty())
            .map_or_else(|| address.clone(), str::to_owned);
        Person { name, address }
    };
    match address {
        None => Vec::new(),
        Some(Address::List(list)) => list.iter().map(one).collect(),
        Some(Address::Group(groups)) => groups.iter().flat_map(|g| g.addresses.iter()).map(one).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::generate;

    fn facts(index: u64) -> Facts {
        Facts::of(&generate::message(1, index, 1_770_000_000_000))
    }

    #[test]
    fn has_attachments_is_false_for_inline_pictures_only() {
        assert!(facts(2).has_attachments);
        assert!(!facts(3).has_attachments);
        assert!(!facts(0).has_attachments);
    }

    #[test]
    fn invitations_are_meeting_requests_without_attachments() {
        assert_eq!(facts(14).kind, ItemKind::MeetingRequest);
        assert!(!facts(14).has_attachments);
    }

    #[test]
    fn nesting_beyond_reason_is_not_parsed() {
        let mut mail = b"Subject: deep\r\n".to_vec();
        for _ in 0..40_000 {
            mail.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\n");
        }
        assert_eq!(Facts::of(&mail).subject, "deep");
    }

    #[test]
    fn anything_has_facts() {
        for bytes in [&b""[..], b"\xFF\xFE\x00", b"\r\n\r\n", b":", b"Subject"] {
            assert_eq!(Facts::of(bytes).to, Vec::new());
        }
    }
}
