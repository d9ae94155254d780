//! From bytes to text, whatever the charset claims to be (WHATWG Encoding Standard, through `encoding_rs`).

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Text, the charset it was read in, and what had to be guessed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) charset: &'static str,
    pub(super) note: Option<String>,
}

/// Decodes a body. Never fails: what cannot be read becomes U+FFFD, and the note says so.
pub(super) fn decode(bytes: Vec<u8>, label: Option<&str>) -> Decoded {
    let label = label.map(str::trim).filter(|label| !label.is_empty());
    let plain = label.is_none_or(|label| label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii"));
    if plain {
        return undeclared(bytes, None);
    }
    match label.and_then(encoding_of) {
        Some(encoding) if encoding == UTF_8 => utf_8(bytes),
        Some(encoding) => {
            let (text, used, errors) = encoding.decode(&bytes);
            let note = errors.then(|| format!("the text has bytes that are not {}", used.name()));
            Decoded {
                text: text.into_owned(),
                charset: used.name(),
                note,
            }
        }
        None => {
            let shown: String = label
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(40)
                .collect();
            undeclared(bytes, Some(format!("charset {shown:?} is unknown")))
        }
    }
}

/// The encoding of a label; labels of old mailers included.
fn encoding_of(label: &str) -> Option<&'static Encoding> {
    let label = label.trim_matches(['"', '\'', ' ']);
    Encoding::for_label_no_replacement(label.as_bytes()).or_else(|| {
        let lower = label.to_ascii_lowercase().replace('_', "-");
        let alias = match lower.as_str() {
            "utf8mb4" | "utf-8-bom" => "utf-8",
            "cp936" | "ms936" => "gbk",
            "cp932" | "ms932" => "shift_jis",
            "cp949" | "ks-c-5601" => "euc-kr",
            "cp950" => "big5",
            "iso-2022-jp-ms" | "iso-2022-jp-1" | "iso-2022-jp-2" | "cp50220" | "cp50221" => "iso-2022-jp",
            other => match other.strip_prefix("cp-").or_else(|| other.strip_prefix("windows")) {
                Some(number) => return Encoding::for_label_no_replacement(format!("windows-{number}").as_bytes()),
                None => return None,
            },
        };
        Encoding::for_label_no_replacement(alias.as_bytes())
    })
}

/// Declared as UTF-8: kept as such, with U+FFFD for what is not.
fn utf_8(bytes: Vec<u8>) -> Decoded {
    let (text, note) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let lossy = UTF_8.decode_without_bom_handling(error.as_bytes()).0.into_owned();
            (lossy, Some("the text has bytes that are not UTF-8".to_owned()))
        }
    };
    let text = if text.starts_with('\u{feff}') {
        text.chars().skip(1).collect()
    } else {
        text
    };
    Decoded {
        text,
        charset: UTF_8.name(),
        note,
    }
}

/// Nothing usable declared: UTF-8 if it is that, else Windows-1252, where every byte has a meaning.
fn undeclared(bytes: Vec<u8>, why: Option<String>) -> Decoded {
    let incomplete = match std::str::from_utf8(&bytes) {
        Ok(_) => true,
        // A text that was cut inside its last character is still UTF-8.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 3,
    };
    if incomplete {
        let decoded = utf_8(bytes);
        let note = match (why, decoded.note) {
            (Some(why), _) => Some(format!("{why}; read as UTF-8")),
            (None, note) => note,
        };
        return Decoded { note, ..decoded };
    }
    let why = why.unwrap_or_else(|| "the charset is not declared".to_owned());
    let text = WINDOWS_1252.decode_without_bom_handling(&bytes).0.into_owned();
    Decoded {
        text,
        charset: WINDOWS_1252.name(),
        note: Some(format!("{why}; read as windows-1252")),
    }
}

/// Raw bytes of a header field as text: UTF-8 (RFC 6532), or Windows-1252 for what old programs send.
pub(super) fn header_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// The bytes that [`header_text`] made this text of.
pub(super) fn header_bytes(text: &str, raw: &[u8]) -> Vec<u8> {
    if std::str::from_utf8(raw).is_ok() {
        text.as_bytes().to_vec()
    } else {
        WINDOWS_1252.encode(text).0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, header_bytes, header_text};

    #[test]
    fn declared_and_undeclared() {
        for (bytes, label, text, charset, noted) in [
            (&b"caf\xe9"[..], Some("iso-8859-1"), "café", "windows-1252", false),
            (b"caf\xc3\xa9", None, "café", "UTF-8", false),
            (b"caf\xe9!", None, "café!", "windows-1252", true),
            (b"caf\xc3\xa9", Some("us-ascii"), "café", "UTF-8", false),
            (b"caf\xc3\xa9", Some("x-nonsense"), "café", "UTF-8", true),
            (b"caf\xe9!", Some("x-nonsense"), "café!", "windows-1252", true),
            (b"a\xff", Some("utf-8"), "a\u{fffd}", "UTF-8", true),
            (b"\xef\xbb\xbfa", Some("utf-8"), "a", "UTF-8", false),
            (b"\x82\xa0", Some("CP932"), "あ", "Shift_JIS", false),
            (b"\xe0", Some("cp-1251"), "а", "windows-1251", false),
            (b"\x1b$B$\"\x1b(B", Some("iso-2022-jp"), "あ", "ISO-2022-JP", false),
            (b"", None, "", "UTF-8", false),
        ] {
            let decoded = decode(bytes.to_vec(), label);
            assert_eq!(
                (decoded.text.as_str(), decoded.charset, decoded.note.is_some()),
                (text, charset, noted),
                "{label:?}"
            );
        }
    }

    #[test]
    fn text_cut_inside_a_character_stays_utf_8() {
        assert_eq!(decode(b"caf\xc3\xa9 caf\xc3".to_vec(), None).charset, "UTF-8");
    }

    #[test]
    fn header_bytes_go_back_whole() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(header_bytes(&header_text(&every), &every), every);
        assert_eq!(
            header_bytes(&header_text("é".as_bytes()), "é".as_bytes()),
            "é".as_bytes()
        );
    }
}
