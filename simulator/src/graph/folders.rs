//! Mail folders: lists, one folder, the delta over folders, and making one.

use super::error::GraphError;
use super::query;
use super::scene::Scene;
use crate::mailbox::folders::FolderTrouble;
use crate::mailbox::{FolderKey, Mailbox};
use crate::readings::NestedFolders;
use crate::wire::{Reply, json as reply_json};
use serde_json::{Map, Value, json};

const PROPERTIES: [&str; 7] = [
    "id",
    "displayName",
    "parentFolderId",
    "childFolderCount",
    "unreadItemCount",
    "totalItemCount",
    "isHidden",
];

pub(crate) fn list(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let call = scene.call;
    query::only(call, &["select", "top", "skip", "count", "includeHiddenFolders"])?;
    let select = select(scene)?;
    let hidden = query::option(call, "includeHiddenFolders").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let top = query::number(call, "top", 1, 1000)?.unwrap_or_else(|| scene.prefer.page_size.unwrap_or(10).min(1000));
    let skip = query::number(call, "skip", 0, usize::MAX)?.unwrap_or(0);
    let parent = scene.folder()?;
    let mailbox = scene.mailbox()?;
    let at = parent.or_else(|| mailbox.well_known("msgfolderroot"));
    let mut keys = mailbox.children(at);
    if parent.is_none() && scene.state.options.readings.nested_folders == NestedFolders::Present {
        let mut from = 0;
        while let Some(key) = keys.get(from).copied() {
            keys.extend(mailbox.children(Some(key)));
            from += 1;
        }
    }
    keys.retain(|k| hidden || !mailbox.folders.get(*k).is_some_and(|f| f.hidden));
    let page: Vec<Value> = keys
        .iter()
        .skip(skip)
        .take(top)
        .map(|k| folder_json(mailbox, *k, &select))
        .collect();
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), scene.context("mailFolders").into());
    if query::option(call, "count").is_some_and(|v| v == "true") {
        body.insert("@odata.count".to_owned(), keys.len().into());
    }
    if skip + top < keys.len() {
        body.insert(
            "@odata.nextLink".to_owned(),
            super::messages::next_by_skip(scene, skip + top).into(),
        );
    }
    body.insert("value".to_owned(), page.into());
    Ok(reply_json(200, &Value::Object(body)))
}

pub(crate) fn get(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    query::only(scene.call, &["select"])?;
    let select = select(scene)?;
    let key = scene.folder()?.ok_or_else(GraphError::item_not_found)?;
    let mut folder = folder_json(scene.mailbox()?, key, &select);
    folder["@odata.context"] = scene.context("mailFolders/$entity").into();
    Ok(reply_json(200, &folder))
}

/// POST mailFolders or childFolders.
pub(crate) fn create(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let body = super::write::object(scene.call)?;
    let name = body
        .get("displayName")
        .and_then(Value::as_str)
        .filter(|n| !n.trim().is_empty());
    let name = name
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidArgument", "displayName is required."))?
        .to_owned();
    let hidden = body.get("isHidden").and_then(Value::as_bool).unwrap_or(false);
    let parent = match scene.folder()? {
        Some(parent) => parent,
        None => scene
            .mailbox()?
            .well_known("msgfolderroot")
            .ok_or_else(GraphError::item_not_found)?,
    };
    let key = scene
        .mailbox_mut()?
        .create_folder(parent, &name, hidden)
        .map_err(|trouble| match trouble {
            FolderTrouble::Exists(_) => GraphError::new(
                409,
                "ErrorFolderExists",
                "A folder with the specified name already exists.",
            ),
            other => GraphError::bad(other.to_string()),
        })?;
    let mut folder = folder_json(scene.mailbox()?, key, &[]);
    folder["@odata.context"] = scene.context("mailFolders/$entity").into();
    Ok(reply_json(201, &folder))
}

