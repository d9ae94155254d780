//! The folder tree: what a new mailbox has, and how folders are found, made, renamed and taken away.

use super::{Folder, FolderKey, Mailbox, ids};
use crate::readings::IdAlphabet;
use std::collections::{BTreeSet, HashMap};

/// Well-known name, display name, parent's well-known name, hidden.
/// Source: Microsoft Graph, mailFolder resource type, "well-known folder names".
const USUAL: [(&str, &str, &str, bool); 17] = [
    ("msgfolderroot", "Top of Information Store", "", false),
    ("archive", "Archive", "msgfolderroot", false),
    ("conversationhistory", "Conversation History", "msgfolderroot", true),
    ("deleteditems", "Deleted Items", "msgfolderroot", false),
    ("drafts", "Drafts", "msgfolderroot", false),
    ("inbox", "Inbox", "msgfolderroot", false),
    ("junkemail", "Junk Email", "msgfolderroot", false),
    ("outbox", "Outbox", "msgfolderroot", false),
    ("sentitems", "Sent Items", "msgfolderroot", false),
    ("clutter", "Clutter", "msgfolderroot", true),
    ("syncissues", "Sync Issues", "msgfolderroot", true),
    ("conflicts", "Conflicts", "syncissues", true),
    ("localfailures", "Local Failures", "syncissues", true),
    ("serverfailures", "Server Failures", "syncissues", true),
    ("scheduled", "Scheduled", "msgfolderroot", true),
    ("searchfolders", "Finder", "", true),
    ("recoverableitemsdeletions", "Deletions", "", true),
];

/// Why a folder was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderTrouble {
    /// There is none of that name, path or id.
    #[error("no folder `{0}` in this mailbox")]
    Unknown(String),
    /// The parent has a child of that name already.
    #[error("a folder `{0}` exists there already")]
    Exists(String),
    /// The folder belongs to every mailbox.
    #[error("`{0}` is a folder of every mailbox and stays")]
    Fixed(String),
}

impl Mailbox {
    /// A mailbox with the usual folders and one search folder.
    pub(crate) fn new(address: &str, alphabet: IdAlphabet) -> Self {
        let address = address.to_ascii_lowercase();
        let mut mailbox = Self {
            guid: ids::guid_of(&address),
            address,
            enabled: true,
            in_policy: true,
            folders: Vec::new(),
            items: Vec::new(),
            by_id: HashMap::new(),
            seq: 0,
            alphabet,
            folder_log: Vec::new(),
        };
        for (well_known, name, parent, hidden) in USUAL {
            let parent = mailbox.well_known(parent);
            mailbox.push_folder(name, Some(well_known), parent, hidden, false);
        }
        let root = mailbox.well_known("msgfolderroot");
        mailbox.push_folder("Unread everywhere", None, root, false, true);
        mailbox
    }

    fn push_folder(
        &mut self,
        name: &str,
        well_known: Option<&'static str>,
        parent: Option<FolderKey>,
        hidden: bool,
        search: bool,
    ) -> FolderKey {
        let key = self.folders.len();
        self.folders.push(Folder {
            id: ids::folder_id(&self.guid, key, self.alphabet),
            name: name.to_owned(),
            well_known,
            parent,
            hidden,
            search,
            alive: true,
            members: BTreeSet::new(),
            log: Vec::new(),
        });
        self.note_folder(key);
        key
    }

    pub(crate) fn note_folder(&mut self, key: FolderKey) {
        self.seq += 1;
        self.folder_log.push((self.seq, key));
    }

    /// The folder of a well-known name (any case).
    pub(crate) fn well_known(&self, name: &str) -> Option<FolderKey> {
        self.folders
            .iter()
            .position(|f| f.alive && f.well_known.is_some_and(|w| w.eq_ignore_ascii_case(name)))
    }

    /// What a path segment names: an id or a well-known name.
    pub(crate) fn folder_by_segment(&self, segment: &str) -> Option<FolderKey> {
        self.folders
            .iter()
            .position(|f| f.alive && f.id == segment)
            .or_else(|| self.well_known(segment))
    }

