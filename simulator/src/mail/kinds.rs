//! The kinds of generated mail: one writer each, the everyday ones and the odd ones.

use super::generate::{Letter, folded};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

type Writer = fn(&mut Letter) -> Vec<u8>;

/// Every kind with its name; the number of a message goes round this list.
pub(super) const WRITERS: [(&str, Writer); 22] = [
    ("plain", plain),
    ("alternative", alternative),
    ("pdf and csv attached", attachments),
    ("inline image", inline_image),
    ("names in RFC 2231", names_2231),
    ("names in RFC 2047", names_2047),
    ("forwarded message inside", nested),
    ("8-bit latin-1", latin1),
    ("odd charsets", odd_charset),
    ("long headers", long_headers),
    ("no Message-ID", no_message_id),
    ("Message-ID used again", same_message_id),
    ("automatic reply", automatic_reply),
    ("bounce", bounce),
    ("meeting request", meeting),
    ("empty body", empty),
    ("two hundred recipients", many_recipients),
    ("uuencode in the text", uuencoded),
    ("malformed headers", malformed),
    ("quoted-printable reply", quoted_reply),
    ("sensor alert", sensor_alert),
    ("bare LF and NUL", bare_line_ends),
];

const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";

fn plain(l: &mut Letter) -> Vec<u8> {
    format!("{}{TEXT}\r\n{}", l.head(true), l.text()).into_bytes()
}

fn alternative(l: &mut Letter) -> Vec<u8> {
    let b = l.boundary();
    let html = format!(
        "<html><body><p>Hello,</p><p>{}</p><ul><li>Building: {}</li><li>Priority: <b>{}</b></li></ul></body></html>",
        l.matter.1, l.building, l.priority
    );
    format!(
        "{}Content-Type: multipart/alternative; boundary=\"{b}\"\r\n\r\n--{b}\r\n{TEXT}\r\n{}\r\n--{b}\r\n\
         Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--{b}--\r\n",
        l.head(true),
        l.text()
    )
    .into_bytes()
}

/// A multipart/mixed of the text and these parts (each a whole part without its boundary).
fn mixed(l: &mut Letter, parts: &[String]) -> Vec<u8> {
    let b = l.boundary();
    let mut out = format!(
        "{}Content-Type: multipart/mixed; boundary=\"{b}\"\r\n\r\n--{b}\r\n{TEXT}\r\n{}",
        l.head(true),
        l.text()
    );
    for part in parts {
        let _ = write!(out, "\r\n--{b}\r\n{part}");
    }
    let _ = write!(out, "\r\n--{b}--\r\n");
    out.into_bytes()
}

fn file(content_type: &str, disposition: &str, bytes: &[u8]) -> String {
    format!(
        "Content-Type: {content_type}\r\nContent-Disposition: {disposition}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        folded(bytes)
    )
}

fn attachments(l: &mut Letter) -> Vec<u8> {
    let mut pdf = format!("%PDF-1.4\n% work order {}\n1 0 obj<</Type/Catalog>>endobj\n", l.order).into_bytes();
    pdf.extend((0..2_400_u32).map(|i| u8::try_from(i.wrapping_mul(l.order) % 256).unwrap_or(0)));
    pdf.extend_from_slice(b"\n%%EOF\n");
    let csv = format!("item,hours,amount\r\n{},3.5,412.50\r\ntravel,1,60.00\r\n", l.matter.0);
    let name = format!("order-{}.pdf", l.order);
    let parts = [
        file(
            &format!("application/pdf; name=\"{name}\""),
            &format!("attachment; filename=\"{name}\""),
            &pdf,
        ),
        file(
            "text/csv; charset=utf-8",
            "attachment; filename=\"hours.csv\"",
            csv.as_bytes(),
        ),
    ];
    mixed(l, &parts)
}

