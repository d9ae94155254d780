//! Whole messages through the splitter: one test per rule.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Limits, ParsedMessage, Piece, Splitter};

/// The record, and the decoded bytes of each attachment. Checks that pieces come in order and agree with the record.
pub(super) fn split_by(raw: &[u8], step: usize, limits: Limits) -> (ParsedMessage, Vec<Vec<u8>>) {
    let mut splitter = Splitter::new(limits);
    let mut out = Vec::new();
    for chunk in raw.chunks(step) {
        splitter.push(chunk, &mut out);
        splitter.push(b"", &mut out);
    }
    let mut early = BTreeMap::new();
    for piece in &out {
        if let Piece::AttachmentStart { index } = piece {
            let known = splitter.attachment(*index).unwrap();
            early.insert(*index, (known.file_name.clone(), known.content_type.clone()));
        }
    }
    let record = splitter.finish(&mut out);
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    let mut open = None;
    for piece in out {
        match piece {
            Piece::AttachmentStart { index } => {
                assert_eq!((open, index as usize), (None, bodies.len()));
                open = Some(index);
                bodies.push(Vec::new());
            }
            Piece::AttachmentBytes { index, bytes } => {
                assert_eq!(open, Some(index));
                assert!(!bytes.is_empty() && bytes.len() <= 64 * 1024);
                bodies[index as usize].extend_from_slice(&bytes);
            }
            Piece::AttachmentEnd { index } => assert_eq!(open.take(), Some(index)),
        }
    }
    assert_eq!((open, bodies.len()), (None, record.attachments.len()));
    for (attachment, bytes) in record.attachments.iter().zip(&bodies) {
        assert_eq!(attachment.size, bytes.len() as u64);
        assert_eq!(attachment.sha256, format!("{:x}", Sha256::digest(bytes)));
        if let Some(known) = early.get(&attachment.index) {
            assert_eq!((&attachment.file_name, &attachment.content_type), (&known.0, &known.1));
        }
    }
    assert_eq!(record.size, raw.len() as u64);
    (record, bodies)
}

pub(super) fn split(raw: &str) -> (ParsedMessage, Vec<Vec<u8>>) {
    split_by(raw.as_bytes(), raw.len().max(1), Limits::default())
}

fn text(record: &ParsedMessage) -> &str {
    record.text.as_ref().map_or("", |body| &body.content)
}

const MIXED: &str = "From: Ann <ann@a.example>\r\nTo: b@b.example\r\nSubject: Report\r\nDate: Mon, 23 Nov 2026 17:57:28 +0000\r\n\
Message-ID: <1@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"outer\"\r\n\r\nThis is a preamble.\r\n\
--outer\r\nContent-Type: multipart/alternative; boundary=\"outer-inner\"\r\n\r\n--outer-inner\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\nCaf=C3=A9=\r\n.\r\n-- \r\nAnn\r\n--outer-inner\r\nContent-Type: text/html\r\n\r\n<p>Hi</p>\r\n\
--outer-inner\r\nContent-Type: text/calendar; method=request\r\n\r\nBEGIN:VCALENDAR\r\n--outer-inner--  \r\nepilogue\r\n--outer\r\n\
Content-Type: application/pdf; name=\"re/port.pdf\"\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n\
aGVs\r\nbG8=\r\n\r\n--outer\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\r\n\n--oute\r\n--outerx\r\n\r\n--outer\r\n\r\n--outer--\r\nafter\r\n";

