//! The streaming splitter: MIME goes in by the chunk, decoded attachments come out, at the end the parsed message.

use bytes::Bytes;
use memchr::{memchr_iter, memchr2, memrchr2};

use super::limits::Limits;
use super::message::{Attachment, ParsedMessage};
use super::walk::Walk;

/// What comes out while a message streams by: decoded bytes, in order, one attachment open at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An attachment begins; [`Splitter::attachment`] tells its name and type.
    AttachmentStart {
        /// Position in `attachments`.
        index: u32,
    },
    /// The next decoded bytes of the open attachment: 64 KiB, the last ones fewer.
    AttachmentBytes {
        /// Position in `attachments`.
        index: u32,
        /// Decoded bytes, never empty.
        bytes: Bytes,
    },
    /// The open attachment is whole (or was cut: then `complete` is false at the end).
    AttachmentEnd {
        /// Position in `attachments`.
        index: u32,
    },
}

/// How the line that is being read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing of it has come.
    New,
    /// It begins with `-`, or belongs to a header, and is gathered whole.
    Gathered,
    /// It is no delimiter; its bytes go on as they come.
    Passing,
}

/// Splits one message. Any chunking gives the same pieces and the same record.
///
/// Lines end with CRLF, LF or CR. The line break before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1),
/// so each one is held back until the next line has shown what it is.
#[derive(Debug)]
pub struct Splitter {
    walk: Walk,
    size: u64,
    line: Line,
    gathered: Vec<u8>,
    held: &'static [u8],
    after_cr: bool,
}

impl Splitter {
    /// A splitter for one message.
    pub fn new(limits: Limits) -> Self {
        Self {
            walk: Walk::new(limits),
            size: 0,
            line: Line::New,
            gathered: Vec::new(),
            held: b"",
            after_cr: false,
        }
    }

    /// Takes the next raw bytes; pieces that are ready are added to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<Piece>) {
        self.size += chunk.len() as u64;
        let mut rest = chunk;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) {
                let crlf = first == b'\n';
                self.line_done(if crlf { b"\r\n" } else { b"\r" }, out);
                rest = rest.get(usize::from(crlf)..).unwrap_or_default();
                continue;
            }
            if self.line == Line::New && !self.walk.in_head() {
                let passed = self.pass_lines(rest, out);
                if passed > 0 {
                    rest = rest.get(passed..).unwrap_or_default();
                    continue;
                }
            }
            let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (text, from) = rest.split_at(end);
            if !text.is_empty() {
                self.line_grows(text, out);
            }
            match from.split_first() {
                Some((b'\r', following)) => {
                    self.after_cr = true;
                    rest = following;
                }
                Some((_, following)) => {
                    self.line_done(b"\n", out);
                    rest = following;
                }
                None => rest = from,
            }
        }
    }

    /// Passes on all whole lines up to one that could be a delimiter, at once: most of a large mail is lines of base64.
    /// Returns how many bytes that were; the break of the last line is held back.
    fn pass_lines(&mut self, rest: &[u8], out: &mut Vec<Piece>) -> usize {
        let breaks = |byte: u8| matches!(byte, b'\r' | b'\n');
        let dash = memchr_iter(b'-', rest).find(|at| *at == 0 || rest.get(at - 1).copied().is_some_and(breaks));
        // A CR at the end may be half of a CRLF.
        let whole = match dash {
            Some(dash) => dash,
            None if rest.ends_with(b"\r") => rest.len() - 1,
            None => rest.len(),
        };
        let lines = rest.get(..whole).unwrap_or_default();
        let Some(last) = memrchr2(b'\r', b'\n', lines) else {
            return 0;
        };
        let (end, line_break): (usize, &'static [u8]) = match (lines.get(last), last.checked_sub(1)) {
            (Some(b'\n'), Some(before)) if lines.get(before) == Some(&b'\r') => (before, b"\r\n"),
            (Some(b'\n'), _) => (last, b"\n"),
            _ => (last, b"\r"),
        };
        self.walk.content(std::mem::take(&mut self.held), out);
        self.walk.content(lines.get(..end).unwrap_or_default(), out);
        self.held = line_break;
        last + 1
    }

    /// What is known of an attachment that has begun: `index`, `name`, `file_name`, `content_type` and what else its
    /// header said; `size` and `sha256` come with its end. `file_name` and `content_type` no longer change.
    pub fn attachment(&self, index: u32) -> Option<&Attachment> {
        self.walk.attachment(index)
    }

    /// The end of the message: the last pieces and the record.
    pub fn finish(mut self, out: &mut Vec<Piece>) -> ParsedMessage {
        if self.after_cr {
            self.line_done(b"\r", out);
        }
        if self.line != Line::New {
            self.line_done(b"", out);
        }
        self.walk.content(self.held, out);
        self.walk.finish(self.size, out)
    }

    fn line_grows(&mut self, text: &[u8], out: &mut Vec<Piece>) {
        if self.walk.in_head() {
            if self.walk.head_has_room(self.gathered.len() + text.len(), out) {
                self.gathered.extend_from_slice(text);
                self.line = Line::Gathered;
            } else {
                self.gathered = Vec::new();
                self.line = Line::Passing;
            }
            return;
        }
        let longest = self.walk.longest_delimiter();
        let may_divide = match self.line {
            Line::New => text.starts_with(b"-"),
            Line::Gathered => self.gathered.len() > 1 || text.starts_with(b"-"),
            Line::Passing => false,
        };
        if may_divide && self.gathered.len() + text.len() <= longest {
            self.gathered.extend_from_slice(text);
            self.line = Line::Gathered;
        } else {
            self.pass(out);
            self.walk.content(text, out);
        }
    }

    /// The line is no delimiter: the held line break and what was gathered go on.
    fn pass(&mut self, out: &mut Vec<Piece>) {
        self.walk.content(std::mem::take(&mut self.held), out);
        self.walk.content(&self.gathered, out);
        self.gathered.clear();
        self.line = Line::Passing;
    }

    fn line_done(&mut self, line_break: &'static [u8], out: &mut Vec<Piece>) {
        let line = std::mem::replace(&mut self.line, Line::New);
        if self.walk.in_head() {
            let gathered = std::mem::take(&mut self.gathered);
            let is_body = self.walk.head_line(&gathered, out);
            let divides = is_body && self.walk.delimiter(&gathered, out);
            if is_body && !divides {
                self.walk.content(&gathered, out);
                self.held = line_break;
            }
            self.gathered = gathered;
            self.gathered.clear();
            return;
        }
        if line == Line::Gathered && self.walk.delimiter(&self.gathered, out) {
            self.gathered.clear();
            self.held = b"";
            return;
        }
        self.pass(out);
        self.line = Line::New;
        self.held = line_break;
    }
}