/// A PNG of one pixel: enough for anything that looks at the first bytes.
const PIXEL: [u8; 69] = [
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8,
    2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 0x0C, 0x49, 0x44, 0x41, 0x54, 8, 0xD7, 0x63, 0xF8, 0xCF, 0xC0, 0, 0,
    3, 1, 1, 0, 0x18, 0xDD, 0x8D, 0xB0, 0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

fn inline_image(l: &mut Letter) -> Vec<u8> {
    let b = l.boundary();
    let cid = format!("plan-{}@{}", l.order, l.domain());
    format!(
        "{}Content-Type: multipart/related; type=\"text/html\"; boundary=\"{b}\"\r\n\r\n--{b}\r\n\
         Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>{}</p><img src=\"cid:{cid}\" alt=\"plan\"></body></html>\r\n\
         --{b}\r\nContent-ID: <{cid}>\r\n{}\r\n--{b}--\r\n",
        l.head(true),
        l.matter.1,
        file("image/png; name=\"plan.png\"", "inline; filename=\"plan.png\"", &PIXEL)
    )
    .into_bytes()
}

fn names_2231(l: &mut Letter) -> Vec<u8> {
    let split = "attachment;\r\n filename*0*=UTF-8''Pr%C3%BCfbericht%20;\r\n filename*1*=%E2%80%93%20Aufzug;\r\n filename*2=\" B.txt\"";
    let parts = [
        file(
            "text/plain; charset=utf-8",
            split,
            "Report of the lift inspection.\r\n".as_bytes(),
        ),
        file(
            "application/octet-stream",
            "attachment; filename*=ISO-8859-1''Rechnung%20B%FCro.dat",
            b"\x00\x01\x02 measurements",
        ),
    ];
    mixed(l, &parts)
}

fn names_2047(l: &mut Letter) -> Vec<u8> {
    let encoded = STANDARD.encode("見積書 2026.txt");
    let name = format!("=?UTF-8?B?{encoded}?=");
    let parts = [file(
        &format!("text/plain; charset=utf-8; name=\"{name}\""),
        &format!("attachment; filename=\"{name}\""),
        "Estimate\r\n".as_bytes(),
    )];
    mixed(l, &parts)
}

fn nested(l: &mut Letter) -> Vec<u8> {
    let inner = format!(
        "From: \"Caretaker\" <caretaker@harbour-homes.example>\r\nTo: desk@harbour-homes.example\r\n\
         Subject: Photographs of {}\r\nDate: {}\r\nMessage-ID: <inner-{}@harbour-homes.example>\r\nMIME-Version: 1.0\r\n{TEXT}\r\nSee the hallway first.\r\n",
        l.building, l.date, l.order
    );
    let part = format!(
        "Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"Photographs.eml\"\r\n\r\n{inner}"
    );
    mixed(l, &[part])
}

fn latin1(l: &mut Letter) -> Vec<u8> {
    let mut out = format!(
        "{}Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        l.head_with(
            &format!("=?iso-8859-1?Q?T=FCr_klemmt,_Auftrag_{}?=", l.order),
            &format!("Message-ID: {}\r\n", l.message_id())
        )
    )
    .into_bytes();
    out.extend_from_slice(b"Sch\xF6nen guten Tag,\r\n\r\ndie T\xFCr zum Hof schlie\xDFt nicht mehr. Der T\xFCrschlie\xDFer ist \xF6lig.\r\n");
    out
}

