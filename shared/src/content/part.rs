//! What one part says about itself: type, disposition, name; and whether it is a body or an attachment.

use super::boundary::Kind;
use super::file_name;
use super::head::Head;
use super::message::Attachment;
use super::message_id::normalise_message_id;
use super::parameters::Structured;
use super::text::at_most;

/// Bytes of a media type or a disposition that are kept.
const LONGEST: usize = 255;

/// The header of a part, understood.
#[derive(Debug)]
pub(super) struct Part {
    /// Media type in lower case; never empty.
    pub(super) media_type: String,
    /// The field `Content-Type` with its parameters.
    pub(super) content_type: Structured,
    /// `Content-Transfer-Encoding` as written.
    pub(super) encoding: Option<String>,
    /// The displayed name, if the part has one.
    pub(super) name: Option<String>,
    disposition: Option<String>,
    content_id: Option<String>,
    parent: Option<Kind>,
}

impl Part {
    /// Reads the header of a part inside a multipart of the kind `parent`.
    pub(super) fn of(head: &Head<'_>, parent: Option<Kind>, longest_name: usize) -> Self {
        let content_type = Structured::parse(&head.value("Content-Type").unwrap_or_default());
        let disposition = head.value("Content-Disposition").map(|field| Structured::parse(&field));
        let default = if parent == Some(Kind::Digest) && content_type.value.is_empty() {
            "message/rfc822"
        } else {
            "text/plain"
        };
        // RFC 2045 section 5.2: what is no media type counts as plain text.
        let media_type = if is_media_type(&content_type.value) {
            content_type.value.clone()
        } else {
            default.to_owned()
        };
        let name = disposition
            .as_ref()
            .and_then(|field| field.get("filename"))
            .or_else(|| content_type.get("name"));
        Self {
            media_type,
            encoding: head.value("Content-Transfer-Encoding"),
            name: name.and_then(|name| file_name::displayed(&name, longest_name)),
            disposition: disposition
                .map(|field| at_most(&field.value, LONGEST).to_owned())
                .filter(|value| !value.is_empty()),
            content_id: head.value("Content-ID").and_then(|id| normalise_message_id(&id)),
            content_type,
            parent,
        }
    }

    /// Whether this leaf is shown as text. An unknown disposition means attachment (RFC 2183 section 2.8). A text with
    /// a file name is a file, unless it is the first thing to be shown (RFC 8621 section 4.1.4).
    pub(super) fn is_body(&self, body_seen: bool) -> bool {
        let shown = self
            .disposition
            .as_deref()
            .is_none_or(|disposition| disposition == "inline");
        let named_later = self.name.is_some() && body_seen;
        shown && !named_later && matches!(self.media_type.as_str(), "text/plain" | "text/html")
    }

    /// The attachment this leaf is, before its first byte.
    pub(super) fn attachment(&self, index: u32, encoding_note: Option<String>, longest_name: usize) -> Attachment {
        let mut name = self
            .name
            .clone()
            .unwrap_or_else(|| file_name::of_type(&self.media_type).to_owned());
        let is_message = matches!(self.media_type.as_str(), "message/rfc822" | "message/global");
        if is_message && !name.to_ascii_lowercase().ends_with(".eml") {
            name = file_name::displayed(&format!("{name}.eml"), longest_name).unwrap_or(name);
        }
        let inline = match self.disposition.as_deref() {
            Some(disposition) => disposition == "inline",
            None => self.content_id.is_some() && self.parent == Some(Kind::Related),
        };
        Attachment {
            index,
            file_name: file_name::safe(index, &name),
            name,
            content_type: self.media_type.clone(),
            size: 0,
            sha256: String::new(),
            content_id: self.content_id.clone(),
            disposition: self.disposition.clone(),
            inline,
            alternative: self.parent == Some(Kind::Alternative),
            encoding_note,
        }
    }
}

/// Two tokens of RFC 2045 section 5.1 with a slash between.
fn is_media_type(value: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'^'..=b'~'))
    };
    value.len() <= LONGEST
        && value
            .split_once('/')
            .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use super::Part;
    use crate::content::boundary::Kind;
    use crate::content::head::Head;

    fn part(block: &str, parent: Option<Kind>) -> Part {
        Part::of(&Head::parse(block.as_bytes(), 100, 10_000), parent, 255)
    }

    #[test]
    fn bodies_and_attachments() {
        for (block, seen, body) in [
            ("", false, true),
            ("Content-Type: text/html\n", true, true),
            ("Content-Type: nonsense\n", false, true),
            ("Content-Type: a/b/c\n", false, true),
            ("Content-Type: text/enriched\n", false, false),
            ("Content-Disposition: attachment\n", false, false),
            ("Content-Disposition: INLINE; filename=a.txt\n", false, true),
            ("Content-Disposition: inline; filename=a.txt\n", true, false),
            ("Content-Type: text/plain; name=a.txt\n", true, false),
            ("Content-Disposition: unknown\n", false, false),
            ("Content-Disposition: ; filename=x\n", false, true),
        ] {
            assert_eq!(part(block, None).is_body(seen), body, "{block:?}");
        }
    }

    #[test]
    fn defaults_and_names() {
        assert_eq!(part("", Some(Kind::Digest)).media_type, "message/rfc822");
        assert_eq!(
            part("Content-Type: text/plain\n", Some(Kind::Digest)).media_type,
            "text/plain"
        );
        let message = part("Content-Type: message/rfc822; name=\"Re: x\"\n", None).attachment(1, None, 255);
        assert_eq!(
            (message.name.as_str(), message.file_name.as_str()),
            ("Re: x.eml", "002-Re_x.eml")
        );
        let both = part(
            "Content-Type: a/b; name=old\nContent-Disposition: attachment; filename=new\n",
            None,
        );
        assert_eq!(both.name.as_deref(), Some("new"));
    }

    #[test]
    fn inline_and_alternative() {
        let image = "Content-Type: image/png\nContent-ID: <a@b>\n";
        let related = part(image, Some(Kind::Related)).attachment(0, None, 255);
        assert_eq!((related.inline, related.content_id.as_deref()), (true, Some("a@b")));
        assert!(!part(image, Some(Kind::Mixed)).attachment(0, None, 255).inline);
        assert!(
            part("Content-Type: text/calendar\n", Some(Kind::Alternative))
                .attachment(0, None, 255)
                .alternative
        );
    }
}
