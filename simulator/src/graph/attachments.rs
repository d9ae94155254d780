//! Attachments: file, item and reference attachments, as JSON and as bytes.

use super::error::GraphError;
use super::query;
use super::scene::Scene;
use crate::clock::graph_time;
use crate::faults::body::{BodyLength, streamed};
use crate::mail::parts::{self, Attachment};
use crate::mailbox::ItemKey;
use crate::mailbox::ids::attachment_id;
use crate::wire::{Reply, json as reply_json, typed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

enum Found {
    Mime(Attachment),
    /// A link, by its name: v1.0 shows no more of it.
    Reference(String),
}

pub(crate) fn list(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    query::only(scene.call, &["select", "top", "skip", "expand"])?;
    let key = scene.readable()?.0;
    let body = json!({"@odata.context": scene.context("messages/attachments"), "value": all(scene, key)?});
    Ok(reply_json(200, &body))
}

/// Every attachment of a message, with the selected properties.
pub(crate) fn all(scene: &Scene<'_>, key: ItemKey) -> Result<Vec<Value>, GraphError> {
    let select = select(scene)?;
    let found = find(scene, key)?;
    Ok(found
        .iter()
        .map(|(id, one)| attachment_json(scene, key, id, one, &select))
        .collect())
}

pub(crate) fn get(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    query::only(scene.call, &["select", "expand"])?;
    let select = select(scene)?;
    let key = scene.readable()?.0;
    let (id, one) = pick(scene, key)?;
    let mut body = attachment_json(scene, key, &id, &one, &select);
    body["@odata.context"] = scene.context("messages/attachments/$entity").into();
    Ok(reply_json(200, &body))
}

pub(crate) fn value(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let key = scene.readable()?.0;
    match pick(scene, key)?.1 {
        Found::Reference(..) => Err(GraphError::method()),
        Found::Mime(one) => {
            let content_type = if one.item {
                "text/plain"
            } else {
                one.content_type.as_str()
            };
            let mut reply = typed(200, content_type, streamed(&one.bytes));
            reply
                .extensions_mut()
                .insert(BodyLength(u64::try_from(one.bytes.len()).unwrap_or(0)));
            Ok(reply)
        }
    }
}

fn pick(scene: &Scene<'_>, key: ItemKey) -> Result<(String, Found), GraphError> {
    let id = scene.route.attachment.clone().unwrap_or_default();
    let found = find(scene, key)?.into_iter().find(|(known, _)| *known == id);
    found.ok_or_else(|| {
        if crate::mailbox::ids::well_formed(&id) {
            GraphError::item_not_found()
        } else {
            GraphError::malformed_id()
        }
    })
}

fn find(scene: &Scene<'_>, key: ItemKey) -> Result<Vec<(String, Found)>, GraphError> {
    let mailbox = scene.mailbox()?;
    let item = mailbox.items.get(key).ok_or_else(GraphError::item_not_found)?;
    let message_id = mailbox.id_of(key, scene.prefer.ids);
    let mime = parts::attachments(&item.mime.bytes()).into_iter().map(Found::Mime);
    let references = item.references.iter().map(|(name, _)| Found::Reference(name.clone()));
    Ok(mime
        .chain(references)
        .enumerate()
        .map(|(at, one)| (attachment_id(&message_id, at, mailbox.alphabet), one))
        .collect())
}

fn select(scene: &Scene<'_>) -> Result<Vec<String>, GraphError> {
    const KNOWN: [&str; 10] = [
        "id",
        "name",
        "contentType",
        "size",
        "isInline",
        "lastModifiedDateTime",
        "contentId",
        "contentBytes",
        "contentLocation",
        "sourceUrl",
    ];
    let Some(text) = query::option(scene.call, "select").filter(|_| scene.route.act != super::route::Act::GetMessage)
    else {
        return Ok(Vec::new());
    };
    let names: Vec<String> = text
        .split(',')
        .map(|n| {
            n.trim()
                .trim_start_matches("microsoft.graph.fileAttachment/")
                .to_owned()
        })
        .collect();
    match names.iter().find(|n| !KNOWN.contains(&n.as_str())) {
        Some(unknown) => Err(GraphError::bad(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{unknown}' on type 'Microsoft.OutlookServices.Attachment'."
        ))),
        None => Ok(names),
    }
}

fn attachment_json(scene: &Scene<'_>, key: ItemKey, id: &str, one: &Found, select: &[String]) -> Value {
    let modified = scene
        .mailbox()
        .ok()
        .and_then(|m| m.items.get(key))
        .map_or(0, |i| i.modified_ms);
    let modified = graph_time(modified);
    let mut out = match one {
        Found::Mime(a) if a.item => json!({
            "@odata.type": "#microsoft.graph.itemAttachment", "id": id, "lastModifiedDateTime": modified, "name": a.name,
            "contentType": Value::Null, "size": a.bytes.len(), "isInline": a.inline,
        }),
        Found::Mime(a) => json!({
            "@odata.type": "#microsoft.graph.fileAttachment", "@odata.mediaContentType": a.content_type, "id": id,
            "lastModifiedDateTime": modified, "name": a.name, "contentType": a.content_type, "size": a.bytes.len(),
            "isInline": a.inline, "contentId": a.content_id, "contentLocation": Value::Null,
            "contentBytes": if wanted(select, "contentBytes") { STANDARD.encode(&a.bytes) } else { String::new() },
        }),
        Found::Reference(name) => json!({
            "@odata.type": "#microsoft.graph.referenceAttachment", "id": id, "lastModifiedDateTime": modified, "name": name,
            "contentType": Value::Null, "size": 382, "isInline": false,
        }),
    };
    if let Value::Object(map) = &mut out {
        map.retain(|name, _| name == "id" || name.starts_with('@') || wanted(select, name));
    }
    out
}

fn wanted(select: &[String], name: &str) -> bool {
    select.is_empty() || select.iter().any(|s| s == name)
}