fn odd_charset(l: &mut Letter) -> Vec<u8> {
    let (charset, body): (&str, &[u8]) = match l.index / 22 % 4 {
        0 => (
            "windows-1251",
            b"\xCF\xF0\xE8\xE2\xE5\xF2, \xED\xE5\xF2 \xE3\xEE\xF0\xFF\xF7\xE5\xE9 \xE2\xEE\xE4\xFB.\r\n",
        ),
        1 => (
            "shift_jis",
            b"\x82\xA8\x90\xA2\x98\x62\x82\xC9\x82\xC8\x82\xE8\x82\xDC\x82\xB7\x81\x42\r\n",
        ),
        2 => ("x-never-heard-of", b"High bytes \xE9\xFE\xFF without a meaning.\r\n"),
        _ => ("utf-7", b"Hi +AOQ- there\r\n"),
    };
    let mut out = format!(
        "{}Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        l.head(true)
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

fn long_headers(l: &mut Letter) -> Vec<u8> {
    let mut more = format!("Message-ID: {}\r\nReferences:", l.message_id());
    for i in 0..60 {
        let _ = write!(more, "\r\n <thread-{i}-{}@{}>", l.order, l.domain());
    }
    let _ = write!(more, "\r\nX-Routing-Note: {}\r\n", "hop ".repeat(400));
    let subject = format!("{}\r\n {}", l.subject(), "and one thing more ".repeat(30).trim_end());
    format!("{}{TEXT}\r\n{}", l.head_with(&subject, &more), l.text()).into_bytes()
}

fn no_message_id(l: &mut Letter) -> Vec<u8> {
    format!("{}{TEXT}\r\n{}", l.head(false), l.text()).into_bytes()
}

fn same_message_id(l: &mut Letter) -> Vec<u8> {
    // The scanner's firmware sends the same identifier with every mail.
    let more = "Message-ID: <scan-0001@copier.harbour-homes.example>\r\nX-Mailer: Copier 2.1\r\n";
    format!(
        "{}{TEXT}\r\nScan {} of {}.\r\n",
        l.head_with("Scan from the copier", more),
        l.index,
        l.date
    )
    .into_bytes()
}

fn automatic_reply(l: &mut Letter) -> Vec<u8> {
    let more = format!(
        "Message-ID: {}\r\nAuto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\nPrecedence: bulk\r\n",
        l.message_id()
    );
    format!(
        "{}{TEXT}\r\nI am away until Monday. In an emergency call the caretaker.\r\n",
        l.head_with(&format!("Automatic reply: {}", l.subject()), &more)
    )
    .into_bytes()
}

fn bounce(l: &mut Letter) -> Vec<u8> {
    let b = l.boundary();
    format!(
        "Return-Path: <>\r\nReceived: from mx.harbour-homes.example by mail.harbour-homes.example; {date}\r\nDate: {date}\r\n\
         From: Mail Delivery System <MAILER-DAEMON@harbour-homes.example>\r\nTo: desk@harbour-homes.example\r\n\
         Subject: Undeliverable: {subject}\r\nMessage-ID: {id}\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{b}\"\r\n\r\n--{b}\r\n{TEXT}\r\n\
         Your message could not be delivered to gone-{order}@example.net.\r\n\r\n--{b}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.harbour-homes.example\r\n\r\nFinal-Recipient: rfc822; gone-{order}@example.net\r\nAction: failed\r\n\
         Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such mailbox\r\n\r\n--{b}\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         From: desk@harbour-homes.example\r\nTo: gone-{order}@example.net\r\nSubject: {subject}\r\n\r\n--{b}--\r\n",
        date = l.date,
        subject = l.subject(),
        id = l.message_id(),
        order = l.order
    )
    .into_bytes()
}

fn meeting(l: &mut Letter) -> Vec<u8> {
    let b = l.boundary();
    let calendar = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Harbour Homes//Desk//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:visit-{order}@{domain}\r\n\
         DTSTAMP:20260201T080000Z\r\nDTSTART:20260210T090000Z\r\nDTEND:20260210T100000Z\r\nSUMMARY:Inspection {building}\r\n\
         ORGANIZER:mailto:{from}\r\nATTENDEE;RSVP=TRUE:mailto:desk@harbour-homes.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        order = l.order,
        domain = l.domain(),
        building = l.building,
        from = l.sender.1
    );
    format!(
        "{}Content-Type: multipart/alternative; boundary=\"{b}\"\r\n\r\n--{b}\r\n{TEXT}\r\nInspection of {}.\r\n\r\n--{b}\r\n\
         Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n\r\n{calendar}\r\n--{b}--\r\n",
        l.head_with(&format!("Inspection {}", l.building), &format!("Message-ID: {}\r\n", l.message_id())),
        l.building
    )
    .into_bytes()
}

fn empty(l: &mut Letter) -> Vec<u8> {
    format!(
        "{}{TEXT}\r\n",
        l.head_with("", &format!("Message-ID: {}\r\n", l.message_id()))
    )
    .into_bytes()
}

fn many_recipients(l: &mut Letter) -> Vec<u8> {
    let mut more = format!("Message-ID: {}\r\nCc: ", l.message_id());
    for i in 0..200 {
        let _ = write!(
            more,
            "{}\"Resident {i}\" <resident{i}@alder-court.example>",
            if i == 0 { "" } else { ",\r\n " }
        );
    }
    more.push_str("\r\n");
    format!("{}{TEXT}\r\n{}", l.head_with("Water off on Thursday", &more), l.text()).into_bytes()
}

fn uuencoded(l: &mut Letter) -> Vec<u8> {
    format!(
        "{}{TEXT}\r\nThe meter readings, as the old system sends them:\r\n\r\nbegin 644 meters.txt\r\n\
         +;65T97(@,3(Z(#0*\r\n`\r\nend\r\n",
        l.head(true)
    )
    .into_bytes()
}

fn malformed(l: &mut Letter) -> Vec<u8> {
    let date = match l.index / 22 % 3 {
        0 => "Thu, 99 Foo 20999 45:99:99 +9999",
        1 => "yesterday, about noon",
        _ => "Mon, 01 Jan 0001 00:00:00 -0000",
    };
    format!(
        "From: \"unfinished <nobody@@example..com\r\nTo: undisclosed-recipients:;\r\nDate: {date}\r\nSubject: =?utf-8?B?not*base64?= =?x?Q\r\n\
         Message-ID: no angle brackets {}\r\nContent-Type: multipart/mixed; boundary=never-used\r\nThis line is no header\r\n\r\n{}",
        l.order,
        l.text()
    )
    .into_bytes()
}

fn quoted_reply(l: &mut Letter) -> Vec<u8> {
    let more = format!(
        "Message-ID: {}\r\nIn-Reply-To: <wo-0-{}@harbour-homes.example>\r\nReply-To: replies@{}\r\nImportance: high\r\n",
        l.message_id(),
        l.order,
        l.domain()
    );
    format!(
        "{}Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Ja, am 14. pa=C3=9Ft es =E2=80=93 danke.=20\r\n\r\nA line that is longer than one may write in one piece, so it is =\r\nbroken here.\r\n\r\n> {}\r\n",
        l.head_with(&format!("RE: {}", l.subject()), &more),
        l.matter.1
    )
    .into_bytes()
}

fn sensor_alert(l: &mut Letter) -> Vec<u8> {
    let more = format!(
        "Message-ID: {}\r\nX-Priority: 1\r\nAuto-Submitted: auto-generated\r\n",
        l.message_id()
    );
    let json = format!(
        "{{\"sensor\":\"roof-{}\",\"moisture\":{},\"at\":{}}}\r\n",
        l.order,
        l.index % 100,
        l.sent_ms
    );
    format!(
        "{}Content-Type: application/json\r\n\r\n{json}",
        l.head_with("ALERT moisture", &more)
    )
    .into_bytes()
}

fn bare_line_ends(l: &mut Letter) -> Vec<u8> {
    let mut out = format!("{}{TEXT}\r\n{}", l.head(true), l.text())
        .replace("\r\n", "\n")
        .into_bytes();
    out.extend_from_slice(b"a NUL follows \x00 and a lone CR \r here\n");
    out
}
