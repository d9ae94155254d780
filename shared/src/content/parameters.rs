//! Structured fields with parameters: `Content-Type` and `Content-Disposition` (RFC 2045, RFC 2183, RFC 2231).

use super::{charset, encoded_word};

/// More parameters than this are not read.
const MOST: usize = 200;

/// A value such as `text/plain` and its parameters.
#[derive(Debug, Default)]
pub(super) struct Structured {
    /// What stands before the parameters, in lower case.
    pub(super) value: String,
    parameters: Vec<(String, String)>,
}

impl Structured {
    /// Reads the text of a field. What makes no sense is skipped.
    pub(super) fn parse(field: &str) -> Self {
        let field = field.trim();
        let end = field.find([';', ' ', '\t', '(', ',']).unwrap_or(field.len());
        let (value, mut rest) = field.split_at(end);
        let mut parameters = Vec::new();
        while parameters.len() < MOST {
            rest = rest.trim_start_matches([';', ' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let end = rest.find(['=', ';']).unwrap_or(rest.len());
            let (name, from) = rest.split_at(end);
            let Some(from) = from.strip_prefix('=') else {
                rest = from;
                continue;
            };
            let (value, after) = parameter_value(from.trim_start());
            rest = after;
            // A comment may stand before the name: `(comment) charset`.
            let name = name
                .rsplit([' ', '\t', ')'])
                .find(|word| !word.is_empty())
                .unwrap_or_default();
            if !name.is_empty() {
                parameters.push((name.to_ascii_lowercase(), value));
            }
        }
        Self {
            value: value.trim().to_ascii_lowercase(),
            parameters,
        }
    }

    /// A parameter, decoded: the extended form of RFC 2231 if there is one, else the plain one with encoded words,
    /// which no standard allows there and every mailer writes.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.extended(name).or_else(|| {
            let (_, value) = self.parameters.iter().find(|(found, _)| found == name)?;
            Some(encoded_word::decode(value))
        })
    }

    /// `name*`, `name*0`, `name*0*` and so on, joined by their numbers.
    fn extended(&self, name: &str) -> Option<String> {
        let mut segments: Vec<(u32, bool, &str)> = Vec::new();
        for (found, value) in &self.parameters {
            let Some(section) = found.strip_prefix(name).and_then(|rest| rest.strip_prefix('*')) else {
                continue;
            };
            let (number, encoded) = match section.strip_suffix('*') {
                Some(number) => (number, true),
                None => (section, section.is_empty()),
            };
            let Ok(number) = (if number.is_empty() { Ok(0) } else { number.parse() }) else {
                continue;
            };
            if !segments.iter().any(|(known, ..)| *known == number) {
                segments.push((number, encoded, value));
            }
        }
        segments.sort_by_key(|(number, ..)| *number);
        let (_, first_encoded, first) = *segments.first()?;
        let mut label = None;
        if first_encoded {
            let mut parts = first.splitn(3, '\'');
            if let (Some(found), Some(_), Some(text)) = (parts.next(), parts.next(), parts.next()) {
                label = Some(found);
                if let Some(segment) = segments.first_mut() {
                    segment.2 = text;
                }
            }
        }
        let mut bytes = Vec::new();
        for (_, encoded, text) in &segments {
            if *encoded {
                percent_decoded(text, &mut bytes);
            } else {
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        let any_encoded = segments.iter().any(|(_, encoded, _)| *encoded);
        let text = charset::decode(bytes, label).text;
        Some(if any_encoded { text } else { encoded_word::decode(&text) })
    }
}

/// The value after the `=`, unquoted, and what follows it.
fn parameter_value(from: &str) -> (String, &str) {
    let Some(quoted) = from.strip_prefix('"') else {
        let end = from.find(';').unwrap_or(from.len());
        let (value, rest) = from.split_at(end);
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => {
                let rest = quoted.get(at + 1..).unwrap_or_default();
                // Anything up to the next semicolon is litter, such as a comment.
                return (
                    value,
                    rest.find(';').map_or("", |end| rest.get(end..).unwrap_or_default()),
                );
            }
            // Only these two are escapes: `"C:\reports\a.pdf"` is written by programs that escape nothing.
            '\\' if matches!(characters.peek(), Some((_, '"' | '\\'))) => {
                if let Some((_, escaped)) = characters.next() {
                    value.push(escaped);
                }
            }
            _ => value.push(c),
        }
    }
    (value, "")
}

fn percent_decoded(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((&byte, following)) = rest.split_first() {
        rest = following;
        if let (b'%', [high, low, after @ ..]) = (byte, following)
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
            && let Ok(decoded) = u8::try_from(high << 4 | low)
        {
            out.push(decoded);
            rest = after;
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Structured;

    #[test]
    fn values_and_parameters() {
        for (field, value, name, parameter) in [
            ("text/plain; charset=utf-8", "text/plain", "charset", Some("utf-8")),
            ("TEXT/Plain;CHARSET=\"a;b\"; x=y", "text/plain", "charset", Some("a;b")),
            ("text/plain; charset=\"a;b\"; x=y", "text/plain", "x", Some("y")),
            ("text/plain charset=utf-8", "text/plain", "charset", Some("utf-8")),
            (
                "text/plain (comment); (more) charset = utf-8 ",
                "text/plain",
                "charset",
                Some("utf-8"),
            ),
            ("a/b; name=my report.pdf; x=y", "a/b", "name", Some("my report.pdf")),
            (
                "a/b; name=\"C:\\dir\\a \\\"b\\\".pdf\"",
                "a/b",
                "name",
                Some("C:\\dir\\a \"b\".pdf"),
            ),
            ("a/b; name=\"open", "a/b", "name", Some("open")),
            ("a/b; ; =x; flag; name=c", "a/b", "name", Some("c")),
            (
                "attachment; filename==?utf-8?q?caf=C3=A9?=",
                "attachment",
                "filename",
                Some("café"),
            ),
            ("a; filename*=UTF-8''caf%C3%A9%ZZ", "a", "filename", Some("café%ZZ")),
            (
                "a; filename=plain; filename*=iso-8859-1'de'f%FCr",
                "a",
                "filename",
                Some("für"),
            ),
            (
                "a; filename*1=b.txt; filename*0=\"a \"",
                "a",
                "filename",
                Some("a b.txt"),
            ),
            (
                "a; filename*0*=utf-8''%C3; filename*1*=%A9; filename*2=\"%41\"",
                "a",
                "filename",
                Some("é%41"),
            ),
            ("a; filename*=no-quotes", "a", "filename", Some("no-quotes")),
            ("a; filename*x=1", "a", "filename", None),
            ("", "", "x", None),
        ] {
            let structured = Structured::parse(field);
            assert_eq!(
                (structured.value.as_str(), structured.get(name).as_deref()),
                (value, parameter),
                "{field:?}"
            );
        }
    }
}
