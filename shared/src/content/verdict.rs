//! Who or what sent this: verdicts with their evidence. They flag; they never drop a message (P65, P66).

use super::address;
use super::head::Head;
use super::message::{Verdict, Verdicts};
use super::parameters::Structured;
use super::text::at_most;

/// Bytes of one piece of evidence.
const LONGEST: usize = 200;

/// Fields with which programs of before RFC 3834 announce an automatic answer.
const AUTOMATIC_ANSWER: [&str; 5] = [
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponse",
    "X-AutoReply-From",
    "X-Auto-Reply-From",
];

/// Judges the header of a message; `content_type` is its own `Content-Type`.
pub(super) fn judge(head: &Head<'_>, content_type: &Structured) -> Verdicts {
    let precedence = one_of(head, "Precedence", &["auto_reply", "auto-reply"]);
    let automatic = head.fields.iter().find(|field| {
        AUTOMATIC_ANSWER
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name))
    });
    let list = ["List-Id", "List-Post", "Mailing-List", "X-Mailing-List"]
        .into_iter()
        .find_map(|name| evidence(head, name));
    let mailing_list = list.or_else(|| one_of(head, "Precedence", &["list"]));
    let bulk = one_of(head, "Precedence", &["bulk", "junk"]).or_else(|| {
        if mailing_list.is_none() {
            evidence(head, "List-Unsubscribe")
        } else {
            None
        }
    });
    let report = (content_type.value == "multipart/report")
        .then(|| content_type.get("report-type"))
        .flatten();
    let report = report.map(|kind| kind.trim().to_ascii_lowercase());
    Verdicts {
        auto_submitted: auto_submitted(head)
            .or_else(|| automatic.map(|field| verdict(field.name, &field.decoded())))
            .or(precedence),
        bounce: (report.as_deref() == Some("delivery-status"))
            .then(|| verdict("Content-Type", "multipart/report; report-type=delivery-status"))
            .or_else(|| evidence(head, "X-Failed-Recipients"))
            .or_else(|| null_return_path(head)),
        receipt: (report.as_deref() == Some("disposition-notification"))
            .then(|| verdict("Content-Type", "multipart/report; report-type=disposition-notification")),
        mailing_list,
        bulk,
        auto_response_suppress: evidence(head, "X-Auto-Response-Suppress"),
    }
}

/// Adds what a part tells.
pub(super) fn add_part(verdicts: &mut Verdicts, content_type: &str) {
    let place = match content_type {
        "message/delivery-status" | "message/global-delivery-status" => &mut verdicts.bounce,
        "message/disposition-notification" | "message/global-disposition-notification" => &mut verdicts.receipt,
        _ => return,
    };
    place.get_or_insert_with(|| Verdict {
        evidence: format!("a part of type {content_type}"),
    });
}

/// RFC 3834 section 5: anything but `no` is automatic; parameters and comments do not count.
fn auto_submitted(head: &Head<'_>) -> Option<Verdict> {
    let field = head.first("Auto-Submitted")?;
    let value = field.decoded();
    let keyword = Structured::parse(&value).value;
    (!keyword.is_empty() && keyword != "no").then(|| verdict(field.name, &value))
}

/// An empty return path alone is also what receipts and automatic answers have; with a mail system as its author it is
/// a bounce of the days before RFC 3464.
fn null_return_path(head: &Head<'_>) -> Option<Verdict> {
    let path: String = head
        .value("Return-Path")?
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    if path != "<>" {
        return None;
    }
    let from = head.value("From")?;
    let (authors, _) = address::parse(&from, 1);
    let local = authors
        .first()?
        .address
        .as_deref()?
        .split('@')
        .next()?
        .to_ascii_lowercase();
    matches!(local.as_str(), "mailer-daemon" | "postmaster").then(|| Verdict {
        evidence: format!("Return-Path: <> and From: {}", at_most(&from, LONGEST)),
    })
}

fn one_of(head: &Head<'_>, name: &str, values: &[&str]) -> Option<Verdict> {
    let field = head.first(name)?;
    let value = field.decoded();
    values
        .iter()
        .any(|known| value.eq_ignore_ascii_case(known))
        .then(|| verdict(field.name, &value))
}

fn evidence(head: &Head<'_>, name: &str) -> Option<Verdict> {
    let field = head.first(name)?;
    let value = field.decoded();
    (!value.is_empty()).then(|| verdict(field.name, &value))
}

fn verdict(name: &str, value: &str) -> Verdict {
    Verdict {
        evidence: format!("{}: {}", at_most(name, LONGEST), at_most(value, LONGEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Structured, judge};
    use crate::content::head::Head;

    /// Which verdicts a header gets: automatic, bounce, receipt, list, bulk, suppress.
    fn flags(block: &str) -> String {
        let head = Head::parse(block.as_bytes(), 100, 1_000);
        let verdicts = judge(
            &head,
            &Structured::parse(&head.value("content-type").unwrap_or_default()),
        );
        [
            ('a', verdicts.auto_submitted),
            ('b', verdicts.bounce),
            ('r', verdicts.receipt),
            ('l', verdicts.mailing_list),
            ('k', verdicts.bulk),
            ('s', verdicts.auto_response_suppress),
        ]
        .into_iter()
        .filter_map(|(flag, verdict)| verdict.map(|verdict| (flag, verdict)))
        .inspect(|(_, verdict)| assert!(verdict.evidence.contains(": ")))
        .map(|(flag, _)| flag)
        .collect()
    }

    #[test]
    fn verdicts_and_false_alarms() {
        for (block, expected) in [
            ("Auto-Submitted: auto-replied (vacation)\n", "a"),
            ("Auto-Submitted: auto-generated; owner-email=a@b\n", "a"),
            ("Auto-Submitted: no\n", ""),
            ("Auto-Submitted: NO (really)\n", ""),
            ("X-Autoreply: yes\n", "a"),
            ("Precedence: auto_reply\n", "a"),
            ("X-Auto-Response-Suppress: All\n", "s"),
            ("X-Auto-Response-Suppress: DR, OOF, AutoReply\nSubject: Lunch?\n", "s"),
            (
                "Content-Type: multipart/report; boundary=b;\n report-type=\"delivery-status\"\n",
                "b",
            ),
            (
                "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n",
                "r",
            ),
            (
                "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n",
                "",
            ),
            ("Return-Path: <>\nFrom: Mail System <MAILER-DAEMON@a>\n", "b"),
            ("Return-Path: <>\nFrom: Ann <ann@a>\n", ""),
            ("Return-Path: <x@a>\nFrom: postmaster@a\n", ""),
            ("X-Failed-Recipients: a@b\n", "b"),
            ("List-Id: <x.example>\nList-Unsubscribe: <mailto:a@b>\n", "l"),
            ("Precedence: list\n", "l"),
            ("Precedence: bulk\n", "k"),
            ("List-Unsubscribe: <mailto:a@b>\n", "k"),
            ("Precedence: first-class\n", ""),
        ] {
            assert_eq!(flags(block), expected, "{block:?}");
        }
    }
}
