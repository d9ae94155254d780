//! Rewrites the MIME boundaries of a message, as Exchange does when it generates MIME anew.

use rand::Rng;
use rand::rngs::SmallRng;

/// The same message with fresh boundaries. Everything between the boundaries stays byte for byte.
pub(crate) fn vary(bytes: &[u8], rng: &mut SmallRng) -> Vec<u8> {
    let mut known: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for found in boundaries(bytes) {
        if !known.iter().any(|(old, _)| *old == found) {
            let fresh = format!("_{:03}_{:016X}sim_", known.len(), rng.random::<u64>());
            known.push((found, fresh.into_bytes()));
        }
    }
    // The longest first: one boundary may begin with another (RFC 2046 5.1.2).
    known.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    let mut line_start = true;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        if line_start && rest.starts_with(b"--") && swap(rest, 2, &known, &mut out, &mut at) {
            line_start = false;
            continue;
        }
        let parameter = parameter_length(rest);
        if parameter > 0 && swap(rest, parameter, &known, &mut out, &mut at) {
            line_start = false;
            continue;
        }
        let byte = rest.first().copied().unwrap_or_default();
        line_start = byte == b'\n';
        out.push(byte);
        at += 1;
    }
    out
}

fn swap(rest: &[u8], skip: usize, known: &[(Vec<u8>, Vec<u8>)], out: &mut Vec<u8>, at: &mut usize) -> bool {
    let Some((before, after)) = rest.split_at_checked(skip) else {
        return false;
    };
    for (old, fresh) in known {
        if after.starts_with(old) {
            out.extend_from_slice(before);
            out.extend_from_slice(fresh);
            *at += skip + old.len();
            return true;
        }
    }
    false
}

/// Length of `boundary=` or `boundary="` at the start of `rest`, or 0.
fn parameter_length(rest: &[u8]) -> usize {
    const NAME: &[u8] = b"boundary=";
    match rest.get(..NAME.len()) {
        Some(head) if head.eq_ignore_ascii_case(NAME) => NAME.len() + usize::from(rest.get(NAME.len()) == Some(&b'"')),
        _ => 0,
    }
}

fn boundaries(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for at in 0..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let skip = parameter_length(rest);
        if skip == 0 {
            continue;
        }
        let value = rest.get(skip..).unwrap_or_default();
        let quoted = rest.get(skip - 1) == Some(&b'"');
        let end = value
            .iter()
            .position(|b| {
                if quoted {
                    *b == b'"' || *b == b'\n'
                } else {
                    *b == b';' || b.is_ascii_whitespace()
                }
            })
            .unwrap_or(value.len());
        // Very short ones are more likely prose than a boundary.
        if (4..=70).contains(&end) {
            out.push(value.get(..end).unwrap_or_default().to_vec());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::generate;
    use rand::SeedableRng as _;

    #[test]
    fn boundaries_change_on_every_call_and_the_parts_do_not() {
        let mut rng = SmallRng::seed_from_u64(4);
        let mail = generate::message(1, 2, 0);
        let (a, b) = (vary(&mail, &mut rng), vary(&mail, &mut rng));
        assert_ne!(a, mail);
        assert_ne!(a, b);
        let parser = mail_parser::MessageParser::default();
        let (before, after) = (parser.parse(&mail).unwrap(), parser.parse(&a).unwrap());
        assert_eq!(before.attachment_count(), 2);
        for at in 0..2 {
            assert_eq!(
                before.attachment(at).unwrap().contents(),
                after.attachment(at).unwrap().contents()
            );
        }
    }

    #[test]
    fn a_boundary_that_begins_with_another_is_kept_apart() {
        let mail = b"Content-Type: multipart/mixed; boundary=abcd\r\n\r\n--abcd\r\nContent-Type: multipart/mixed; boundary=\"abcd-2\"\r\n\r\n--abcd-2--\r\n--abcd--\r\n";
        let mut rng = SmallRng::seed_from_u64(4);
        let text = String::from_utf8(vary(mail, &mut rng)).unwrap();
        assert!(!text.contains("abcd"), "{text}");
        assert_eq!(text.matches("_000_").count(), 3);
        assert_eq!(text.matches("_001_").count(), 2);
    }

    #[test]
    fn mail_without_parts_stays_as_it_is() {
        let mail = generate::message(1, 0, 0);
        assert_eq!(vary(&mail, &mut SmallRng::seed_from_u64(4)), mail);
    }
}
