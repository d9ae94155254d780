//! Quoted-printable as a stream, tolerant (RFC 2045 section 6.7).

/// White space that may be the end of a line is held back, up to this many bytes: no line may be longer (RFC 5322).
const LONGEST_SPACE: usize = 998;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After `=`.
    Equals,
    /// After `=` and one hexadecimal digit.
    Digit(u8),
    /// After `=` and white space: a soft line break if the line ends here.
    EqualsSpace,
    /// After `=` and a carriage return: a line feed still belongs to the soft break.
    SoftBreak,
}

/// Decodes quoted-printable that arrives in any chunks.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintableStream {
    state: State,
    space: Vec<u8>,
    stray: u64,
}

impl QuotedPrintableStream {
    /// Decodes what can be decoded so far.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            self.one(byte, out);
        }
    }

    fn one(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.state, byte) {
            (State::Text, _) => self.text(byte, out),
            (State::Equals, b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f') => self.state = State::Digit(byte),
            (State::Equals, b' ' | b'\t') => {
                self.space.push(byte);
                self.state = State::EqualsSpace;
            }
            (State::EqualsSpace, b' ' | b'\t') if self.space.len() < LONGEST_SPACE => self.space.push(byte),
            (State::Equals | State::EqualsSpace, b'\r' | b'\n') => {
                self.space.clear();
                self.state = if byte == b'\r' { State::SoftBreak } else { State::Text };
            }
            (State::Digit(high), _) => {
                self.state = State::Text;
                if let (Some(high), Some(low)) = (hex(high), hex(byte)) {
                    out.push(high << 4 | low);
                } else {
                    self.stray += 1;
                    out.extend_from_slice(&[b'=', high]);
                    self.text(byte, out);
                }
            }
            (State::SoftBreak, b'\n') => self.state = State::Text,
            (State::SoftBreak, _) => {
                self.state = State::Text;
                self.text(byte, out);
            }
            (State::Equals | State::EqualsSpace, _) => {
                self.state = State::Text;
                self.stray += 1;
                out.push(b'=');
                self.text(byte, out);
            }
        }
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b' ' | b'\t' if self.space.len() < LONGEST_SPACE => self.space.push(byte),
            // Rule 3: white space at the end of a line was added on the way and is deleted.
            b'\r' | b'\n' => {
                self.space.clear();
                out.push(byte);
            }
            _ => {
                out.append(&mut self.space);
                if byte == b'=' {
                    self.state = State::Equals;
                } else {
                    out.push(byte);
                }
            }
        }
    }

    /// The last bytes, and what had to be repaired.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Option<String> {
        let mut stray = self.stray;
        if let State::Digit(digit) = self.state {
            out.extend_from_slice(&[b'=', digit]);
            stray += 1;
        }
        (stray > 0).then(|| format!("{stray} equals signs without two hexadecimal digits were kept as they are"))
    }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::QuotedPrintableStream;
    use crate::content::transfer::{self, Decoder};
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn decode(text: &[u8], step: usize) -> (Vec<u8>, Option<String>) {
        transfer::tests::decode(Decoder::QuotedPrintable(QuotedPrintableStream::default()), text, step)
    }

    #[test]
    fn tolerated() {
        transfer::tests::tolerated(
            "quoted-printable",
            &[
                ("a=3Db=3db", "a=b=b", false),
                ("soft=\r\nbreak=\nhere=\rthere", "softbreakherethere", false),
                ("soft= \t\r\nbreak", "softbreak", false),
                ("trailing  \t\r\nspace ", "trailing\r\nspace", false),
                ("in  ner", "in  ner", false),
                ("a=b and = c", "a=b and = c", true),
                ("a=4", "a=4", true),
                ("a=ZZ==41", "a=ZZ=A", true),
                ("cut=", "cut", false),
            ],
        );
    }

    #[test]
    fn endless_white_space_is_not_held_back() {
        let mut stream = QuotedPrintableStream::default();
        let mut out = Vec::new();
        let spaces = vec![b' '; 100_000];
        stream.push(&spaces, &mut out);
        stream.push(b"=", &mut out);
        stream.push(&spaces, &mut out);
        assert!(stream.space.len() <= 1_000 && out.len() > 190_000);
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1_usize..80) {
            let mut text = String::new();
            for (at, byte) in bytes.iter().enumerate() {
                if at % 25 == 24 { text.push_str("=\r\n"); }
                if byte.is_ascii_alphanumeric() { text.push(char::from(*byte)); } else { write!(text, "={byte:02X}").unwrap(); }
            }
            prop_assert_eq!(decode(text.as_bytes(), step), (bytes, None));
        }
    }
}
