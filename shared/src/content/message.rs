//! The parsed JSON of one message: its shape, documented field by field, and its JSON Schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name and version of the shape; it changes when a field changes its meaning or goes away.
pub const SCHEMA: &str = "postroom.message/1";

/// What could be read from one message. Derived from the raw MIME and derivable again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub struct ParsedMessage {
    /// Name and version of this shape: `postroom.message/1`.
    #[schemars(extend("const" = "postroom.message/1"))]
    pub schema: String,
    /// The subject, decoded (RFC 2047), without control characters.
    pub subject: Option<String>,
    /// The authors (`From`).
    #[serde(default)]
    pub from: Vec<Mailbox>,
    /// Who sent it, if that is not the author (`Sender`).
    pub sender: Option<Mailbox>,
    /// Where answers should go (`Reply-To`).
    #[serde(default)]
    pub reply_to: Vec<Mailbox>,
    /// The recipients (`To`), groups dissolved.
    #[serde(default)]
    pub to: Vec<Mailbox>,
    /// The recipients of a copy (`Cc`).
    #[serde(default)]
    pub cc: Vec<Mailbox>,
    /// The recipients of a blind copy (`Bcc`), if the sender's own copy was imported.
    #[serde(default)]
    pub bcc: Vec<Mailbox>,
    /// The `Date` field as RFC 3339 in UTC; absent if it cannot be understood. The sender's word, not a fact.
    pub date: Option<String>,
    /// The `Date` field as it was written, at most 998 bytes.
    pub date_raw: Option<String>,
    /// The `Message-ID`, trimmed and without angle brackets. The sender's word: for search and threads, never for identity.
    pub message_id: Option<String>,
    /// The message ids of `In-Reply-To`, normalised in the same way.
    #[serde(default)]
    pub in_reply_to: Vec<String>,
    /// The message ids of `References`, oldest first, normalised in the same way.
    #[serde(default)]
    pub references: Vec<String>,
    /// The plain text body; several text parts are joined by a newline.
    pub text: Option<TextBody>,
    /// The HTML body, exactly as sent: it is hostile until it is cleaned.
    pub html: Option<TextBody>,
    /// Every part that is not a displayed body, in the order of the message.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// The header fields of the message in their order, unfolded and decoded.
    #[serde(default)]
    pub headers: Vec<HeaderField>,
    /// The first calendar part (RFC 5545), if there is one.
    pub calendar: Option<Calendar>,
    /// What the header says about who or what sent this.
    #[serde(default)]
    pub verdicts: Verdicts,
    /// The topmost `Authentication-Results` field as it is (RFC 8601): only the topmost can come from the own border.
    pub authentication_results: Option<String>,
    /// Size of the raw message in bytes.
    pub size: u64,
    /// False if the message is a multipart whose closing boundary never came: the body may have been cut.
    pub complete: bool,
    /// Which limit was reached first, in words; absent if none was. The raw message is whole in either case.
    pub limited: Option<String>,
    /// Everything that was repaired, guessed or left out, in words.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A person or a list: a displayed name, an address, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mailbox {
    /// The displayed name, decoded.
    pub name: Option<String>,
    /// The address as written; it may be anything, for the sender wrote it.
    pub address: Option<String>,
}

/// A displayed body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextBody {
    /// The text in UTF-8.
    pub content: String,
    /// True if the text went on beyond the limit.
    pub truncated: bool,
    /// The charset it was decoded from, by its WHATWG name (`UTF-8`, `windows-1252`).
    pub charset: String,
}

/// One attachment. `index`, `file_name` and `content_type` are final when its first piece comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// Position in `attachments`, from 0.
    pub index: u32,
    /// Name to show: decoded, without control and bidirectional characters; data, never a path.
    pub name: String,
    /// Name for a disk: `[A-Za-z0-9._-]`, at most 200 bytes, unique in the message by its number (`001-report.pdf` has index 0).
    pub file_name: String,
    /// Media type in lower case, without parameters.
    pub content_type: String,
    /// Decoded size in bytes.
    pub size: u64,
    /// SHA-256 of the decoded bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// `Content-ID` without angle brackets: what `cid:` in the HTML body refers to.
    pub content_id: Option<String>,
    /// `Content-Disposition` in lower case, without parameters.
    pub disposition: Option<String>,
    /// True if it belongs into the displayed body rather than beside it.
    pub inline: bool,
    /// True if it is one form of the body (a child of `multipart/alternative`), such as an invitation.
    #[serde(default)]
    pub alternative: bool,
    /// How the transfer encoding had to be helped, if it had to.
    pub encoding_note: Option<String>,
}

/// One header field of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderField {
    /// The name as written.
    pub name: String,
    /// The value, unfolded and decoded.
    pub value: String,
}

/// A calendar part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Calendar {
    /// The attachment that holds it.
    pub index: u32,
    /// The iTIP method in upper case, such as `REQUEST`, `REPLY` or `CANCEL` (RFC 5546).
    pub method: Option<String>,
}

/// What the message says about its origin. Each verdict carries its evidence; none of them drops a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdicts {
    /// Written by a program: `Auto-Submitted` other than `no` (RFC 3834), or one of its older cousins.
    pub auto_submitted: Option<Verdict>,
    /// A report of a delivery that failed or was delayed (RFC 3464).
    pub bounce: Option<Verdict>,
    /// A report that a message was displayed, deleted or denied (RFC 8098).
    pub receipt: Option<Verdict>,
    /// Came through a mailing list (RFC 2919, RFC 2369).
    pub mailing_list: Option<Verdict>,
    /// Sent to many: `Precedence: bulk` or `junk`, or an offer to unsubscribe without a list.
    pub bulk: Option<Verdict>,
    /// The sender asks for no automatic answers (`X-Auto-Response-Suppress`, [MS-OXCMAIL]). Outlook writes it in
    /// ordinary mail too, so it is never proof of an automatic message (P66).
    pub auto_response_suppress: Option<Verdict>,
}

/// One verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The fields and parts it rests on, as text.
    pub evidence: String,
}

/// The JSON Schema of [`ParsedMessage`], as published in `docs/schema/message.schema.json`.
pub fn message_schema() -> serde_json::Value {
    schemars::schema_for!(ParsedMessage).to_value()
}

#[cfg(test)]
mod tests {
    use super::message_schema;

    /// The published schema is the one of the code. `POSTROOM_BLESS=1 cargo test -p shared schema` writes it anew.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for whoever runs the tests, not a setting of the program"
    )]
    fn published_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/message.schema.json");
        let mut now = serde_json::to_string_pretty(&message_schema()).unwrap();
        now.push('\n');
        if std::env::var("POSTROOM_BLESS").is_ok_and(|value| value == "1") {
            std::fs::write(path, &now).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        assert!(
            published == now,
            "docs/schema/message.schema.json is old; run with POSTROOM_BLESS=1 to write it anew"
        );
    }
}
