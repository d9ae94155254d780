//! The streaming splitter: MIME goes in by the chunk, decoded attachments come out, at the end the parsed message.

use bytes::Bytes;

use super::limits::Limits;
use super::message::{Attachment, ParsedMessage};

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

/// Splits one message. Any chunking gives the same pieces and the same record.
#[derive(Debug)]
pub struct Splitter {
    limits: Limits,
    size: u64,
}

impl Splitter {
    /// A splitter for one message.
    pub fn new(limits: Limits) -> Self {
        Self { limits, size: 0 }
    }

    /// Takes the next raw bytes; pieces that are ready are added to `out`.
    pub fn push(&mut self, chunk: &[u8], _out: &mut Vec<Piece>) {
        self.size += chunk.len() as u64;
    }

    /// What is known of an attachment that has begun: `index`, `name`, `file_name`, `content_type` and what else its
    /// header said; `size` and `sha256` come with its end. `file_name` and `content_type` no longer change.
    pub fn attachment(&self, _index: u32) -> Option<&Attachment> {
        None
    }

    /// The end of the message: the last pieces and the record.
    pub fn finish(self, _out: &mut Vec<Piece>) -> ParsedMessage {
        let _ = self.limits;
        ParsedMessage {
            schema: super::SCHEMA.to_owned(), subject: None, from: vec![], sender: None, reply_to: vec![], to: vec![], cc: vec![], bcc: vec![],
            date: None, date_raw: None, message_id: None, in_reply_to: vec![], references: vec![], text: None, html: None, attachments: vec![],
            headers: vec![], calendar: None, verdicts: super::Verdicts::default(), authentication_results: None, size: self.size,
            complete: true, limited: None, notes: vec![],
        }
    }
}
