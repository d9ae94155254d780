//! The open multiparts and the lines that divide them (RFC 2046 section 5.1).

use super::charset;
use super::parameters::Structured;

/// No boundary longer than this is believed; the standard allows 70 characters.
const LONGEST: usize = 1_024;
/// White space that transports may add behind a delimiter.
const PADDING: usize = 256;

/// How a multipart wants its children understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Forms of the same thing.
    Alternative,
    /// Messages by default (RFC 2046 section 5.1.5).
    Digest,
    /// A body and what it refers to (RFC 2387).
    Related,
    /// Anything else is mixed (RFC 2046 section 5.1.3).
    Mixed,
}

/// One open multipart.
#[derive(Debug)]
struct Level {
    delimiter: Vec<u8>,
    kind: Kind,
    seen: bool,
}

/// A delimiter line that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter {
    /// Which multipart it divides, from the outside.
    pub(super) level: usize,
    /// It closes the multipart.
    pub(super) close: bool,
}

/// The open multiparts, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    levels: Vec<Level>,
}

impl Boundaries {
    /// How many multiparts are open.
    pub(super) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The innermost multipart.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.levels.last().map(|level| level.kind)
    }

    /// Whether a delimiter of the innermost multipart has come.
    pub(super) fn seen(&self) -> bool {
        self.levels.last().is_none_or(|level| level.seen)
    }

    /// The length up to which a line may be a delimiter; zero if no multipart is open.
    pub(super) fn longest_line(&self) -> usize {
        if self.levels.is_empty() { 0 } else { LONGEST + PADDING }
    }

    /// Opens a multipart; false if its boundary is missing or beyond belief. `raw` is the field as it came.
    pub(super) fn open(&mut self, field: &Structured, raw: &[u8]) -> bool {
        let Some(boundary) = field.get("boundary") else {
            return false;
        };
        let boundary = boundary.trim_end();
        if boundary.is_empty() || boundary.len() > LONGEST {
            return false;
        }
        let kind = match field.value.strip_prefix("multipart/") {
            Some("alternative") => Kind::Alternative,
            Some("digest") => Kind::Digest,
            Some("related") => Kind::Related,
            _ => Kind::Mixed,
        };
        let mut delimiter = b"--".to_vec();
        delimiter.extend(charset::header_bytes(boundary, raw));
        self.levels.push(Level {
            delimiter,
            kind,
            seen: false,
        });
        true
    }

    /// Whether a line (without its line break) is a delimiter, of the innermost multipart it fits. The whole line must
    /// fit, so that a boundary that begins with another one is not mistaken.
    pub(super) fn find(&self, line: &[u8]) -> Option<Delimiter> {
        if !line.starts_with(b"--") {
            return None;
        }
        self.levels.iter().enumerate().rev().find_map(|(level, open)| {
            let rest = line.strip_prefix(open.delimiter.as_slice())?;
            let (close, padding) = rest
                .strip_prefix(b"--")
                .map_or((false, rest), |padding| (true, padding));
            padding
                .iter()
                .all(|byte| matches!(byte, b' ' | b'\t'))
                .then_some(Delimiter { level, close })
        })
    }

    /// Follows a delimiter: closes what was open inside, and the multipart itself if it says so. True if inner ones
    /// had not been closed.
    pub(super) fn follow(&mut self, delimiter: Delimiter) -> bool {
        let unclosed = self.levels.len() > delimiter.level + 1;
        self.levels.truncate(delimiter.level + usize::from(!delimiter.close));
        if let Some(level) = self.levels.last_mut().filter(|_| !delimiter.close) {
            level.seen = true;
        }
        unclosed
    }

    /// Forgets all but the outermost multipart.
    pub(super) fn keep_outermost(&mut self) {
        self.levels.truncate(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Boundaries, Delimiter};
    use crate::content::parameters::Structured;

    fn open(boundaries: &mut Boundaries, field: &str) -> bool {
        boundaries.open(&Structured::parse(field), field.as_bytes())
    }

    #[test]
    fn innermost_and_whole_lines_only() {
        let mut boundaries = Boundaries::default();
        assert!(open(&mut boundaries, "multipart/mixed; boundary=a"));
        assert!(open(&mut boundaries, "multipart/mixed; boundary=\"a'(b) =?\""));
        for (line, found) in [
            (&b"--a"[..], Some((0, false))),
            (b"--a--  \t", Some((0, true))),
            (b"--a'(b) =? ", Some((1, false))),
            (b"--a'(b) =?--", Some((1, true))),
            (b"--a-", None),
            (b"--ab", None),
            (b"--a--b", None),
            (b"-a", None),
            (b"--", None),
        ] {
            assert_eq!(
                boundaries.find(line),
                found.map(|(level, close)| Delimiter { level, close }),
                "{line:?}"
            );
        }
        assert!(boundaries.follow(Delimiter { level: 0, close: false }));
        assert_eq!((boundaries.depth(), boundaries.seen()), (1, true));
        assert!(!boundaries.follow(Delimiter { level: 0, close: true }));
        assert_eq!(boundaries.depth(), 0);
    }

    #[test]
    fn boundaries_beyond_belief() {
        let mut boundaries = Boundaries::default();
        for field in [
            "multipart/mixed",
            "multipart/mixed; boundary=",
            "multipart/mixed; boundary=\"  \"",
        ] {
            assert!(!open(&mut boundaries, field), "{field}");
        }
        assert!(!open(
            &mut boundaries,
            &format!("multipart/mixed; boundary={}", "x".repeat(1_025))
        ));
    }
}
