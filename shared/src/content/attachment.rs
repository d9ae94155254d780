//! The attachment that is open: decodes, cuts into pieces, measures, hashes.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::head::{Field, Head, Line, line_kind};
use super::splitter::Piece;
use super::transfer::Decoder;

/// Decoded bytes of a piece, whatever the chunks were.
const PIECE: usize = 64 * 1024;
/// Raw bytes that are decoded at a time, so that little is moved when a piece is full.
const STEP: usize = 16 * 1024;
/// Decoded bytes at the start that are kept to look for a subject or a method.
const START: usize = 16 * 1024;

/// An attachment on its way.
#[derive(Debug)]
pub(super) struct OpenAttachment {
    index: u32,
    decoder: Decoder,
    waiting: Vec<u8>,
    hash: Sha256,
    size: u64,
    start: Option<Vec<u8>>,
}

/// What is known when it is whole.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) index: u32,
    pub(super) size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub(super) sha256: String,
    /// What the decoder had to repair.
    pub(super) note: Option<String>,
    /// A name inside the transfer encoding.
    pub(super) name: Option<String>,
    /// The first bytes, if they were asked for.
    pub(super) start: Vec<u8>,
}

impl OpenAttachment {
    /// Begins; `keep_start` if the first bytes will be looked at in the end.
    pub(super) fn new(index: u32, decoder: Decoder, keep_start: bool) -> Self {
        let start = keep_start.then(Vec::new);
        Self {
            index,
            decoder,
            waiting: Vec::new(),
            hash: Sha256::new(),
            size: 0,
            start,
        }
    }

    /// Decodes raw bytes; full pieces go out.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Piece>) {
        for step in bytes.chunks(STEP) {
            self.decoder.push(step, &mut self.waiting);
            while self.waiting.len() >= PIECE {
                let mut rest = Vec::with_capacity(PIECE + STEP);
                rest.extend_from_slice(self.waiting.get(PIECE..).unwrap_or_default());
                self.waiting.truncate(PIECE);
                let full = std::mem::replace(&mut self.waiting, rest);
                self.send(full, out);
            }
        }
    }

    fn send(&mut self, bytes: Vec<u8>, out: &mut Vec<Piece>) {
        if bytes.is_empty() {
            return;
        }
        self.hash.update(&bytes);
        self.size += bytes.len() as u64;
        if let Some(start) = self.start.as_mut().filter(|start| start.is_empty()) {
            start.extend(bytes.iter().take(START));
        }
        out.push(Piece::AttachmentBytes {
            index: self.index,
            bytes: Bytes::from(bytes),
        });
    }

    /// The last pieces.
    pub(super) fn finish(mut self, out: &mut Vec<Piece>) -> Closed {
        let name = self.decoder.name().map(str::to_owned);
        let decoder = std::mem::replace(&mut self.decoder, Decoder::Identity);
        let mut waiting = std::mem::take(&mut self.waiting);
        let note = decoder.finish(&mut waiting);
        // What the decoder still held may fill one piece and begin another.
        let last = waiting.split_off(waiting.len().min(PIECE));
        self.send(waiting, out);
        self.send(last, out);
        out.push(Piece::AttachmentEnd { index: self.index });
        let sha256 = hex(self.hash.finalize().as_slice());
        Closed {
            index: self.index,
            size: self.size,
            sha256,
            note,
            name,
            start: self.start.unwrap_or_default(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The subject of an attached message, from its first bytes.
pub(super) fn subject(start: &[u8]) -> Option<String> {
    let mut block = Vec::new();
    for line in start.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line_kind(line) {
            Line::Field | Line::Continuation => {
                block.extend_from_slice(line);
                block.push(b'\n');
            }
            Line::Envelope => {}
            Line::Empty | Line::Body => break,
        }
    }
    let head = Head::parse(&block, START, START);
    head.first("Subject")
        .map(Field::decoded)
        .filter(|subject| !subject.is_empty())
}

/// The method of a calendar, from its first bytes (RFC 5545 section 3.7.2).
pub(super) fn calendar_method(start: &[u8]) -> Option<String> {
    let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).find_map(|line| {
        let (name, value) = line.split_at_checked(7)?;
        name.eq_ignore_ascii_case(b"METHOD:").then_some(value)
    })?;
    method(&String::from_utf8_lossy(line))
}

/// A method in upper case, if it is a token.
pub(super) fn method(value: &str) -> Option<String> {
    let value = value.trim();
    let token = !value.is_empty() && value.len() <= 40 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    token.then(|| value.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::{OpenAttachment, PIECE, calendar_method, subject};
    use crate::content::splitter::Piece;
    use crate::content::transfer::Decoder;

    #[test]
    fn pieces_have_one_size_whatever_the_chunks() {
        let raw: Vec<u8> = (0..PIECE * 2 + 10).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for step in [1_000, PIECE, raw.len()] {
            let mut open = OpenAttachment::new(7, Decoder::Identity, true);
            let mut out = Vec::new();
            for chunk in raw.chunks(step) {
                open.push(chunk, &mut out);
            }
            let closed = open.finish(&mut out);
            let sizes: Vec<usize> = out
                .iter()
                .filter_map(|piece| {
                    if let Piece::AttachmentBytes { bytes, .. } = piece {
                        Some(bytes.len())
                    } else {
                        None
                    }
                })
                .collect();
            assert_eq!(sizes, [PIECE, PIECE, 10], "by {step}");
            assert_eq!((closed.size, closed.start.len()), (raw.len() as u64, 16 * 1024));
            assert_eq!(closed.sha256.len(), 64);
        }
    }

    #[test]
    fn what_the_first_bytes_tell() {
        assert_eq!(
            subject(b"From: a@b\r\nSubject: =?utf-8?q?x?=\r\n y\r\n\r\nSubject: z").as_deref(),
            Some("x y")
        );
        assert_eq!(subject(b"\r\nSubject: z"), None);
        assert_eq!(
            calendar_method(b"BEGIN:VCALENDAR\r\nMethod:request\r\n").as_deref(),
            Some("REQUEST")
        );
        assert_eq!(calendar_method(b"METHOD:\xff\r\n"), None);
    }
}
