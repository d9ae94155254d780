//! Writes: PATCH, move, copy, delete, permanent delete.

use super::error::GraphError;
use super::scene::Scene;
use crate::mailbox::changes::Touched;
use crate::mailbox::ids;
use crate::readings::DeleteTo;
use crate::wire::{Call, Reply, empty};
use serde_json::{Map, Value};

/// The JSON object a request must carry.
pub(crate) fn object(call: &Call) -> Result<Map<String, Value>, GraphError> {
    let is_json = call
        .header("content-type")
        .is_some_and(|t| t.to_ascii_lowercase().starts_with("application/json"));
    if !is_json {
        return Err(GraphError::bad(
            "Write requests must contain the Content-Type header declaration.",
        ));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(GraphError::bad("A JSON object is expected in the request body.")),
        Err(error) => Err(GraphError::bad(format!(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format. {error}"
        ))),
    }
}

/// One change a PATCH makes.
enum Patch {
    Read(bool),
    Categories(Vec<String>),
    Flag(String),
    Importance(String),
    Subject(String),
}

pub(crate) fn patch(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let body = object(scene.call)?;
    let key = scene.item()?;
    let draft = scene.mailbox()?.items.get(key).is_some_and(|i| i.draft);
    // All is judged before anything is changed: a refused PATCH changes nothing.
    kind_of_message(&body)?;
    let changes = body
        .iter()
        .filter(|(name, _)| !name.starts_with('@'))
        .map(|(name, value)| judge(name, value, draft))
        .collect::<Result<Vec<_>, _>>()?;
    let now = scene.now_ms();
    let mailbox = scene.mailbox_mut()?;
    for change in changes {
        match change {
            Patch::Read(read) => mailbox.update(key, Touched::Read, now, |i| i.read = read),
            Patch::Categories(list) => {
                mailbox.update(key, Touched::Categories, now, |i| i.categories = list);
            }
            Patch::Flag(flag) => mailbox.update(key, Touched::Flag, now, |i| i.flag = flag),
            Patch::Importance(importance) => {
                mailbox.update(key, Touched::Importance, now, |i| i.importance = importance);
            }
            Patch::Subject(subject) => mailbox.change_subject(key, &subject, now),
        }
    }
    super::messages::written(scene, key, 200)
}

/// Annotations are no properties, and clients send them (`@odata.type` with every entity); but a message is a message.
fn kind_of_message(body: &Map<String, Value>) -> Result<(), GraphError> {
    const KINDS: [&str; 4] = ["message", "eventMessage", "eventMessageRequest", "eventMessageResponse"];
    let Some(said) = body.get("@odata.type") else {
        return Ok(());
    };
    let kind = said.as_str().and_then(|text| text.strip_prefix("#microsoft.graph."));
    if kind.is_some_and(|kind| KINDS.contains(&kind)) {
        return Ok(());
    }
    Err(GraphError::bad(format!(
        "The type {said} is not one that can stand here: a message is expected."
    )))
}

fn judge(name: &str, value: &Value, draft: bool) -> Result<Patch, GraphError> {
    let wrong = || GraphError::bad(format!("The value of the property '{name}' is of the wrong type."));
    let one_of =
        |known: &[&str], text: Option<&str>| text.filter(|t| known.contains(t)).map(str::to_owned).ok_or_else(wrong);
    match name {
        "isRead" => value.as_bool().map(Patch::Read).ok_or_else(wrong),
        "categories" => {
            let list = value.as_array().ok_or_else(wrong)?;
            list.iter()
                .map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<_, _>>()
                .map(Patch::Categories)
        }
        "flag" => one_of(&["notFlagged", "complete", "flagged"], value["flagStatus"].as_str()).map(Patch::Flag),
        "importance" => one_of(&["low", "normal", "high"], value.as_str()).map(Patch::Importance),
        "subject" if draft => value.as_str().map(|s| Patch::Subject(s.to_owned())).ok_or_else(wrong),
        "subject" | "body" | "internetMessageId" | "replyTo" | "toRecipients" | "ccRecipients" | "bccRecipients"
        | "from" | "sender" => Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            format!("Set action is invalid for property '{name}'."),
        )),
        _ if super::render::selectable(name) => Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            format!("The property '{name}' is read-only and cannot be set."),
        )),
        _ => Err(GraphError::bad(format!(
            "The property '{name}' does not exist on type 'Microsoft.OutlookServices.Message'. Make sure to only use property names that are defined by the type."
        ))),
    }
}

