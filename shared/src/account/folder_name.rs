//! A folder as an admin names it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::{FieldError, one_line};

/// Names that Graph takes instead of a folder id (Microsoft Graph, mailFolder resource type).
pub const WELL_KNOWN_FOLDERS: [&str; 17] = [
    "archive",
    "clutter",
    "conflicts",
    "conversationhistory",
    "deleteditems",
    "drafts",
    "inbox",
    "junkemail",
    "localfailures",
    "msgfolderroot",
    "outbox",
    "recoverableitemsdeletions",
    "scheduled",
    "searchfolders",
    "sentitems",
    "serverfailures",
    "syncissues",
];

/// A folder as an admin names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FolderName {
    /// One of [`WELL_KNOWN_FOLDERS`].
    WellKnown(String),
    /// Display names from the root of the mailbox, `Inbox/Orders`; the first may be a well-known name.
    Path(Vec<String>),
    /// Graph's folder id, typed as `id:AAMk...`.
    Id(String),
}

impl FolderName {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        const FIELD: &str = "folder";
        let text = one_line(FIELD, text, 1_000)?;
        if let Some(id) = text.strip_prefix("id:") {
            return if id.is_empty() || id.contains(char::is_whitespace) {
                Err(FieldError::new(FIELD, "the id after `id:` is missing or holds a blank"))
            } else {
                Ok(Self::Id(id.to_owned()))
            };
        }
        let name = text.to_ascii_lowercase();
        if WELL_KNOWN_FOLDERS.contains(&name.as_str()) {
            return Ok(Self::WellKnown(name));
        }
        let parts: Vec<String> = text.split('/').map(|part| part.trim().to_owned()).collect();
        if parts.iter().any(String::is_empty) {
            return Err(FieldError::new(
                FIELD,
                format!(
                    "`{text}` is no folder; give a well-known name such as `inbox`, a path such as `Inbox/Orders`, or `id:` with Graph's folder id"
                ),
            ));
        }
        Ok(Self::Path(parts))
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WellKnown(name) => f.write_str(name),
            Self::Path(parts) => f.write_str(&parts.join("/")),
            Self::Id(id) => write!(f, "id:{id}"),
        }
    }
}

impl TryFrom<String> for FolderName {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<FolderName> for String {
    fn from(folder: FolderName) -> Self {
        folder.to_string()
    }
}
