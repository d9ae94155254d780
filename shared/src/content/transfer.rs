//! Which decoder a `Content-Transfer-Encoding` asks for (RFC 2045 section 6).

use super::base64_stream::Base64Stream;
use super::quoted_printable::QuotedPrintableStream;
use super::uuencode::UuencodeStream;

/// Decodes one part as it streams by.
#[derive(Debug)]
pub(super) enum Decoder {
    /// 7bit, 8bit, binary, and whatever nobody knows.
    Identity,
    /// base64.
    Base64(Base64Stream),
    /// quoted-printable.
    QuotedPrintable(QuotedPrintableStream),
    /// x-uuencode.
    Uuencode(UuencodeStream),
}

impl Decoder {
    /// The decoder for the value of the field; a note if the encoding is unknown and the bytes stay as they are.
    pub(super) fn of(field: Option<&str>) -> (Self, Option<String>) {
        let field = field.unwrap_or_default();
        let token = field.split([';', ',', '(']).next().unwrap_or_default();
        let token = token
            .trim()
            .trim_matches(['"', '\'', '<', '>', '.'])
            .to_ascii_lowercase();
        let decoder = match token.as_str() {
            "base64" => Self::Base64(Base64Stream::default()),
            "quoted-printable" => Self::QuotedPrintable(QuotedPrintableStream::default()),
            "x-uuencode" | "uuencode" | "x-uue" | "uue" => Self::Uuencode(UuencodeStream::default()),
            "" | "7bit" | "8bit" | "binary" | "7-bit" | "8-bit" => Self::Identity,
            unknown => {
                let shown: String = unknown.chars().filter(|c| !c.is_control()).take(40).collect();
                return (
                    Self::Identity,
                    Some(format!("transfer encoding {shown:?} is unknown; bytes are as sent")),
                );
            }
        };
        (decoder, None)
    }

    /// Decodes what can be decoded so far.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(bytes),
            Self::Base64(stream) => stream.push(bytes, out),
            Self::QuotedPrintable(stream) => stream.push(bytes, out),
            Self::Uuencode(stream) => stream.push(bytes, out),
        }
    }

    /// A file name found inside the encoding.
    pub(super) fn name(&self) -> Option<&str> {
        if let Self::Uuencode(stream) = self {
            stream.name()
        } else {
            None
        }
    }

    /// The last bytes, and what had to be repaired.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Option<String> {
        match self {
            Self::Identity => None,
            Self::Base64(stream) => stream.finish(out),
            Self::QuotedPrintable(stream) => stream.finish(out),
            Self::Uuencode(stream) => stream.finish(out),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Decoder;

    /// What comes out of `text`, fed in chunks of `step` bytes.
    pub(in crate::content) fn decode(mut decoder: Decoder, text: &[u8], step: usize) -> (Vec<u8>, Option<String>) {
        let mut out = Vec::new();
        for chunk in text.chunks(step) {
            decoder.push(chunk, &mut out);
        }
        let note = decoder.finish(&mut out);
        (out, note)
    }

    /// Every text decodes to these bytes, with a note or without, whatever the chunks.
    pub(in crate::content) fn tolerated(encoding: &str, cases: &[(&str, &str, bool)]) {
        for (text, bytes, noted) in cases {
            for step in [1, 2, 3, 100] {
                let (out, note) = decode(Decoder::of(Some(encoding)).0, text.as_bytes(), step);
                assert_eq!(
                    (out.as_slice(), note.is_some()),
                    (bytes.as_bytes(), *noted),
                    "{text:?} by {step}: {note:?}"
                );
            }
        }
    }

    #[test]
    fn odd_spellings_and_unknown_encodings() {
        for known in [
            Some("BASE64"),
            Some(" base64 ; x=y"),
            Some("\"base64\""),
            Some("base64 (comment)"),
        ] {
            assert!(matches!(Decoder::of(known), (Decoder::Base64(_), None)), "{known:?}");
        }
        assert!(matches!(Decoder::of(None), (Decoder::Identity, None)));
        assert!(matches!(Decoder::of(Some("x-yenc")), (Decoder::Identity, Some(_))));
    }
}
