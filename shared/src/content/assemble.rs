//! The header of a message becomes the first half of its record.

use super::head::{Field, Head};
use super::limits::Limits;
use super::message::{HeaderField, Mailbox, ParsedMessage, SCHEMA};
use super::message_id::{message_ids, normalise_message_id};
use super::notes::Notes;
use super::parameters::Structured;
use super::{address, date, text, verdict};

/// The raw date is kept up to the length of a line (RFC 5322 section 2.1.1).
const LONGEST_DATE: usize = 998;

/// The record as far as the header tells it; bodies, attachments, size and the end come from the splitter.
pub(super) fn record(head: &Head<'_>, limits: &Limits, notes: &mut Notes) -> ParsedMessage {
    let mut left = limits.addresses;
    let mut list = |name: &str, notes: &mut Notes| addresses(head, name, &mut left, limits, notes);
    let from = list("From", notes);
    let sender = list("Sender", notes);
    let reply_to = list("Reply-To", notes);
    let to = list("To", notes);
    let cc = list("Cc", notes);
    let bcc = list("Bcc", notes);
    let date_raw = head.first("Date").and_then(|field| text::some_line(&field.unfolded()));
    let date = date_raw.as_deref().and_then(date::parse).map(|at| at.to_string());
    if date_raw.is_some() && date.is_none() {
        notes.add("the date cannot be understood");
    }
    for name in ["From", "Subject", "Date", "Message-ID", "Content-Type"] {
        if head.all(name).nth(1).is_some() {
            notes.add(format!(
                "the field {name} is there more than once; the first one counts"
            ));
        }
    }
    let content_type = Structured::parse(&head.value("Content-Type").unwrap_or_default());
    let ids = |name: &str| head.value(name).map(|value| message_ids(&value)).unwrap_or_default();
    ParsedMessage {
        schema: SCHEMA.to_owned(),
        subject: head
            .first("Subject")
            .map(Field::decoded)
            .filter(|subject| !subject.is_empty()),
        from,
        sender: sender.into_iter().next(),
        reply_to,
        to,
        cc,
        bcc,
        date,
        date_raw: date_raw.map(|raw| text::at_most(&raw, LONGEST_DATE).to_owned()),
        message_id: head.value("Message-ID").and_then(|value| normalise_message_id(&value)),
        in_reply_to: ids("In-Reply-To"),
        references: ids("References"),
        text: None,
        html: None,
        attachments: Vec::new(),
        headers: head
            .fields
            .iter()
            .map(|field| HeaderField {
                name: field.name.to_owned(),
                value: field.decoded(),
            })
            .collect(),
        calendar: None,
        verdicts: verdict::judge(head, &content_type),
        authentication_results: head
            .first("Authentication-Results")
            .and_then(|field| text::some_line(&field.unfolded())),
        size: 0,
        complete: true,
        limited: None,
        notes: Vec::new(),
    }
}

/// The addresses of a field, which should be there once, but is not always.
fn addresses(head: &Head<'_>, name: &str, left: &mut usize, limits: &Limits, notes: &mut Notes) -> Vec<Mailbox> {
    let mut all = Vec::new();
    // A second author, added before or behind the real one, must not be shown; recipients harm nobody.
    let believed = if matches!(name, "From" | "Sender" | "Reply-To") {
        1
    } else {
        usize::MAX
    };
    for field in head.all(name).take(believed) {
        let (list, over) = address::parse(&field.unfolded(), *left);
        *left -= list.len();
        all.extend(list);
        if over {
            notes.limit(format!(
                "there are more than {} addresses; the record names the first ones",
                limits.addresses
            ));
        }
    }
    all
}

/// What the header limits cut, for the header of the message and of each part.
pub(super) fn note_limits(head: &Head<'_>, limits: &Limits, notes: &mut Notes) {
    if head.too_many {
        notes.limit(format!(
            "there are more than {} header fields; the record names the first ones",
            limits.headers
        ));
    }
    if head.too_long {
        notes.limit(format!(
            "a header field is longer than {} bytes and was cut",
            limits.header
        ));
    }
    if head.nameless {
        notes.add("a header field without a name was skipped");
    }
}

#[cfg(test)]
mod tests {
    use super::record;
    use crate::content::head::Head;
    use crate::content::limits::Limits;
    use crate::content::notes::Notes;

    #[test]
    fn header_becomes_record() {
        let block = b"Authentication-Results: own; spf=pass\nAuthentication-Results: forged; spf=pass\nFrom: =?utf-8?q?J=C3=B6rg?= <j@x>\n\
            From : second@x\nTo: a@b\nTo: c@d\nSubject: =?utf-8?q?a?=\n =?utf-8?q?b?=\nSubject: second\nDate: whenever\nMessage-ID: <1@x>\n\
            References: <a@x>\n <b@x>\nIn-Reply-To: <b@x>\n";
        let mut notes = Notes::default();
        let record = record(&Head::parse(block, 100, 1_000), &Limits::default(), &mut notes);
        assert_eq!(record.subject.as_deref(), Some("ab"));
        assert_eq!(record.from.first().and_then(|from| from.name.as_deref()), Some("Jörg"));
        assert_eq!(record.to.len(), 2);
        assert_eq!(record.authentication_results.as_deref(), Some("own; spf=pass"));
        assert_eq!((record.date, record.date_raw.as_deref()), (None, Some("whenever")));
        assert_eq!(record.message_id.as_deref(), Some("1@x"));
        assert_eq!(
            (record.references, record.in_reply_to),
            (vec!["a@x".to_owned(), "b@x".to_owned()], vec!["b@x".to_owned()])
        );
        assert_eq!((record.headers.len(), record.from.len()), (12, 1));
        assert_eq!(notes.into_parts().1.len(), 3);
    }

    #[test]
    fn addresses_are_limited_over_all_fields() {
        let limits = Limits {
            addresses: 3,
            ..Limits::default()
        };
        let mut notes = Notes::default();
        let record = record(
            &Head::parse(b"From: a@b\nTo: a@b, a@b, a@b\nCc: a@b\n", 100, 1_000),
            &limits,
            &mut notes,
        );
        assert_eq!((record.from.len(), record.to.len(), record.cc.len()), (1, 2, 0));
        assert!(notes.into_parts().0.is_some());
    }
}