/// Delta over folders: the token is the number of the last change and, within a round, how far it got.
pub(crate) fn delta(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let call = scene.call;
    query::only(call, &["select", "skiptoken", "deltatoken"])?;
    let select = select(scene)?;
    let token = query::option(call, "skiptoken")
        .or_else(|| query::option(call, "deltatoken"))
        .filter(|t| !t.is_empty());
    // "F{since}.{until}.{at}": the folders' own state is small enough to be carried by the link.
    let (since, until, at) = match token {
        None => (0, scene.mailbox()?.seq, 0),
        Some(token) => {
            let numbers: Vec<u64> = token
                .strip_prefix('F')
                .unwrap_or_default()
                .split('.')
                .filter_map(|n| n.parse().ok())
                .collect();
            match numbers.as_slice() {
                [since, until, at] => (*since, *until, usize::try_from(*at).unwrap_or(0)),
                [since] => (*since, scene.mailbox()?.seq, 0),
                _ => return Err(super::delta::lost_token(scene)),
            }
        }
    };
    let mailbox = scene.mailbox()?;
    let mut keys: Vec<FolderKey> = Vec::new();
    for (_, key) in mailbox
        .folder_log
        .iter()
        .filter(|(seq, _)| *seq > since && *seq <= until)
    {
        if !keys.contains(key) {
            keys.push(*key);
        }
    }
    // The first round tells nothing of folders that are gone.
    keys.retain(|k| since > 0 || mailbox.folders.get(*k).is_some_and(|f| f.alive));
    let size = scene.prefer.page_size.unwrap_or(10).min(1000);
    let page: Vec<Value> = keys
        .iter()
        .skip(at)
        .take(size)
        .map(|k| match mailbox.folders.get(*k) {
            Some(f) if !f.alive => {
                json!({"@odata.type": "#microsoft.graph.mailFolder", "id": f.id, "@removed": {"reason": "deleted"}})
            }
            _ => folder_json(mailbox, *k, &select),
        })
        .collect();
    let url = format!("{}/mailFolders/delta", scene.root_url());
    let names = if select.is_empty() {
        String::new()
    } else {
        format!("$select={}&", select.join(","))
    };
    let (link, to) = if at + size < keys.len() {
        (
            "@odata.nextLink",
            format!("{url}?{names}$skiptoken=F{since}.{until}.{}", at + size),
        )
    } else {
        ("@odata.deltaLink", format!("{url}?{names}$deltatoken=F{until}"))
    };
    let body = json!({"@odata.context": scene.context("mailFolders"), link: to, "value": page});
    Ok(reply_json(200, &body))
}

fn select(scene: &Scene<'_>) -> Result<Vec<String>, GraphError> {
    let Some(text) = query::option(scene.call, "select") else {
        return Ok(Vec::new());
    };
    let names: Vec<String> = text
        .split(',')
        .map(|n| n.trim().to_owned())
        .filter(|n| !n.is_empty())
        .collect();
    match names.iter().find(|n| !PROPERTIES.contains(&n.as_str())) {
        Some(unknown) => Err(GraphError::bad(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{unknown}' on type 'Microsoft.OutlookServices.MailFolder'."
        ))),
        None => Ok(names),
    }
}

fn folder_json(mailbox: &Mailbox, key: FolderKey, select: &[String]) -> Value {
    let Some(folder) = mailbox.folders.get(key) else {
        return Value::Null;
    };
    let members = mailbox.members(key);
    let items = || members.iter().filter_map(|k| mailbox.items.get(*k));
    let mut out = Map::new();
    if folder.search {
        out.insert("@odata.type".to_owned(), "#microsoft.graph.mailSearchFolder".into());
    }
    let parent = folder.parent.and_then(|p| mailbox.folders.get(p)).map(|f| f.id.clone());
    for name in PROPERTIES
        .iter()
        .filter(|n| **n == "id" || select.is_empty() || select.iter().any(|s| s == *n))
    {
        let value: Value = match *name {
            "id" => folder.id.clone().into(),
            "displayName" => folder.name.clone().into(),
            "parentFolderId" => parent.clone().into(),
            "childFolderCount" => mailbox
                .children(Some(key))
                .iter()
                .filter(|k| !mailbox.folders.get(**k).is_some_and(|f| f.hidden))
                .count()
                .into(),
            "unreadItemCount" => items().filter(|i| !i.read).count().into(),
            "totalItemCount" => members.len().into(),
            _ => folder.hidden.into(),
        };
        out.insert((*name).to_owned(), value);
    }
    Value::Object(out)
}
