//! Names of attachments: one to show, one for a disk. The sender's name is data, never a path.

use super::text::{at_most, is_bidi_control, one_line};

/// Bytes of a name on a disk, its number included.
const LONGEST: usize = 200;
/// Bytes of an ending that is worth keeping when a name is cut.
const LONGEST_ENDING: usize = 16;
/// Names that DOS and Windows give to devices, whatever the ending (Microsoft, "Naming Files, Paths, and Namespaces").
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// The name to show: no control characters, none that turn the direction of text, at most `longest` bytes.
pub(super) fn displayed(name: &str, longest: usize) -> Option<String> {
    let clean: String = one_line(name).chars().filter(|c| !is_bidi_control(*c)).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| shortened(clean, longest))
}

/// A name for a part without one, by its media type.
pub(super) fn of_type(content_type: &str) -> &'static str {
    match content_type {
        "message/rfc822" | "message/global" => "message.eml",
        "text/calendar" => "invitation.ics",
        "message/delivery-status" => "delivery-status.txt",
        "message/disposition-notification" => "disposition-notification.txt",
        "text/rfc822-headers" => "headers.txt",
        "text/plain" => "text.txt",
        "text/html" => "text.html",
        "text/csv" => "table.csv",
        "text/vcard" | "text/x-vcard" => "contact.vcf",
        "image/jpeg" | "image/jpg" => "image.jpg",
        "image/png" => "image.png",
        "image/gif" => "image.gif",
        "application/pdf" => "document.pdf",
        "application/zip" => "archive.zip",
        "application/ms-tnef" | "application/vnd.ms-tnef" => "winmail.dat",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "smime.p7s",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "smime.p7m",
        "application/pgp-signature" => "signature.asc",
        _ => "attachment.bin",
    }
}

/// The name for a disk: `[A-Za-z0-9._-]`, numbered, at most 200 bytes, no device, no dots at its ends.
pub(super) fn safe(index: u32, name: &str) -> String {
    let number = format!("{:03}-", u64::from(index) + 1);
    let last = name
        .rsplit(['/', '\\'])
        .find(|part| !part.trim_matches(['.', ' ']).is_empty())
        .unwrap_or_default();
    let mut safe = String::with_capacity(last.len().min(LONGEST));
    for c in last.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '_'
        };
        let doubled = matches!(c, '.' | '_') && safe.ends_with(c);
        if !doubled {
            safe.push(c);
        }
    }
    let trimmed = safe.trim_matches('.');
    // The number already makes a device of nobody; but someone may cut it off.
    let stem = trimmed.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let device = DEVICES.contains(&stem.trim_end_matches(|c: char| c.is_ascii_digit()));
    let kept = match (trimmed.trim_matches('_').is_empty(), device) {
        (true, _) => "attachment".to_owned(),
        (false, true) => format!("_{trimmed}"),
        (false, false) => trimmed.to_owned(),
    };
    let kept = shortened(&kept, LONGEST - number.len());
    format!("{number}{}", kept.trim_end_matches('.'))
}

/// Cuts the stem rather than the ending.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let ending = name.rfind('.').and_then(|at| name.get(at..)).unwrap_or_default();
    if ending.len() > LONGEST_ENDING || ending.len() >= longest {
        return at_most(name, longest).to_owned();
    }
    format!(
        "{}{ending}",
        at_most(name, longest - ending.len()).trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::{displayed, safe};
    use proptest::prelude::*;

    #[test]
    fn shown_names() {
        assert_eq!(
            displayed("in\u{202e}voice\u{0}\r\n.pdf", 255).as_deref(),
            Some("invoice .pdf")
        );
        assert_eq!(displayed("\u{200f} ", 255), None);
        let long = displayed(&("é".repeat(300) + ".pdf"), 255).unwrap();
        assert!(long.len() <= 255 && long.ends_with("é.pdf"));
    }

    #[test]
    fn names_for_a_disk() {
        for (name, expected) in [
            ("report.pdf", "001-report.pdf"),
            ("../../etc/passwd", "001-passwd"),
            ("..\\..\\a b.txt", "001-a_b.txt"),
            ("C:\\x\\CON", "001-_CON"),
            ("com1.txt", "001-_com1.txt"),
            ("a:stream", "001-a_stream"),
            ("...", "001-attachment"),
            ("trailing. ", "001-trailing._"),
            ("%2e%2e/", "001-_2e_2e"),
            ("résumé.pdf", "001-r_sum_.pdf"),
            ("日本.txt", "001-_.txt"),
            ("", "001-attachment"),
        ] {
            assert_eq!(safe(0, name), expected, "{name:?}");
        }
        let cut_at_a_dot = safe(0, &format!("{}.xxxxx.bb", "a".repeat(192)));
        assert!(cut_at_a_dot.ends_with("a.bb"), "{cut_at_a_dot}");
        let cut_before_the_ending = safe(0, &format!("{}.{}", "a".repeat(195), "b".repeat(20)));
        assert!(cut_before_the_ending.ends_with('a'), "{cut_before_the_ending}");
        assert_eq!(safe(1_999, "x"), "2000-x");
        assert_eq!(safe(u32::MAX, "x"), "4294967296-x");
    }

    proptest! {
        #[test]
        fn always_safe(name in any::<String>(), index in any::<u32>()) {
            for name in [name.clone(), name.repeat(50), format!("../{name}.{name}")] {
                let safe = safe(index, &name);
                prop_assert!(safe.len() <= 200);
                prop_assert!(safe.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
                prop_assert!(!safe.contains("..") && !safe.ends_with('.') && !safe.starts_with('.'));
            }
        }
    }
}
