//! Address lists (RFC 5322 section 3.4), with groups dissolved and the usual sins forgiven.

use std::iter::Peekable;
use std::str::Chars;

use super::message::Mailbox;
use super::{encoded_word, text};

/// The parts of the address that is being read.
#[derive(Default)]
struct Reading {
    /// Words outside brackets, quotes kept.
    phrase: String,
    /// What stood in angle brackets.
    angle: Option<String>,
    /// What stood in parentheses.
    comment: String,
}

/// At most `most` addresses of a field; the flag says that there were more. Encoded words are decoded after the list
/// is taken apart, so that a comma inside one separates nothing (RFC 2047 section 5).
pub(super) fn parse(field: &str, most: usize) -> (Vec<Mailbox>, bool) {
    let mut list = Vec::new();
    let mut reading = Reading::default();
    let mut characters = field.chars().peekable();
    let mut closes = true;
    while let Some(c) = characters.next() {
        match c {
            // A quote that never closes quotes nothing.
            '"' if closes => {
                let before = characters.clone();
                if let Some(quoted) = quoted(&mut characters) {
                    reading.phrase.push_str(&quoted);
                } else {
                    characters = before;
                    closes = false;
                }
            }
            '"' => {}
            '(' => {
                let mut depth = 1_usize;
                if !reading.comment.is_empty() {
                    reading.comment.push(' ');
                }
                while let Some(inner) = characters.next() {
                    match inner {
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        '\\' => {
                            reading.comment.extend(characters.next());
                            continue;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                    reading.comment.push(inner);
                }
            }
            '<' => {
                let mut inside = String::new();
                while let Some(inner) = characters.next_if(|c| *c != '>') {
                    // `<a@b, c@d`: a bracket that never closes must not swallow the list. A route has its comma before `:`.
                    if inner == ',' && !inside.trim_start().starts_with('@') {
                        take(&mut list, &mut reading, Some(std::mem::take(&mut inside)));
                        continue;
                    }
                    inside.push(inner);
                }
                characters.next();
                reading.angle = Some(inside);
            }
            '[' => {
                reading.phrase.push('[');
                while let Some(inner) = characters.next_if(|c| !matches!(c, ']' | ',' | ';')) {
                    reading.phrase.push(inner);
                }
            }
            ',' | ';' => take(&mut list, &mut reading, None),
            // The name of a group; its members follow.
            ':' if reading.angle.is_none() && !reading.phrase.contains('@') => reading = Reading::default(),
            _ => reading.phrase.push(c),
        }
        if list.len() > most {
            break;
        }
    }
    take(&mut list, &mut reading, None);
    let over = list.len() > most;
    list.truncate(most);
    (list, over)
}

/// A quoted string after its first quote, quotes and escapes kept; `None` if it never closes.
fn quoted(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::from('"');
    while let Some(c) = characters.next() {
        text.push(c);
        match c {
            '"' => return Some(text),
            '\\' => text.extend(characters.next()),
            _ => {}
        }
    }
    None
}

fn take(list: &mut Vec<Mailbox>, reading: &mut Reading, angle: Option<String>) {
    let Reading {
        phrase,
        angle: known,
        comment,
    } = std::mem::take(reading);
    let phrase = phrase.trim();
    let comment = text::some_line(&encoded_word::decode(&comment));
    let mailbox = match angle.or(known) {
        Some(inside) => Mailbox {
            name: displayed(phrase).or(comment),
            address: address(&inside),
        },
        None if phrase.contains('@') => {
            // `Name a@b` without brackets: the last word with an @ is the address.
            let at = phrase.rfind('@').unwrap_or_default();
            let start = phrase.get(..at).and_then(|left| {
                if left.ends_with('"') {
                    left.find('"')
                } else {
                    left.rfind([' ', '\t'])
                }
            });
            let (name, inside) = phrase.split_at(start.unwrap_or_default());
            Mailbox {
                name: displayed(name).or(comment),
                address: address(inside),
            }
        }
        None if phrase.starts_with('"') || phrase.contains(char::is_whitespace) || phrase.starts_with("=?") => {
            Mailbox {
                name: displayed(phrase).or(comment),
                address: None,
            }
        }
        None => Mailbox {
            name: comment,
            address: address(phrase),
        },
    };
    if mailbox.name.is_some() || mailbox.address.is_some() {
        list.push(mailbox);
    }
}

/// The address without white space and without the route that RFC 822 allowed (`@relay:a@b`).
fn address(inside: &str) -> Option<String> {
    let inside = inside.trim();
    let inside = match inside.strip_prefix('@').and_then(|route| route.split_once(':')) {
        Some((_, after)) => after,
        None => inside,
    };
    let quoted = inside.starts_with('"');
    let kept: String = inside
        .chars()
        .filter(|c| !c.is_control() && (quoted || !c.is_whitespace()))
        .collect();
    (!kept.is_empty()).then_some(kept)
}

/// A phrase without its quotes and escapes, encoded words decoded, in quotes too: every mailer writes them there.
fn displayed(phrase: &str) -> Option<String> {
    let mut plain = String::with_capacity(phrase.len());
    let mut characters = phrase.trim().chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {}
            '\\' => plain.extend(characters.next()),
            _ => plain.push(c),
        }
    }
    let name = text::some_line(&encoded_word::decode(&plain))?;
    let bare = name
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .map(str::trim);
    bare.map_or(Some(name.clone()), |bare| (!bare.is_empty()).then(|| bare.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn read(field: &str) -> Vec<(String, String)> {
        let (list, _) = parse(field, 100);
        list.into_iter()
            .map(|m| (m.name.unwrap_or_default(), m.address.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn addresses() {
        let cases: [(&str, &[(&str, &str)]); 23] = [
            ("a@b.example", &[("", "a@b.example")]),
            ("Ann <a@b>, \"Lee, Bob\" <c@d>", &[("Ann", "a@b"), ("Lee, Bob", "c@d")]),
            ("a@b (Ann (x) Lee)", &[("Ann (x) Lee", "a@b")]),
            ("=?utf-8?q?Lee=2C_Ann?= <a@b>", &[("Lee, Ann", "a@b")]),
            ("\"=?utf-8?q?=C3=A9?=\" <a@b>", &[("é", "a@b")]),
            ("Team: a@b, C <c@d>;, e@f", &[("", "a@b"), ("C", "c@d"), ("", "e@f")]),
            ("undisclosed-recipients:;", &[]),
            ("a@b; c@d", &[("", "a@b"), ("", "c@d")]),
            ("<@relay,@other:a@b>", &[("", "a@b")]),
            ("Ann a@b", &[("Ann", "a@b")]),
            ("\"two words\"@b", &[("", "\"two words\"@b")]),
            ("a@[IPv6:::1]", &[("", "a@[IPv6:::1]")]),
            ("MAILER-DAEMON", &[("", "MAILER-DAEMON")]),
            ("Only A Name", &[("Only A Name", "")]),
            ("\"a@b\" <a@b>", &[("a@b", "a@b")]),
            ("'Ann' <a@b>", &[("Ann", "a@b")]),
            ("<a@b, c@d", &[("", "a@b"), ("", "c@d")]),
            ("\"never closed <a@b>", &[("never closed", "a@b")]),
            ("Ann \"the\\\"x\" Lee <a@b>", &[("Ann the\"x Lee", "a@b")]),
            ("<>", &[]),
            (" , ,; ", &[]),
            ("Ann <a@b", &[("Ann", "a@b")]),
            ("(only a comment)", &[("only a comment", "")]),
        ];
        for (field, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, a)| ((*n).to_owned(), (*a).to_owned()))
                .collect();
            assert_eq!(read(field), expected, "{field:?}");
        }
    }

    #[test]
    fn more_than_the_limit_is_said() {
        let (list, over) = parse(&"a@b,".repeat(10), 9);
        assert_eq!((list.len(), over), (9, true));
        assert!(!parse(&"a@b,".repeat(9), 9).1);
    }

    #[test]
    fn a_million_parentheses() {
        parse(&"(".repeat(1_000_000), 10);
        parse(&"<,".repeat(1_000_000), 10);
        parse(&"\"\\".repeat(1_000_000), 10);
    }
}
