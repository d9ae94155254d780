//! Changes of an account that was looked at.

use serde::Deserialize;

use crate::{
    account::{Account, AfterImport, FolderName, Mailbox, Start, parse_interval, parse_size},
    field::{Id, one_line},
    records::accounts::AccountRow,
};

use super::{Manage, ManageError, needs_sign_in, not_in_the_future, same_cloud, schedule_of};

/// What is to change; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountChanges {
    /// An address, an object id, or `me`; cannot be changed to another mailbox.
    pub mailbox: Option<String>,
    /// Another start: every folder is walked anew.
    pub start: Option<String>,
    /// Another credential.
    pub credential: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Folders.
    pub folders: Option<Vec<String>>,
    /// Their subfolders, too.
    pub subfolders: Option<bool>,
    /// `none`, `mark-read`, `move:FOLDER` or `delete`.
    pub after_import: Option<String>,
    /// The interval.
    pub every: Option<String>,
    /// The largest message.
    pub max_message: Option<String>,
}

impl Manage {
    /// Checks, stores, schedules. `false`: it is as it was.
    pub async fn edit_account(&self, row: &AccountRow, changes: &AccountChanges) -> Result<bool, ManageError> {
        let account = self.changed(&row.account, changes)?;
        if account == row.account {
            return Ok(false);
        }
        let used = self.credentials.get(account.credential.as_str()).await?.credential;
        needs_sign_in(&account, &used)?;
        if account.mailbox == row.account.mailbox {
            same_cloud(row, &account, &used)?;
        }
        self.accounts.edit(&account, row).await?;
        self.ports.scheduler.put(&schedule_of(&account)).await?;
        self.note(&format!("changed account `{}`", account.id)).await?;
        Ok(true)
    }

    fn changed(&self, old: &Account, changes: &AccountChanges) -> Result<Account, ManageError> {
        let mut account = old.clone();
        if let Some(mailbox) = &changes.mailbox {
            account.mailbox = Mailbox::parse(mailbox)?;
        }
        if let Some(text) = &changes.start {
            account.start = not_in_the_future(Start::parse(text)?, self.ports.clock.now())?;
        }
        if let Some(credential) = &changes.credential {
            account.credential = Id::parse("credential", credential)?;
        }
        if let Some(text) = &changes.description {
            account.description = one_line("description", text, 200)?;
        }
        if let Some(folders) = &changes.folders {
            account.folders = folders
                .iter()
                .map(|folder| FolderName::parse(folder))
                .collect::<Result<_, _>>()?;
        }
        if let Some(subfolders) = changes.subfolders {
            account.subfolders = subfolders;
        }
        if let Some(text) = &changes.after_import {
            account.after_import = AfterImport::parse(text)?;
        }
        if let Some(text) = &changes.every {
            account.every = parse_interval(text)?;
        }
        if let Some(text) = &changes.max_message {
            account.max_message = parse_size(text)?;
        }
        Ok(account)
    }
}
