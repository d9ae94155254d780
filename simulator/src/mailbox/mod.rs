//! One mailbox: folders, messages, and the log of changes that delta is read from.

pub(crate) mod changes;
pub(crate) mod folders;
pub(crate) mod ids;
pub(crate) mod rounds;

use crate::mail::Mime;
use crate::mail::facts::{Facts, ItemKind};
use crate::readings::IdAlphabet;
use ids::IdFormat;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

/// Index of a folder in its mailbox; never used again for another folder.
pub(crate) type FolderKey = usize;
/// Index of a message in its mailbox; never used again for another message.
pub(crate) type ItemKey = usize;

#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) guid: String,
    pub(crate) address: String,
    /// False: `MailboxNotEnabledForRESTAPI`.
    pub(crate) enabled: bool,
    /// False: outside of the application access policy.
    pub(crate) in_policy: bool,
    pub(crate) folders: Vec<Folder>,
    pub(crate) items: Vec<Item>,
    /// Default ids (current ones) and immutable ids of living messages.
    pub(crate) by_id: HashMap<String, ItemKey>,
    /// Number of the last change in this mailbox.
    pub(crate) seq: u64,
    pub(crate) alphabet: IdAlphabet,
    /// `mailFolders/delta`: number of the change and the folder it concerns.
    pub(crate) folder_log: Vec<(u64, FolderKey)>,
}

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The well-known name, if it has one.
    pub(crate) well_known: Option<&'static str>,
    pub(crate) parent: Option<FolderKey>,
    pub(crate) hidden: bool,
    /// A search folder: shows messages that live elsewhere.
    pub(crate) search: bool,
    pub(crate) alive: bool,
    pub(crate) members: BTreeSet<ItemKey>,
    pub(crate) log: Vec<changes::Change>,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) mime: Mime,
    pub(crate) facts: Arc<Facts>,
    pub(crate) size: usize,
    /// SHA-256 of the canonical MIME in lower-case hex, once somebody asked for it.
    pub(crate) sha256: OnceLock<String>,
    pub(crate) folder: FolderKey,
    /// Folders it was in, with the time it came there (Unix milliseconds).
    pub(crate) history: Vec<(FolderKey, i64)>,
    /// Moves made: the generation of its default id.
    pub(crate) version: u32,
    pub(crate) received_ms: i64,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) change_key: String,
    pub(crate) read: bool,
    pub(crate) draft: bool,
    pub(crate) categories: Vec<String>,
    /// `notFlagged`, `complete` or `flagged`.
    pub(crate) flag: String,
    pub(crate) importance: String,
    pub(crate) alive: bool,
    pub(crate) corruption: Option<Corruption>,
    /// Reference attachments (links to files elsewhere): name and URL. MIME has no place for them.
    pub(crate) references: Vec<(String, String)>,
}

/// How badly a message is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Corruption {
    /// Every delta page that holds it together with others fails; alone it is shown. Reading it fails.
    InCompany,
    /// Every delta page that holds it fails, also alone. Reading it fails.
    Always,
}

impl Mailbox {
    /// The living message an id names, in either format.
    pub(crate) fn item_by_id(&self, id: &str) -> Option<ItemKey> {
        self.by_id.get(id).copied()
    }

    /// The id of a message now.
    pub(crate) fn id_of(&self, key: ItemKey, format: IdFormat) -> String {
        let version = self.items.get(key).map_or(0, |item| item.version);
        self.id_at(key, version, format)
    }

    /// The id a message had after `version` moves.
    pub(crate) fn id_at(&self, key: ItemKey, version: u32, format: IdFormat) -> String {
        ids::item_id(&self.guid, key, version, format, self.alphabet)
    }

    /// The messages of a folder; a search folder shows the unread ones of the whole mailbox.
    pub(crate) fn members(&self, folder: FolderKey) -> Vec<ItemKey> {
        match self.folders.get(folder) {
            Some(f) if f.search => self
                .items
                .iter()
                .enumerate()
                .filter(|(_, i)| i.alive && !i.read)
                .map(|(k, _)| k)
                .collect(),
            Some(f) => f.members.iter().copied().collect(),
            None => Vec::new(),
        }
    }

    /// Name of a folder for people: the well-known name or the path of display names.
    pub(crate) fn folder_label(&self, key: FolderKey) -> String {
        let Some(folder) = self.folders.get(key) else {
            return String::new();
        };
        if let Some(name) = folder.well_known {
            return name.to_owned();
        }
        match folder.parent.and_then(|p| self.folders.get(p).map(|f| (p, f))) {
            Some((parent, f)) if f.well_known != Some("msgfolderroot") => {
                format!("{}/{}", self.folder_label(parent), folder.name)
            }
            _ => folder.name.clone(),
        }
    }
}

impl Item {
    pub(crate) fn odata_type(&self) -> &'static str {
        match self.facts.kind {
            ItemKind::Message => "#microsoft.graph.message",
            ItemKind::MeetingRequest => "#microsoft.graph.eventMessageRequest",
            ItemKind::MeetingResponse => "#microsoft.graph.eventMessageResponse",
            ItemKind::MeetingCancelled => "#microsoft.graph.eventMessage",
        }
    }
}
