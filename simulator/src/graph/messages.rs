//! Messages: plain lists, one message, its MIME, and the translation of ids.

use super::error::GraphError;
use super::query;
use super::render::{self, Style};
use super::scene::Scene;
use crate::faults::body::{BodyLength, streamed};
use crate::mail::boundaries;
use crate::mailbox::ItemKey;
use crate::mailbox::ids::IdFormat;
use crate::readings::{FolderValue, SubtypeMark, ValueType};
use crate::wire::{Reply, json as reply_json, typed};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub(crate) fn list(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let call = scene.call;
    query::only(call, &["select", "top", "skip", "filter", "orderby", "count"])?;
    let select = query::select(call)?;
    let filters = query::filter(call)?;
    let (property, descending) = query::order(call, &filters)?;
    let top = query::number(call, "top", 1, 1000)?.unwrap_or_else(|| scene.prefer.page_size.unwrap_or(10).min(1000));
    let skip = query::number(call, "skip", 0, usize::MAX)?.unwrap_or(0);
    let folder = scene.folder()?;
    let mailbox = scene.mailbox()?;
    let mut keys: Vec<ItemKey> = match folder {
        Some(folder) => mailbox.members(folder),
        // The whole mailbox, without what only recovery shows.
        None => mailbox
            .items
            .iter()
            .enumerate()
            .filter(|(_, i)| {
                i.alive
                    && mailbox
                        .folders
                        .get(i.folder)
                        .is_some_and(|f| f.well_known != Some("recoverableitemsdeletions"))
            })
            .map(|(k, _)| k)
            .collect(),
    };
    keys.retain(|k| {
        mailbox
            .items
            .get(*k)
            .is_some_and(|item| filters.iter().all(|f| f.holds(mailbox, item)))
    });
    keys.sort_by_cached_key(|k| {
        mailbox.items.get(*k).map(|i| match property.as_str() {
            "sentDateTime" => (i.facts.sent_ms.unwrap_or(i.received_ms), String::new()),
            "lastModifiedDateTime" => (i.modified_ms, String::new()),
            "subject" => (0, i.facts.subject.to_lowercase()),
            _ => (i.received_ms, String::new()),
        })
    });
    if descending {
        keys.reverse();
    }
    let total = keys.len();
    let page: Vec<ItemKey> = keys.into_iter().skip(skip).take(top).collect();
    let damaged = page
        .iter()
        .any(|k| mailbox.items.get(*k).is_some_and(|i| i.corruption.is_some()));
    if damaged && !render::is_cheap(&select) {
        return Err(GraphError::new(
            500,
            "ErrorInternalServerError",
            "An internal server error occurred. The operation failed.",
        ));
    }
    let style = style(scene, &select);
    let value: Vec<Value> = page
        .iter()
        .map(|k| Value::Object(render::message(mailbox, *k, style)))
        .collect();
    let mut body = Map::new();
    let below = match folder.and_then(|f| mailbox.folders.get(f)) {
        Some(f) => format!("mailFolders('{}')/messages", f.id),
        None => "messages".to_owned(),
    };
    body.insert("@odata.context".to_owned(), scene.context(&below).into());
    if query::option(call, "count").is_some_and(|v| v == "true") {
        body.insert("@odata.count".to_owned(), total.into());
    }
    if skip + top < total {
        body.insert("@odata.nextLink".to_owned(), next_by_skip(scene, skip + top).into());
    }
    body.insert("value".to_owned(), value.into());
    let body = super::delta::spoil_page(scene, body, None);
    Ok(reply_json(200, &Value::Object(body)))
}

/// The link to the page after `skip` items of the same query.
pub(crate) fn next_by_skip(scene: &Scene<'_>, skip: usize) -> String {
    let mut url = format!("{}{}?", scene.call.origin, scene.call.path);
    for (name, value) in scene
        .call
        .query
        .iter()
        .filter(|(n, _)| n.trim_start_matches('$') != "skip")
    {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let _ = write!(url, "{}={value}&", name.replace('$', "%24"));
    }
    let _ = write!(url, "%24skip={skip}");
    url
}

