//! Opening the folders of an account: names become Graph's ids, subfolders are found, each folder is claimed.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    account::{FolderName, digest},
    graph::{FolderInfo, GraphClient, GraphError, GraphErrorKind},
    records::{
        RecordError,
        accounts::{AccountRow, Accounts},
    },
};

use super::folder::FolderProgress;

/// The most folders of one account: their progress stands in one item of at most 400 KB.
pub(super) const MOST_FOLDERS: usize = 150;

/// Why the folders could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Graph said no.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// The store said no.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// An admin must change the account.
    #[error("{0}")]
    Account(String),
}

/// The progress of every folder of the account, by digest of its id; what is known is kept.
pub(super) async fn open(
    client: &GraphClient,
    accounts: &Accounts,
    row: &AccountRow,
    graph_host: &str,
) -> Result<BTreeMap<String, FolderProgress>, OpenError> {
    let account = &row.account;
    let mut found: Vec<(FolderInfo, String)> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for name in &account.folders {
        let folder = match named(client, name).await {
            Ok(folder) => folder,
            // It was there before: its reading says that it is gone, and the account's other folders go on.
            Err(OpenError::Account(what)) if is_known(row, name) => {
                tracing::warn!(folder = %name, what, "a folder is gone");
                missing.push(name.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let path = match name {
            FolderName::Id(_) => folder.name.clone(),
            name => name.to_string(),
        };
        found.push((folder, path));
    }
    if account.subfolders {
        found = with_subfolders(client, found).await?;
    }
    if found.len() > MOST_FOLDERS {
        return Err(OpenError::Account(format!(
            "{} folders are more than the {MOST_FOLDERS} that one account can follow; make several accounts on this mailbox, each with a part of the folders",
            found.len()
        )));
    }
    let mut open = BTreeMap::new();
    for (folder, path) in found {
        let key = digest(&[&folder.id]);
        if open.contains_key(&key) {
            continue;
        }
        if let Some(other) = accounts.claim(graph_host, &folder.id, account.id.as_str()).await? {
            return Err(OpenError::Account(format!(
                "folder `{path}` is imported by account `{other}` already, maybe under another name or address; one folder belongs to one account"
            )));
        }
        let progress = match row.folders.get(&key) {
            Some(known) => FolderProgress {
                name: path,
                ..known.clone()
            },
            None => FolderProgress::new(folder.id, path),
        };
        open.insert(key, progress);
    }
    for (key, folder) in &row.folders {
        let gone = missing.iter().any(|name| belongs(folder, name));
        if gone && !open.contains_key(key) {
            open.insert(key.clone(), folder.clone());
        }
    }
    Ok(open)
}

fn is_known(row: &AccountRow, name: &FolderName) -> bool {
    let name = name.to_string();
    row.folders.values().any(|folder| belongs(folder, &name))
}

/// Whether this progress is of the folder that the admin calls so, or of one below it.
fn belongs(folder: &FolderProgress, name: &str) -> bool {
    folder.name == name
        || folder.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
        || name.strip_prefix("id:") == Some(folder.id.as_str())
}

/// The folder an admin means.
pub(super) async fn named(client: &GraphClient, name: &FolderName) -> Result<FolderInfo, OpenError> {
    let not_there = |error: GraphError, what: String| match error.kind {
        GraphErrorKind::NotFound | GraphErrorKind::Refused => OpenError::Account(what),
        _ => OpenError::Graph(error),
    };
    match name {
        FolderName::WellKnown(known) => client
            .folder(known)
            .await
            .map_err(|error| not_there(error, format!("this mailbox has no folder `{known}`"))),
        FolderName::Id(id) => client.folder(id).await.map_err(|error| {
            not_there(
                error,
                "there is no folder of this id in the mailbox; give its path or well-known name instead".into(),
            )
        }),
        FolderName::Path(parts) => by_path(client, parts).await,
    }
}

async fn by_path(client: &GraphClient, parts: &[String]) -> Result<FolderInfo, OpenError> {
    let mut here: Option<FolderInfo> = None;
    for (depth, part) in parts.iter().enumerate() {
        let known = part.to_lowercase();
        if depth == 0 && parts.len() > 1 && crate::account::WELL_KNOWN_FOLDERS.contains(&known.as_str()) {
            // `Inbox/Orders` works in a mailbox whose inbox is called `Posteingang`, too (P27).
            here = Some(client.folder(&known).await?);
            continue;
        }
        let children = client.children(here.as_ref().map(|folder| folder.id.as_str())).await?;
        match children.iter().find(|folder| folder.name.to_lowercase() == known) {
            Some(folder) => here = Some(folder.clone()),
            None => {
                let at = if depth == 0 {
                    "the mailbox".to_owned()
                } else {
                    format!("`{}`", parts[..depth].join("/"))
                };
                let names: Vec<_> = children.iter().map(|folder| folder.name.as_str()).take(20).collect();
                return Err(OpenError::Account(format!(
                    "there is no folder `{part}` in {at}; there are: {}",
                    names.join(", ")
                )));
            }
        }
    }
    here.ok_or_else(|| OpenError::Account("a folder without a name".into()))
}

async fn with_subfolders(
    client: &GraphClient,
    roots: Vec<(FolderInfo, String)>,
) -> Result<Vec<(FolderInfo, String)>, OpenError> {
    let mut queue: VecDeque<_> = roots.into();
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    while let Some((folder, path)) = queue.pop_front() {
        if folder.search || !seen.insert(folder.id.clone()) {
            continue;
        }
        if folder.children > 0 && found.len() <= MOST_FOLDERS {
            for child in client.children(Some(&folder.id)).await? {
                let path = format!("{path}/{}", child.name);
                queue.push_back((child, path));
            }
        }
        found.push((folder, path));
    }
    Ok(found)
}
