//! Encoded words in header fields (RFC 2047), as they are rather than as they should be.

use super::base64_stream::Base64Stream;
use super::charset;

/// The longest charset name, language tag included, that is taken for one.
const LONGEST_CHARSET: usize = 80;

/// Bytes of `=?`, `?q?` and `?=`.
const AROUND: usize = 7;

/// One encoded word, decoded to bytes, and how much of the text it took.
struct Word<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
    length: usize,
}

/// Decodes every encoded word in a text. White space between neighbours goes (section 6.2), and neighbours in one
/// charset are decoded together, for some programs cut inside a character. What is no encoded word stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run: Option<(&str, Vec<u8>)> = None;
    let mut rest = text;
    // Behind the last end there is no further word: this keeps a row of `=?` linear.
    let after_last_end = text.rfind("?=").map_or(text.len(), |at| text.len() - at);
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        if from.len() < after_last_end {
            break;
        }
        let joins = run.is_some() && before.chars().all(char::is_whitespace);
        if !joins {
            flush(&mut run, &mut out);
            out.push_str(before);
        }
        if let Some(word) = word(from) {
            rest = from.get(word.length..).unwrap_or_default();
            match &mut run {
                Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) && !has_shifts(charset) => {
                    bytes.extend(word.bytes);
                }
                _ => {
                    flush(&mut run, &mut out);
                    run = Some((word.charset, word.bytes));
                }
            }
        } else {
            flush(&mut run, &mut out);
            if joins {
                out.push_str(before);
            }
            out.push_str("=?");
            rest = from.get(2..).unwrap_or_default();
        }
    }
    flush(&mut run, &mut out);
    out.push_str(rest);
    out
}

/// Charsets with shift sequences begin anew in each word (RFC 1468); joined, the shifts between would be errors.
fn has_shifts(charset: &str) -> bool {
    charset
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("iso-") && charset.contains("2022"))
}

fn flush(run: &mut Option<(&str, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = run.take() {
        out.push_str(&charset::decode(bytes, Some(charset)).text);
    }
}

/// The encoded word at the start of `from`, which begins with `=?`.
fn word(from: &str) -> Option<Word<'_>> {
    let inner = from.get(2..)?;
    let charset_end = inner.bytes().take(LONGEST_CHARSET).position(|byte| byte == b'?')?;
    let charset = inner.get(..charset_end)?;
    if charset.is_empty() || charset.contains(char::is_whitespace) {
        return None;
    }
    let mut after = inner.get(charset_end + 1..)?.chars();
    let encoding = after.next()?;
    let data = after.as_str().strip_prefix('?')?;
    let end = data.find("?=")?;
    let encoded = data.get(..end)?;
    let bytes = match encoding {
        'b' | 'B' => {
            let mut stream = Base64Stream::default();
            let mut bytes = Vec::new();
            stream.push(encoded.as_bytes(), &mut bytes);
            stream.finish(&mut bytes);
            bytes
        }
        'q' | 'Q' => q(encoded.as_bytes()),
        _ => return None,
    };
    // RFC 2231 section 5: a language may follow the charset.
    let charset = charset.split('*').next().unwrap_or_default();
    Some(Word {
        charset,
        bytes,
        length: charset_end + end + AROUND,
    })
}

/// The Q encoding (section 4.2). A stray `=` stays.
fn q(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, following)) = rest.split_first() {
        rest = following;
        match (byte, following) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: &u8| {
                    char::from(*byte)
                        .to_digit(16)
                        .and_then(|value| u8::try_from(value).ok())
                };
                out.push(digit(high).unwrap_or_default() << 4 | digit(low).unwrap_or_default());
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn words() {
        for (text, decoded) in [
            ("plain", "plain"),
            ("=?utf-8?Q?caf=C3=A9_au_lait?=", "café au lait"),
            ("=?ISO-8859-1?B?Y2Fm6Q==?= =?utf-8?q?=21?=", "café!"),
            ("a =?utf-8?q?b?= c =?utf-8?q?d?=\t=?utf-8?q?e?=", "a b c de"),
            // Cut inside a character.
            ("=?utf-8?B?w6k=?= =?utf-8?B?w?= =?UTF-8?Q?=C3?= =?utf-8?Q?=A9?=", "éé"),
            ("=?iso-8859-1*de?q?f=FCr?=", "für"),
            ("=?iso-2022-jp?B?GyRCJCIbKEI=?= =?iso-2022-jp?B?GyRCJCIbKEI=?=", "ああ"),
            // Spaces inside, against the rule, but common.
            ("=?utf-8?q?a b c?=", "a b c"),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?never ends", "=?utf-8?q?never ends"),
            ("=? ?=", "=? ?="),
            ("=?utf-8?q?a?= =?", "a =?"),
            ("=?utf-8?q?a=4?=", "a=4"),
            ("=?nonsense?q?caf=E9!?=", "café!"),
            ("=??q?x?=", "=??q?x?="),
        ] {
            assert_eq!(decode(text), decoded, "{text:?}");
        }
    }

    #[test]
    fn rows_of_openings_take_linear_time() {
        for unit in ["=?", "=?a?q?", "=?utf-8?q?x?= ", "=?é", "?="] {
            decode(&unit.repeat(60_000));
        }
        decode(&("=?a?x?".repeat(60_000) + "?="));
    }
}
