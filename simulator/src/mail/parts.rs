//! Bodies, headers and attachments of a message, read from its MIME when someone asks for them.

use super::facts::parse;
use bytes::Bytes;
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders as _, PartType};

/// One attachment as Graph sees it.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) content_id: Option<String>,
    pub(crate) inline: bool,
    /// An attached message: Graph calls it an item attachment.
    pub(crate) item: bool,
    pub(crate) bytes: Bytes,
}

/// Text and HTML of a message; HTML is what Graph shows unless asked otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) text: String,
    pub(crate) html: String,
}

/// The body, empty for mail without one.
pub(crate) fn body(bytes: &[u8]) -> Body {
    let Some(message) = parse(bytes) else {
        return Body {
            text: String::new(),
            html: String::new(),
        };
    };
    let text = text_of(&message);
    let html = match message.html_part(0).map(|part| &part.body) {
        Some(PartType::Html(html)) => html.clone().into_owned(),
        _ => format!(
            "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"></head><body><div class=\"PlainText\">{}</div></body></html>",
            escape(&text).replace('\n', "<br>\n")
        ),
    };
    Body { text, html }
}

/// The header fields in order, as name and raw value.
pub(crate) fn headers(bytes: &[u8]) -> Vec<(String, String)> {
    let Some(message) = parse(bytes) else {
        return Vec::new();
    };
    message
        .headers_raw()
        .map(|(name, value)| (name.to_owned(), value.trim().replace(['\r', '\n', '\t'], "")))
        .collect()
}

/// All attachments, inline ones included.
pub(crate) fn attachments(bytes: &[u8]) -> Vec<Attachment> {
    parse(bytes).map(|message| attachments_of(&message)).unwrap_or_default()
}

pub(super) fn text_of(message: &Message<'_>) -> String {
    match message.text_part(0).map(|part| &part.body) {
        Some(PartType::Text(text)) => text.clone().into_owned(),
        Some(PartType::Html(html)) => strip(html),
        _ => String::new(),
    }
}

pub(super) fn attachments_of(message: &Message<'_>) -> Vec<Attachment> {
    message
        .attachments()
        .filter(|part| !(part.is_content_type("text", "calendar") && part.attachment_name().is_none()))
        .enumerate()
        .map(|(at, part)| attachment(&message.raw_message, at, part))
        .collect()
}

fn attachment(raw: &[u8], at: usize, part: &MessagePart<'_>) -> Attachment {
    let content_type = part.content_type().map_or_else(
        || "application/octet-stream".to_owned(),
        |ct| format!("{}/{}", ct.c_type, ct.c_subtype.as_deref().unwrap_or("octet-stream")).to_ascii_lowercase(),
    );
    let content_id = part.content_id().map(|id| id.trim_matches(['<', '>']).to_owned());
    let disposed_inline = part
        .content_disposition()
        .is_some_and(|cd| cd.c_type.eq_ignore_ascii_case("inline"));
    let (item, bytes, inner_subject) = match &part.body {
        PartType::Message(inner) => {
            // An unencoded message is parsed in place: its bytes are a stretch of the outer one.
            let own = match part.encoding {
                Encoding::None => usize::try_from(part.offset_body)
                    .ok()
                    .zip(usize::try_from(part.offset_end).ok()),
                _ => None,
            };
            let own = own
                .and_then(|(from, to)| raw.get(from..to))
                .unwrap_or(&inner.raw_message);
            (true, Bytes::copy_from_slice(own), inner.subject().map(str::to_owned))
        }
        _ => (false, Bytes::copy_from_slice(part.contents()), None),
    };
    let name = part
        .attachment_name()
        .map(str::to_owned)
        .or(inner_subject)
        .unwrap_or_else(|| {
            format!(
                "ATT{:05}{}",
                at + 1,
                if content_type.starts_with("text/") {
                    ".txt"
                } else {
                    ".dat"
                }
            )
        });
    Attachment {
        name,
        content_type,
        inline: disposed_inline && content_id.is_some(),
        content_id,
        item,
        bytes,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// HTML without its tags: enough for a preview.
fn strip(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            _ if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::generate;

    #[test]
    fn names_are_read_in_both_encodings() {
        let names = |index| {
            attachments(&generate::message(1, index, 0))
                .into_iter()
                .map(|a| a.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(4), ["Prüfbericht – Aufzug B.txt", "Rechnung Büro.dat"]);
        assert_eq!(names(5), ["見積書 2026.txt"]);
    }

    #[test]
    fn an_attached_message_is_an_item_with_its_own_bytes() {
        let found = attachments(&generate::message(1, 6, 0));
        assert!(found[0].item);
        assert!(found[0].bytes.starts_with(b"From: \"Caretaker\""));
    }
}
