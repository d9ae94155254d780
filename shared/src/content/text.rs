//! One line of text fit to be kept: no control characters, no endless length.

/// Makes one clean line: line breaks and tabs become a space, other control characters go, the ends are trimmed.
pub(super) fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .filter_map(|c| match c {
            '\t' | '\n' | '\u{2028}' | '\u{2029}' => Some(' '),
            c if c.is_control() || c == '\u{feff}' => None,
            c => Some(c),
        })
        .collect();
    line.trim().to_owned()
}

/// Like [`one_line`]; `None` if nothing is left.
pub(super) fn some_line(text: &str) -> Option<String> {
    let line = one_line(text);
    (!line.is_empty()).then_some(line)
}

/// The start of a text, at most `longest` bytes, whole characters.
pub(super) fn at_most(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default()
}

/// Characters that turn or hide the direction of text (Unicode Standard Annex 9), or join and hide letters in a name.
pub(super) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{at_most, one_line, some_line};

    #[test]
    fn one_clean_line() {
        assert_eq!(one_line(" a\r\n\tb\u{0}\u{7f}c\u{85} "), "a  bc");
        assert_eq!(some_line(" \u{0} "), None);
        assert_eq!(at_most("éé", 3), "é");
    }
}