fn style<'a>(scene: &Scene<'a>, select: &'a [String]) -> Style<'a> {
    let always_typed = scene.state.options.readings.subtype_mark == SubtypeMark::Every;
    Style {
        select,
        prefer: scene.prefer,
        always_typed,
    }
}

pub(crate) fn get(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    query::only(scene.call, &["select", "expand"])?;
    let select = query::select(scene.call)?;
    let key = scene.readable()?.0;
    let mut message = render::message(scene.mailbox()?, key, style(scene, &select));
    if let Some(expand) = query::option(scene.call, "expand") {
        if expand != "attachments" {
            return Err(GraphError::bad(format!(
                "The expansion '{expand}' is not supported here."
            )));
        }
        message.insert("attachments".to_owned(), super::attachments::all(scene, key)?.into());
    }
    message.insert("@odata.context".to_owned(), scene.context("messages/$entity").into());
    Ok(reply_json(200, &Value::Object(message)))
}

/// A message just written, as move, copy and PATCH answer it.
pub(crate) fn written(scene: &Scene<'_>, key: ItemKey, status: u16) -> Result<Reply, GraphError> {
    let mut message = render::message(scene.mailbox()?, key, style(scene, &[]));
    message.insert("@odata.context".to_owned(), scene.context("messages/$entity").into());
    Ok(reply_json(status, &Value::Object(message)))
}

pub(crate) fn value(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    if scene.route.folder.is_some() && scene.state.options.readings.folder_value == FolderValue::Refused {
        return Err(GraphError::method());
    }
    query::only(scene.call, &[])?;
    let canonical = scene.readable()?.1.mime.bytes();
    let bytes = if scene.state.options.vary_mime {
        bytes::Bytes::from(boundaries::vary(&canonical, &mut scene.state.rng))
    } else {
        canonical
    };
    let address = scene.mailbox()?.address.clone();
    let length = u64::try_from(bytes.len()).unwrap_or(0);
    scene.state.stats.mailbox(&address).value_bytes += length;
    let content_type = match scene.state.options.readings.value_type {
        ValueType::TextPlain => "text/plain",
        ValueType::OctetStream => "application/octet-stream",
    };
    let mut reply = typed(200, content_type, streamed(&bytes));
    reply.extensions_mut().insert(BodyLength(length));
    Ok(reply)
}

/// `translateExchangeIds`: at most 1000 ids, between the default and the immutable format.
pub(crate) fn translate(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let body = super::write::object(scene.call)?;
    let ids: Vec<String> = body
        .get("inputIds")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidArgument", "inputIds is required."))?;
    if ids.len() > 1000 {
        return Err(GraphError::new(
            400,
            "ErrorInvalidArgument",
            "At most 1000 ids can be translated at once.",
        ));
    }
    let format = |name: &str| match body.get(name).and_then(Value::as_str) {
        Some("restId") => Ok(IdFormat::Default),
        Some("restImmutableEntryId") => Ok(IdFormat::Immutable),
        _ => Err(GraphError::new(
            400,
            "ErrorInvalidArgument",
            format!("{name} must be restId or restImmutableEntryId."),
        )),
    };
    format("sourceIdType")?;
    let target = format("targetIdType")?;
    let mailbox = scene.mailbox()?;
    let value: Vec<Value> = ids
        .iter()
        .map(|id| match mailbox.item_by_id(id) {
            Some(key) => json!({"sourceId": id, "targetId": mailbox.id_of(key, target)}),
            None => json!({"sourceId": id, "errorDetails": {"code": "ErrorItemNotFound", "message": "The specified object was not found in the store."}}),
        })
        .collect();
    let context = format!(
        "{}/v1.0/$metadata#Collection(microsoft.graph.convertIdResult)",
        scene.call.origin
    );
    Ok(reply_json(200, &json!({"@odata.context": context, "value": value})))
}
