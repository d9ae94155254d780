//! Base64 as a stream, tolerant: white space, missing padding, garbage, both alphabets (RFC 4648 sections 4 and 5).

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use memchr::{memchr, memchr_iter};

const PAD: u8 = 0x40;
const SPACE: u8 = 0x41;
const GARBAGE: u8 = 0x42;
/// Any of the three above: the bit no value has.
const NOT_A_VALUE: u8 = 0x40;

/// Value of each byte, or one of the marks above.
const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [GARBAGE; 256];
    let mut value = 0;
    while value < alphabet.len() {
        #[expect(clippy::cast_possible_truncation, reason = "64 letters")]
        {
            values[alphabet[value] as usize] = value as u8;
        }
        value += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values[b'=' as usize] = PAD;
    values[b' ' as usize] = SPACE;
    values[b'\t' as usize] = SPACE;
    values[b'\r' as usize] = SPACE;
    values[b'\n' as usize] = SPACE;
    values
};

/// A line without the CR of its break. One in its midst is left to whoever decodes byte by byte.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Decodes base64 that arrives in any chunks.
#[derive(Debug, Default)]
pub(super) struct Base64Stream {
    bits: u32,
    count: u8,
    pads: u8,
    ended: bool,
    garbage: u64,
    after_end: bool,
    /// Lines without their breaks, for a decoder that wants whole blocks.
    joined: Vec<u8>,
}

impl Base64Stream {
    /// Decodes what can be decoded so far.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() / 4 * 3 + 3);
        // What is left of a group of four that was cut.
        let mut rest = bytes;
        while self.count != 0
            && let Some((&byte, following)) = rest.split_first()
        {
            self.one(byte, out);
            rest = following;
        }
        if self.ended || !self.lines(rest, out) {
            for &byte in rest {
                self.one(byte, out);
            }
        }
    }

    /// Decodes lines as nearly all mail has them, a block at a time; false, and nothing is decoded, if anything else is among
    /// them. The group before the padding and what comes after it are taken byte by byte.
    fn lines(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        let mut from = 0;
        for at in memchr_iter(b'\n', bytes) {
            joined.extend_from_slice(without_cr(bytes.get(from..at).unwrap_or_default()));
            from = at + 1;
        }
        // The LF of a CR at the end may come with the next bytes.
        joined.extend_from_slice(without_cr(bytes.get(from..).unwrap_or_default()));
        let values = memchr(b'=', &joined).unwrap_or(joined.len());
        let (groups, rest) = joined.split_at(values - values % 4);
        let before = out.len();
        let decoded = STANDARD_NO_PAD.decode_vec(groups, out).is_ok();
        if decoded {
            for &byte in rest {
                self.one(byte, out);
            }
        } else {
            out.truncate(before);
        }
        self.joined = joined;
        decoded
    }

    fn one(&mut self, byte: u8, out: &mut Vec<u8>) {
        let value = VALUES[usize::from(byte)];
        if self.ended {
            // RFC 2045 section 6.8: padding is the end. What lists append in plain text is not decoded.
            self.after_end |= value != SPACE && value != PAD;
        } else if value & NOT_A_VALUE == 0 {
            self.bits = self.bits << 6 | u32::from(value);
            self.count += 1;
            self.pads = 0;
            if self.count == 4 {
                self.flush(out);
            }
        } else if value == PAD && self.count >= 2 {
            self.pads += 1;
            if self.count + self.pads >= 4 {
                self.flush(out);
                self.ended = true;
            }
        } else if value != SPACE {
            self.garbage += 1;
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let [_, a, b, c] = (self.bits << (6 * (4 - u32::from(self.count)))).to_be_bytes();
        let whole = usize::from(self.count).saturating_sub(1);
        out.extend_from_slice([a, b, c].get(..whole).unwrap_or_default());
        self.bits = 0;
        self.count = 0;
    }

    /// The last bytes, and what had to be repaired.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Option<String> {
        let mut repairs = Vec::new();
        match self.count {
            0 => {}
            1 => repairs.push("base64 ends in the middle of a byte".to_owned()),
            _ => repairs.push("base64 padding is missing".to_owned()),
        }
        self.flush(out);
        if self.garbage > 0 {
            repairs.push(format!("{} characters are not base64 and were skipped", self.garbage));
        }
        if self.after_end {
            repairs.push("text after the end of the base64 was skipped".to_owned());
        }
        (!repairs.is_empty()).then(|| repairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Base64Stream;
    use crate::content::transfer::{self, Decoder};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn decode(text: &[u8], step: usize) -> (Vec<u8>, Option<String>) {
        transfer::tests::decode(Decoder::Base64(Base64Stream::default()), text, step)
    }

    #[test]
    fn tolerated() {
        transfer::tests::tolerated(
            "base64",
            &[
                ("aGVsbG8=", "hello", false),
                ("aGVs\r\n bG8=\r\n", "hello", false),
                ("aGVsbG8", "hello", true),
                ("aGVs*bG8=", "hello", true),
                ("aGVsbG8=\r\n_____\r\nlist footer", "hello", true),
                ("aGVsbG8h=", "hello!", true),
                ("aGVsbG8hYQ=", "hello!a", true),
                ("aGVsbG8hY", "hello!", true),
                ("", "", false),
                ("====", "", true),
            ],
        );
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1_usize..80) {
            prop_assert_eq!(&decode(STANDARD.encode(&bytes).as_bytes(), step), &(bytes.clone(), None));
            for line_break in ["\r\n", "\n", "\r"] {
                let text = STANDARD.encode(&bytes);
                let lines: Vec<&[u8]> = text.as_bytes().chunks(76).collect();
                prop_assert_eq!(decode(&lines.join(line_break.as_bytes()), step), (bytes.clone(), None));
            }
            prop_assert_eq!(decode(URL_SAFE_NO_PAD.encode(&bytes).as_bytes(), step).0, bytes);
        }
    }
}