    /// Whether the id was a folder's that is gone.
    pub(crate) fn was_folder(&self, segment: &str) -> bool {
        self.folders.iter().any(|f| !f.alive && f.id == segment)
    }

    /// What a person names: id, well-known name, display name, or a path such as `Inbox/Orders`.
    pub(crate) fn folder_by_path(&self, path: &str) -> Result<FolderKey, FolderTrouble> {
        if let Some(key) = self.folder_by_segment(path) {
            return Ok(key);
        }
        let mut at = self.well_known("msgfolderroot");
        for (depth, name) in path.split('/').enumerate() {
            let child = self
                .children(at)
                .into_iter()
                .find(|k| self.folders.get(*k).is_some_and(|f| f.name.eq_ignore_ascii_case(name)));
            at = child.or_else(|| if depth == 0 { self.well_known(name) } else { None });
            if at.is_none() {
                return Err(FolderTrouble::Unknown(path.to_owned()));
            }
        }
        at.ok_or_else(|| FolderTrouble::Unknown(path.to_owned()))
    }

    /// The living children of a folder.
    pub(crate) fn children(&self, parent: Option<FolderKey>) -> Vec<FolderKey> {
        self.folders
            .iter()
            .enumerate()
            .filter(|(_, f)| f.alive && f.parent == parent)
            .map(|(k, _)| k)
            .collect()
    }

    /// Makes a folder below another.
    pub(crate) fn create_folder(
        &mut self,
        parent: FolderKey,
        name: &str,
        hidden: bool,
    ) -> Result<FolderKey, FolderTrouble> {
        self.refuse_namesake(Some(parent), name)?;
        let key = self.push_folder(name, None, Some(parent), hidden, false);
        self.note_folder(parent);
        Ok(key)
    }

    /// Gives a folder another display name; its id stays.
    pub(crate) fn rename_folder(&mut self, key: FolderKey, name: &str) -> Result<(), FolderTrouble> {
        let parent = self.folders.get(key).and_then(|f| f.parent);
        self.refuse_namesake(parent, name)?;
        if let Some(folder) = self.folders.get_mut(key) {
            name.clone_into(&mut folder.name);
        }
        self.note_folder(key);
        Ok(())
    }

    /// Takes a folder away with all below it; its messages are purged.
    pub(crate) fn delete_folder(&mut self, key: FolderKey) -> Result<(), FolderTrouble> {
        if let Some(name) = self.folders.get(key).and_then(|f| f.well_known) {
            return Err(FolderTrouble::Fixed(name.to_owned()));
        }
        for child in self.children(Some(key)) {
            self.delete_folder(child)?;
        }
        for item in self.folders.get(key).map(|f| f.members.clone()).unwrap_or_default() {
            self.purge(item);
        }
        if let Some(folder) = self.folders.get_mut(key) {
            folder.alive = false;
        }
        self.note_folder(key);
        Ok(())
    }

    fn refuse_namesake(&self, parent: Option<FolderKey>, name: &str) -> Result<(), FolderTrouble> {
        let taken = self
            .children(parent)
            .iter()
            .any(|k| self.folders.get(*k).is_some_and(|f| f.name.eq_ignore_ascii_case(name)));
        if taken {
            Err(FolderTrouble::Exists(name.to_owned()))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_by_every_name_people_use() {
        let mut mailbox = Mailbox::new("Desk@Example.com", IdAlphabet::Standard);
        let inbox = mailbox.well_known("INBOX").unwrap();
        let orders = mailbox.create_folder(inbox, "Orders", false).unwrap();
        assert_eq!(mailbox.folder_by_path("inbox/orders").unwrap(), orders);
        assert_eq!(
            mailbox.folder_by_path("Sent Items").unwrap(),
            mailbox.well_known("sentitems").unwrap()
        );
        assert!(mailbox.folder_by_path("Inbox/Nothing").is_err());
        assert!(mailbox.create_folder(inbox, "ORDERS", false).is_err());
        assert!(mailbox.delete_folder(inbox).is_err());
    }
}