#[test]
fn a_usual_message() {
    let (record, bodies) = split(MIXED);
    assert_eq!(text(&record), "Café.\r\n--\r\nAnn");
    assert_eq!(
        record.html.as_ref().map(|html| html.content.as_str()),
        Some("<p>Hi</p>")
    );
    assert_eq!(
        bodies,
        [&b"BEGIN:VCALENDAR"[..], b"hello", b"\0\r\r\n\n--oute\r\n--outerx\r\n"]
    );
    let names: Vec<_> = record
        .attachments
        .iter()
        .map(|a| (a.name.as_str(), a.file_name.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("invitation.ics", "001-invitation.ics"),
            ("re/port.pdf", "002-port.pdf"),
            ("attachment.bin", "003-attachment.bin")
        ]
    );
    assert!(record.attachments[0].alternative && !record.attachments[1].alternative);
    assert_eq!(
        record.calendar.as_ref().and_then(|calendar| calendar.method.as_deref()),
        Some("REQUEST")
    );
    assert_eq!(record.message_id.as_deref(), Some("1@a.example"));
    assert_eq!(record.date.as_deref(), Some("2026-11-23T17:57:28Z"));
    assert!(
        record.complete && record.limited.is_none() && record.notes.is_empty(),
        "{:?}",
        record.notes
    );
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<ParsedMessage>(&json).unwrap(), record);
    let summary = record.summary();
    assert_eq!(
        (summary.preview.as_str(), summary.attachment_count, summary.to_count),
        ("Café. -- Ann", 3, 1)
    );
}

#[test]
fn every_line_break_works() {
    let crlf = split(
        "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: a/b\r\n\r\ntwo\r\n--b--\r\n",
    );
    for (line_break, name) in [("\n", "LF"), ("\r", "CR")] {
        let raw = "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: a/b\n\ntwo\n--b--\n".replace('\n', line_break);
        let (record, bodies) = split(&raw);
        assert_eq!(
            (text(&record), &bodies, &record.subject, record.complete),
            ("one", &crlf.1, &crlf.0.subject, true),
            "{name}"
        );
    }
}

#[test]
fn a_message_without_structure() {
    for (raw, expected) in [
        ("", ""),
        ("Subject: x", ""),
        ("\r\nbody\r\n", "body\r\n"),
        ("no header at all\r\nbody\r\n", "no header at all\r\nbody\r\n"),
        ("Subject: x\r\nHello\r\nbody", "Hello\r\nbody"),
        ("From a@b Mon\r\nSubject: x\r\n\r\nbody", "body"),
        ("Content-Type: multipart/mixed\r\n\r\n--x\r\nbody", "--x\r\nbody"),
        ("Content-Type: nonsense\r\n\r\nbody", "body"),
        ("Content-Transfer-Encoding: base64\r\n\r\nYm9keQ==", "body"),
        ("\r\n-", "-"),
        ("\r\n--", "--"),
    ] {
        let (record, bodies) = split(raw);
        assert_eq!(
            (text(&record), bodies.len(), record.complete),
            (expected, 0, true),
            "{raw:?}"
        );
    }
}

#[test]
fn boundaries_that_are_missing_or_wrong() {
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (body, expected, attachments, complete) in [
        ("--b\r\n\r\none\r\n", "one\r\n", 0, false),
        ("--b\r\n\r\none\r\n--b--", "one", 0, true),
        ("--b\r\n\r\none\r\n--b-- \t\r\n--b\r\n\r\nlate", "one", 0, true),
        ("only a preamble", "only a preamble", 0, false),
        (
            "--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\none\r\n--b\r\nContent-Type: a/b\r\n\r\n--b--",
            "one",
            1,
            true,
        ),
        (
            "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\nnever divided\r\n--b--",
            "never divided",
            0,
            true,
        ),
        ("--b\r\nContent-Type: a/b\r\n--b\r\n\r\none\r\n--b--", "one", 1, true),
        ("--b\r\n--b\r\n--b\r\n\r\none\r\n--b--", "one", 0, true),
        ("--b\r\n", "", 0, false),
        // The inner one is closed, the outer one is not.
        (
            "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c--\r\n",
            "one",
            0,
            false,
        ),
        // Both have the same boundary: the inner one is closed first, the outer one goes on.
        (
            "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n--b\r\nContent-Type: a/b\r\n\r\n--b--",
            "one",
            1,
            true,
        ),
        ("--b\r\n\r\none\r\n--B\r\ntwo\r\n--b--", "one\r\n--B\r\ntwo", 0, true),
    ] {
        let (record, bodies) = split(&format!("{head}{body}"));
        assert_eq!(
            (text(&record), bodies.len(), record.complete),
            (expected, attachments, complete),
            "{body:?}"
        );
    }
    // Without an empty line after the header.
    let (record, _) = split("Content-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\none\r\n--b--");
    assert_eq!((text(&record), record.complete), ("one", true));
}