pub(crate) fn move_or_copy(scene: &mut Scene<'_>, copy: bool) -> Result<Reply, GraphError> {
    let body = object(scene.call)?;
    let key = scene.item()?;
    let name = body
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case("destinationId"))
        .and_then(|(_, v)| v.as_str())
        .filter(|n| !n.is_empty())
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidArgument", "DestinationId is required."))?
        .to_owned();
    let to = match scene.mailbox()?.folder_by_segment(&name) {
        Some(to) => to,
        None if ids::well_formed(&name) => {
            return Err(GraphError::new(
                404,
                "ErrorItemNotFound",
                "The specified folder could not be found in the store.",
            ));
        }
        None => return Err(GraphError::malformed_id()),
    };
    if scene.mailbox()?.folders.get(to).is_some_and(|f| f.search) {
        return Err(GraphError::new(
            400,
            "ErrorMoveCopyFailed",
            "The move or copy operation failed.",
        ));
    }
    let now = scene.now_ms();
    let mailbox = scene.mailbox_mut()?;
    let shown = if copy {
        mailbox.copy_item(key, to, now).ok_or_else(GraphError::item_not_found)?
    } else {
        mailbox.move_item(key, to, now);
        key
    };
    super::messages::written(scene, shown, 201)
}

pub(crate) fn delete(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let key = scene.item()?;
    let now = scene.now_ms();
    let reading = scene.state.options.readings.delete_to;
    scene.mailbox_mut()?.delete_item(key, reading, now);
    Ok(empty(204))
}

pub(crate) fn permanent_delete(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let key = scene.item()?;
    scene.mailbox_mut()?.purge(key);
    Ok(empty(204))
}

impl crate::mailbox::Mailbox {
    /// To Deleted Items first, from there to Recoverable Items, from there for good.
    pub(crate) fn delete_item(&mut self, key: usize, reading: DeleteTo, now_ms: i64) {
        let (bin, recovery) = (
            self.well_known("deleteditems"),
            self.well_known("recoverableitemsdeletions"),
        );
        let at = self.items.get(key).map(|i| i.folder);
        let to = if at == recovery {
            None
        } else if at == bin || reading == DeleteTo::RecoverableItems {
            recovery
        } else {
            bin
        };
        match to {
            Some(to) => self.move_item(key, to, now_ms),
            None => self.purge(key),
        }
    }

    /// Gives a draft another subject, in its MIME.
    pub(crate) fn change_subject(&mut self, key: usize, subject: &str, now_ms: i64) {
        let Some(mime) = self.items.get(key).map(|i| i.mime.bytes()) else {
            return;
        };
        let text = mime.as_ref();
        let end = text.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        let mut out: Vec<u8> = Vec::with_capacity(text.len() + subject.len());
        let mut skipping = false;
        for line in head.split_inclusive(|b| *b == b'\n') {
            let folded = line.first().is_some_and(|b| *b == b' ' || *b == b'\t');
            skipping = if folded {
                skipping
            } else {
                line.get(..8).is_some_and(|n| n.eq_ignore_ascii_case(b"subject:"))
            };
            if !skipping {
                out.extend_from_slice(line);
            }
        }
        let clean: String = subject.chars().filter(|c| !c.is_control()).collect();
        let mut fresh = format!("Subject: {clean}\r\n").into_bytes();
        fresh.extend_from_slice(&out);
        fresh.extend_from_slice(rest);
        self.rewrite(key, fresh.into(), now_ms);
    }
}
