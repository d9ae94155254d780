//! MIME as a stream: raw bytes go in, decoded attachments and one [`ParsedMessage`] come out.
//!
//! The room knows no I/O, no ports and no files. It is total: whatever the bytes are, [`Splitter`] answers, and
//! what it could not do well stands in `notes` and `limited`. It never recurses, and its memory is bounded by
//! [`Limits`], not by the size of a message. The raw bytes are the record and belong to the caller; everything here
//! is derived from them and can be derived again: the parser never stops an import.

mod address;
mod assemble;
mod attachment;
mod base64_stream;
mod boundary;
mod charset;
mod date;
mod encoded_word;
#[cfg(test)]
mod endurance_tests;
mod file_name;
mod head;
mod limits;
mod message;
mod message_id;
mod notes;
mod parameters;
mod part;
mod quoted_printable;
mod splitter;
#[cfg(test)]
mod splitting_tests;
mod summary;
mod text;
mod transfer;
mod uuencode;
mod verdict;
mod walk;

pub use limits::Limits;
pub use message::{
    Attachment, Calendar, HeaderField, Mailbox, ParsedMessage, SCHEMA, TextBody, Verdict, Verdicts, message_schema,
};
pub use message_id::normalise_message_id;
pub use splitter::{Piece, Splitter};
pub use summary::MessageSummary;
