//! The short form of a message, for events and lists.

use serde::{Deserialize, Serialize};

use crate::message::cut;

use super::message::{Mailbox, ParsedMessage};

/// How many recipients and attachment names a summary names; beyond, the counts tell.
const NAMED: usize = 20;
/// Characters of the preview.
const PREVIEW: usize = 200;
/// Characters of a subject or a message id; the record has them whole.
const LONGEST: usize = 1_000;
/// Characters of a name or an address. At six bytes of JSON each, 40 of both stay far below what an event may have.
const NAME: usize = 250;
/// Bytes of a body that are looked at for the preview: mail from news letters starts with kilobytes of style.
const LOOKED_AT: usize = 128 * 1024;

/// What an event or a list says about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSummary {
    /// The subject.
    pub subject: Option<String>,
    /// The authors, at most 20.
    pub from: Vec<Mailbox>,
    /// The first 20 recipients.
    pub to: Vec<Mailbox>,
    /// How many recipients there are.
    pub to_count: usize,
    /// The date as RFC 3339 in UTC.
    pub date: Option<String>,
    /// The message id, normalised.
    pub message_id: Option<String>,
    /// How many attachments there are.
    pub attachment_count: usize,
    /// The displayed names of the first 20.
    pub attachment_names: Vec<String>,
    /// The first 200 characters of the text, or of what can be read in the HTML, white space collapsed.
    pub preview: String,
}

impl ParsedMessage {
    /// The short form for events and lists.
    pub fn summary(&self) -> MessageSummary {
        let text = self
            .text
            .as_ref()
            .map(|body| preview(&body.content))
            .filter(|preview| !preview.is_empty());
        let preview = text
            .or_else(|| self.html.as_ref().map(|body| preview(&visible_text(&body.content))))
            .unwrap_or_default();
        MessageSummary {
            subject: self.subject.as_deref().map(|subject| cut(subject, LONGEST)),
            from: self.from.iter().take(NAMED).map(short).collect(),
            to: self.to.iter().take(NAMED).map(short).collect(),
            to_count: self.to.len(),
            date: self.date.clone(),
            message_id: self.message_id.as_deref().map(|id| cut(id, LONGEST)),
            attachment_count: self.attachments.len(),
            attachment_names: self.attachments.iter().take(NAMED).map(|a| a.name.clone()).collect(),
            preview,
        }
    }
}

/// A sender may write kilobytes where a name belongs; an event has less than 250,000 bytes.
fn short(mailbox: &Mailbox) -> Mailbox {
    let mut mailbox = mailbox.clone();
    mailbox.name = mailbox.name.map(|name| cut(&name, NAME));
    mailbox.address = mailbox.address.map(|address| cut(&address, NAME));
    mailbox
}

fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LOOKED_AT)).unwrap_or_default()
}

/// The first characters, runs of white space and control characters as one space.
fn preview(text: &str) -> String {
    let words = start(text).split(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    let mut out = String::new();
    let mut count = 0;
    for word in words.filter(|word| !word.is_empty()) {
        let space = usize::from(count > 0);
        if count + space >= PREVIEW {
            break;
        }
        if space > 0 {
            out.push(' ');
        }
        count += space;
        for c in word.chars().take(PREVIEW - count) {
            out.push(c);
            count += 1;
        }
    }
    out
}

/// What a reader of the HTML would roughly see. Crude on purpose: for a preview, never to be shown as HTML.
fn visible_text(html: &str) -> String {
    let html = start(html);
    let mut out = String::with_capacity(html.len() / 4);
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        rest = if from.starts_with('<') {
            after_tag(from, &mut out)
        } else {
            after_entity(from, &mut out)
        };
    }
    out.push_str(rest);
    out
}

/// Skips the tag at the start of `from`; a comment, a style, a script or a title with all it holds.
fn after_tag<'a>(from: &'a str, out: &mut String) -> &'a str {
    if let Some(comment) = from.strip_prefix("<!--") {
        return comment.split_once("-->").map_or("", |(_, rest)| rest);
    }
    let inner = from.get(1..).unwrap_or_default();
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        out.push('<');
        return inner;
    }
    let Some((tag, rest)) = inner.split_once('>') else {
        return "";
    };
    let name: String = tag
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let name = name.to_ascii_lowercase();
    if !tag.starts_with('/') && matches!(name.as_str(), "style" | "script" | "title") {
        return after_close(rest, &name);
    }
    // Inline tags join, everything else separates words.
    if !matches!(name.as_str(), "b" | "i" | "u" | "em" | "strong" | "span" | "font" | "a") {
        out.push(' ');
    }
    rest
}

fn after_close<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = rest.get(at + 2..).unwrap_or_default();
        if rest
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
        {
            return rest.split_once('>').map_or("", |(_, rest)| rest);
        }
    }
    ""
}

fn after_entity<'a>(from: &'a str, out: &mut String) -> &'a str {
    let inner = from.get(1..).unwrap_or_default();
    let end = inner.bytes().take(10).position(|b| b == b';');
    if let Some((entity, rest)) = end.and_then(|end| Some((inner.get(..end)?, inner.get(end + 1..)?))) {
        let number = entity
            .strip_prefix('#')
            .and_then(|digits| match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => digits.parse().ok(),
            });
        let known = match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" | "zwnj" | "zwj" | "shy" => Some(' '),
            "auml" => Some('ä'),
            "ouml" => Some('ö'),
            "uuml" => Some('ü'),
            "szlig" => Some('ß'),
            "eacute" => Some('é'),
            "euro" => Some('€'),
            _ => number.and_then(char::from_u32),
        };
        if let Some(c) = known {
            out.push(c);
            return rest;
        }
    }
    out.push('&');
    inner
}

#[cfg(test)]
mod tests {
    use super::{preview, visible_text};

    #[test]
    fn preview_collapses_and_stops_at_200_characters() {
        assert_eq!(preview("  a \r\n\t b\u{0}c  "), "a b c");
        assert_eq!(preview(&"é".repeat(500)).chars().count(), 200);
        assert_eq!(preview(&"ab ".repeat(500)).chars().count(), 200);
    }

    #[test]
    fn html_becomes_readable() {
        let html = "<html><head><title>T</title><style>p{}</style></head><!-- no > --><body><p>Hello <b>wor</b>ld&nbsp;&amp; &#8364;</p><script>x<y</script>end";
        assert_eq!(preview(&visible_text(html)), "Hello world & € end");
        assert_eq!(preview(&visible_text("a &bogus; 1 < 2 &")), "a &bogus; 1 < 2 &");
        assert_eq!(preview(&visible_text("<style>never closed")), "");
    }

    #[test]
    fn hostile_html_takes_linear_time() {
        for unit in ["<", "<!--", "<style>", "&", "</", "<a", "&#"] {
            visible_text(&unit.repeat(200_000));
        }
    }
}
