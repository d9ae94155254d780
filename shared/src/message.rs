//! The message: one imported mail, its key, what became of it, and its story.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::{MailboxKey, digest};

/// Graph's immutable id of a message: opaque, case-sensitive, stable while the mail stays in its mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImmutableId(pub String);

impl fmt::Display for ImmutableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a mail in Postroom: mailbox + immutable id, digested. 26 characters of `a-z2-7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageKey(pub String);

impl MessageKey {
    /// Of a mail in a mailbox.
    pub fn of(mailbox: &MailboxKey, id: &ImmutableId) -> Self {
        Self(digest(&["message", &mailbox.0, &id.0]))
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a mail. Never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Bytes and record are durable; an event was owed to the receiver and is sent.
    Imported,
    /// A rule says that it is not mail to import; the reason says which rule.
    Filtered,
    /// Seen, not yet imported; tried again by itself.
    Owed,
    /// Set aside after it failed for good; an admin can have it tried again.
    Quarantined,
    /// It left the mailbox before it could be imported, or an admin dismissed it.
    Gone,
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imported => "imported",
            Self::Filtered => "filtered",
            Self::Owed => "owed",
            Self::Quarantined => "quarantined",
            Self::Gone => "gone",
        })
    }
}

/// How faithful the archived MIME is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// As Exchange gave it.
    Mime,
    /// Put together from the message's JSON and attachments, because Exchange could not make MIME.
    Reconstructed,
    /// As Exchange gave it, but a multipart's end is missing each time it was asked for.
    Incomplete,
}

/// What Graph's pages say of a message, as far as records need it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// Subject, cut at 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The sender's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// When the mailbox received it (the server's word).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Timestamp>,
    /// `Message-ID` without angle brackets: the sender's word, a hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_message_id: Option<String>,
    /// Not yet sent.
    #[serde(default)]
    pub draft: bool,
    /// `eventMessage` and its kin: a meeting request, answer or cancellation.
    #[serde(default)]
    pub meeting: bool,
    /// The folder it was in when the page was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// Where the bytes that count lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// `fence-counter` of the attempt.
    pub attempt: String,
    /// The folder of the attempt in the archive.
    pub path: String,
    /// Length of `message.eml` in bytes.
    pub size: u64,
    /// SHA-256 of `message.eml` in hexadecimal.
    pub sha256: String,
    /// How many attachments lie beside it.
    pub attachments: u32,
}

/// What was wanted of the mailbox after import and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// As in the account: `mark-read`, `move:FOLDER`, `delete`.
    pub wanted: String,
    /// `pending`, `done`, `gone` (the mail left before) or `failed`.
    pub state: String,
    /// When the state was reached.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What to know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One line of a message's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryLine {
    /// When, by our clock.
    pub at: Timestamp,
    /// What happened, for people.
    pub what: String,
}

/// The record of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its identity.
    pub key: MessageKey,
    /// Graph's id.
    pub immutable_id: ImmutableId,
    /// The account that saw it first.
    pub account: String,
    /// What became of it.
    pub disposition: Disposition,
    /// Why, for everything but `imported`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The admin's name of the folder it was found in.
    pub folder: String,
    /// What the page said.
    pub envelope: Envelope,
    /// The bytes, once there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Archived>,
    /// How faithful they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<Fidelity>,
    /// The parser stopped at a limit, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<String>,
    /// The sequence number of its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// What was wanted of the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionRecord>,
    /// The run that recorded it last.
    pub run: String,
    /// When it was first seen, by our clock.
    pub seen_at: Timestamp,
    /// Key of its row in the list by time.
    pub listed: String,
    /// The story, oldest first; at most 50 lines.
    pub story: Vec<StoryLine>,
}

impl Message {
    /// Adds a line to the story; the oldest but the first two give way.
    pub fn tell(&mut self, at: Timestamp, what: impl Into<String>) {
        if self.story.len() >= 50 {
            self.story.remove(2);
        }
        // A record is one item of at most 400 KB; no answer of anybody makes its story longer than half of that.
        let what = cut(&what.into(), 1_000);
        self.story.push(StoryLine { at, what });
    }
}

/// A mail that was seen but not imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Debt {
    /// Its identity.
    pub key: MessageKey,
    /// Graph's id.
    pub immutable_id: ImmutableId,
    /// Why it is owed.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; nothing if it is set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// Set aside: tried again only when an admin says so.
    pub quarantined: bool,
    /// The admin's name of the folder it was found in.
    pub folder: String,
    /// What the page said.
    pub envelope: Envelope,
    /// Since when.
    pub since: Timestamp,
    /// How often it was set aside because the process died while it was read. The first time it is tried again by
    /// itself: a process that is killed from outside looks the same.
    #[serde(default)]
    pub struck: u32,
}

/// An event, as it goes to the receiver. The stable id and the sequence number let a receiver count each once.
pub type Event = Value;

/// Cuts a text at `max` characters.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