#[test]
fn an_attached_message_is_one_attachment() {
    let inner = "Subject: =?utf-8?q?In=C3=ADcio?=\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: a/b\r\n\r\nx\r\n--i--\r\n";
    let raw = format!(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n{inner}\r\n--b\r\nContent-Type: message/rfc822; name=kept\r\n\r\n{inner}\r\n--b--"
    );
    let (record, bodies) = split(&raw);
    assert_eq!(bodies, [inner.as_bytes(), inner.as_bytes()]);
    assert_eq!(
        (
            record.attachments[0].name.as_str(),
            record.attachments[0].file_name.as_str()
        ),
        ("Início.eml", "001-message.eml")
    );
    assert_eq!(
        (
            record.attachments[1].name.as_str(),
            record.attachments[1].content_type.as_str()
        ),
        ("kept.eml", "message/rfc822")
    );
}

#[test]
fn reports_and_calendars() {
    let (record, _) = split(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nx\r\n--b\r\nContent-Type: text/calendar\r\n\r\nMETHOD:CANCEL\r\n--b--",
    );
    assert!(record.verdicts.bounce.is_some());
    assert_eq!(
        record.calendar.map(|calendar| (calendar.index, calendar.method)),
        Some((1, Some("CANCEL".to_owned())))
    );
}

#[test]
fn named_texts_are_files_unless_they_come_first() {
    let part = "--b\r\nContent-Type: text/plain; name=a.txt\r\n\r\nx\r\n";
    let (record, bodies) = split(&format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}{part}--b--"
    ));
    assert_eq!((text(&record), bodies.len()), ("x", 1));
}

#[test]
fn limits_are_said_and_raw_size_counts_on() {
    let small = Limits {
        depth: 2,
        parts: 3,
        header_block: 200,
        text: 10,
        headers: 4,
        header: 100,
        ..Limits::default()
    };
    let level = |name: &str| format!("Content-Type: multipart/mixed; boundary={name}\r\n\r\n--{name}\r\n");
    let part = "--a\r\nContent-Type: x/y\r\n\r\nz\r\n".to_owned();
    for (raw, reason, attachments, complete) in [
        (
            format!("{}{}{}", level("a"), level("b"), level("c")),
            "nested",
            0,
            false,
        ),
        (
            format!("{}\r\n\r\n{}--a--", level("a"), part.repeat(5)),
            "parts",
            1,
            true,
        ),
        (format!("A: {}\r\n\r\nx", "y".repeat(300)), "header block", 0, true),
        (
            format!("{}A: {}\r\n\r\nx\r\n{part}--a--\r\n", level("a"), "y".repeat(300)),
            "header block",
            0,
            true,
        ),
        ("\r\n01234567890".to_owned(), "text", 0, true),
        (
            format!("{}\r\n0123456\r\n--a\r\n\r\n0123456\r\n{part}--a--", level("a")),
            "text",
            0,
            true,
        ),
        ("A: b\r\n".repeat(5) + "\r\nx", "header fields", 0, true),
        (format!("A: {}\r\n\r\nx", "y".repeat(120)), "header field", 0, true),
    ] {
        for step in [1, 7, raw.len()] {
            let (record, bodies) = split_by(raw.as_bytes(), step, small);
            assert!(
                record
                    .limited
                    .as_deref()
                    .is_some_and(|limited| limited.contains(reason)),
                "{raw:?}: {:?}",
                record.limited
            );
            assert_eq!(
                (bodies.len(), record.complete),
                (attachments, complete),
                "{raw:?} by {step}"
            );
        }
    }
    // The last bytes of base64 without padding come when the part is over.
    let (record, _) = split_by(b"Content-Transfer-Encoding: base64\r\n\r\nMDEyMzQ1Njc4OTA", 3, small);
    assert_eq!(
        record.text.map(|text| (text.content.len(), text.truncated)),
        Some((10, true))
    );
    let (record, _) = split_by(b"\r\n0123456789", 3, small);
    assert_eq!(
        (record.limited, record.text.map(|text| text.truncated)),
        (None, Some(false))
    );
}
