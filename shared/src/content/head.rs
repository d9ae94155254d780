//! A header block taken apart into its fields (RFC 5322 section 2.2).

use std::borrow::Cow;

use super::{charset, encoded_word, text};

/// One field: its name as written and its raw value, folds included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    raw: &'a [u8],
}

/// The fields of one header block. Lines end in `\n` here.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) fields: Vec<Field<'a>>,
    /// There were more fields than allowed.
    pub(super) too_many: bool,
    /// A field was longer than allowed and is cut.
    pub(super) too_long: bool,
    /// A field has no name.
    pub(super) nameless: bool,
}

/// What a line inside a header block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Begins a field.
    Field,
    /// Goes on with the field before.
    Continuation,
    /// Ends the block.
    Empty,
    /// Belongs to an envelope that an mbox left (`From ...`, `>From ...`).
    Envelope,
    /// No header line at all: the body has begun without an empty line.
    Body,
}

/// Judges a line without its line break.
pub(super) fn line_kind(line: &[u8]) -> Line {
    match line {
        [] => Line::Empty,
        [b' ' | b'\t', ..] => Line::Continuation,
        _ if line.starts_with(b"From ") || line.starts_with(b">From ") => Line::Envelope,
        _ => {
            let name = line
                .iter()
                .take_while(|byte| matches!(byte, 33..=57 | 59..=126))
                .count();
            // White space before the colon is obsolete (RFC 5322 section 4.5), not wrong.
            let after = line.get(name..).unwrap_or_default().trim_ascii_start();
            if after.first() == Some(&b':') {
                Line::Field
            } else {
                Line::Body
            }
        }
    }
}

impl<'a> Head<'a> {
    /// Takes a block apart: at most `most` fields, each cut at `longest` bytes.
    pub(super) fn parse(block: &'a [u8], most: usize, longest: usize) -> Self {
        let mut head = Self::default();
        let mut start = 0;
        while start < block.len() {
            let mut end = line_end(block, start);
            while matches!(block.get(end), Some(b' ' | b'\t')) {
                end = line_end(block, end);
            }
            head.add(block.get(start..end).unwrap_or_default(), most, longest);
            start = end;
        }
        head
    }

    fn add(&mut self, field: &'a [u8], most: usize, longest: usize) {
        let Some(colon) = field.iter().position(|byte| *byte == b':') else {
            return;
        };
        let name = field
            .get(..colon)
            .map(<[u8]>::trim_ascii)
            .and_then(|name| std::str::from_utf8(name).ok());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            self.nameless = true;
            return;
        };
        if self.fields.len() >= most {
            self.too_many = true;
            return;
        }
        let mut raw = field.get(colon + 1..).unwrap_or_default();
        if field.len() > longest {
            self.too_long = true;
            raw = raw.get(..longest.saturating_sub(colon + 1)).unwrap_or_default();
        }
        let name = text::at_most(name, longest);
        self.fields.push(Field { name, raw });
    }

    /// All fields of a name, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Field<'a>> {
        self.fields
            .iter()
            .copied()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
    }

    /// The first field of a name.
    pub(super) fn first(&self, name: &str) -> Option<Field<'a>> {
        self.all(name).next()
    }

    /// The text of the first field of a name, unfolded, encoded words untouched.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.first(name).map(Field::unfolded)
    }
}

impl<'a> Field<'a> {
    /// The value without its folds, trimmed; encoded words untouched.
    pub(super) fn unfolded(self) -> String {
        let text = charset::header_text(self.raw);
        let text: Cow<'_, str> = if text.contains('\n') {
            text.replace('\n', "").into()
        } else {
            text
        };
        text.trim().to_owned()
    }

    /// The value as a line of text: unfolded, encoded words decoded, no control characters.
    pub(super) fn decoded(self) -> String {
        text::one_line(&encoded_word::decode(&self.unfolded()))
    }

    /// The raw value.
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }
}

/// The position behind the line break that ends the line at `start`.
fn line_end(block: &[u8], start: usize) -> usize {
    let rest = block.get(start..).unwrap_or_default();
    rest.iter()
        .position(|byte| *byte == b'\n')
        .map_or(block.len(), |at| start + at + 1)
}

#[cfg(test)]
mod tests {
    use super::{Head, Line, line_kind};

    #[test]
    fn kinds_of_lines() {
        for (line, kind) in [
            (&b""[..], Line::Empty),
            (b" x", Line::Continuation),
            (b"\tx", Line::Continuation),
            (b"Subject: x", Line::Field),
            (b"Subject : x", Line::Field),
            (b":", Line::Field),
            (b"From a@b Mon", Line::Envelope),
            (b">From a@b Mon", Line::Envelope),
            (b"From: a@b", Line::Field),
            (b"Hello you: x", Line::Body),
            (b"Hello", Line::Body),
            (b"\xc3\xa9: x", Line::Body),
            (b"a\0: x", Line::Body),
        ] {
            assert_eq!(line_kind(line), kind, "{line:?}");
        }
    }

    #[test]
    fn folds_are_undone() {
        let head = Head::parse(
            b"A: one\n two\n\tthree\nB : =?utf-8?q?x?=\n =?utf-8?q?y?=\n: z\n",
            10,
            1_000,
        );
        assert_eq!(head.value("a").as_deref(), Some("one two\tthree"));
        assert_eq!(head.first("b").map(super::Field::decoded).as_deref(), Some("xy"));
        assert!(head.nameless && !head.too_many && !head.too_long);
    }

    #[test]
    fn limits_cut_and_say_so() {
        let block = format!("A: {}\nB: b\nC: c\n", "x".repeat(200));
        let head = Head::parse(block.as_bytes(), 2, 100);
        assert_eq!((head.fields.len(), head.too_many, head.too_long), (2, true, true));
        assert_eq!(head.value("a").map(|value| value.len()), Some(97));
    }
}
