//! When Exchange cannot make MIME of a message: put one together from its JSON and attachments, and say so (P61).

use bytes::Bytes;
use futures::TryStreamExt as _;
use mail_builder::{
    MessageBuilder,
    headers::{address::Address, raw::Raw},
};
use serde_json::Value;

use crate::message::ImmutableId;

use super::{
    client::GraphClient,
    error::{GraphError, GraphErrorKind},
};

/// The most bytes of attachments that a reconstruction holds in memory.
const RECONSTRUCTED_BYTES: u64 = 16 * 1024 * 1024;

impl GraphClient {
    /// The message as MIME of our own making, with remarks on what is missing in it.
    pub async fn reconstruct(&self, id: &ImmutableId) -> Result<(Bytes, Vec<String>), GraphError> {
        let message = self.whole(id).await?;
        let mut notes = Vec::new();
        let mut parts = Vec::new();
        let mut room = RECONSTRUCTED_BYTES;
        for attachment in self.attachments(id).await? {
            let text = |name: &str| {
                attachment
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let (name, kind) = (text("name"), text("@odata.type"));
            let size = attachment.get("size").and_then(Value::as_u64).unwrap_or_default();
            if kind.to_ascii_lowercase().ends_with("referenceattachment") {
                notes.push(format!("`{name}` is a link to a file elsewhere, not a file"));
                continue;
            }
            if size > room {
                notes.push(format!(
                    "attachment `{name}` of {size} bytes is left out: too large for a reconstruction"
                ));
                continue;
            }
            match self.attachment_bytes(id, &text("id"), room).await {
                Ok(bytes) => {
                    room -= bytes.len() as u64;
                    let content_type = match text("contentType") {
                        _ if kind.to_ascii_lowercase().ends_with("itemattachment") => "message/rfc822".to_owned(),
                        empty if empty.is_empty() => "application/octet-stream".to_owned(),
                        content_type => content_type,
                    };
                    parts.push((content_type, name, bytes));
                }
                Err(error) if error.stops_the_run() || matches!(error.kind, GraphErrorKind::Unavailable) => {
                    return Err(error);
                }
                Err(error) => notes.push(format!("attachment `{name}` could not be read: {error}")),
            }
        }
        Ok((build(&message, parts), notes))
    }

    async fn attachment_bytes(&self, id: &ImmutableId, attachment: &str, room: u64) -> Result<Vec<u8>, GraphError> {
        let mut stream = self.attachment(id, attachment).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream
            .bytes
            .try_next()
            .await
            .map_err(|error| GraphError::from(&error))?
        {
            if (bytes.len() + chunk.len()) as u64 > room {
                return Err(GraphError::new(GraphErrorKind::Corrupt, "it is larger than announced"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

fn address(value: &Value) -> Option<Address<'static>> {
    let text = |name: &str| {
        value
            .pointer(&format!("/emailAddress/{name}"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    Some(Address::new_address(text("name"), text("address")?))
}

fn addresses(message: &Value, name: &str) -> Option<Address<'static>> {
    let list: Vec<_> = message.get(name)?.as_array()?.iter().filter_map(address).collect();
    (!list.is_empty()).then(|| Address::new_list(list))
}

fn build(message: &Value, parts: Vec<(String, String, Vec<u8>)>) -> Bytes {
    let text = |pointer: &str| {
        message
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut builder = MessageBuilder::new().subject(text("/subject"));
    if let Some(from) = message.get("from").and_then(address) {
        builder = builder.from(from);
    }
    for (name, header) in [
        ("toRecipients", "To"),
        ("ccRecipients", "Cc"),
        ("bccRecipients", "Bcc"),
        ("replyTo", "Reply-To"),
    ] {
        if let Some(list) = addresses(message, name) {
            builder = builder.header(header, list);
        }
    }
    let sent = text("/sentDateTime")
        .parse::<jiff::Timestamp>()
        .or_else(|_| text("/receivedDateTime").parse());
    builder = builder.date(sent.map(jiff::Timestamp::as_second).unwrap_or_default());
    let id = crate::content::normalise_message_id(&text("/internetMessageId"));
    builder = builder.message_id(id.unwrap_or_else(|| "unknown@invalid".to_owned()));
    builder = builder.header("X-Postroom-Fidelity", Raw::new("reconstructed"));
    builder = if text("/body/contentType").eq_ignore_ascii_case("html") {
        builder.html_body(text("/body/content"))
    } else {
        builder.text_body(text("/body/content"))
    };
    for (content_type, name, bytes) in parts {
        builder = builder.attachment(content_type, name, bytes);
    }
    Bytes::from(builder.write_to_vec().unwrap_or_default())
}
