//! Accounts made, switched, removed, and asked to run.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    account::{Account, AfterImport, FolderName, MAX_MESSAGE, Mailbox, Start, parse_interval, parse_size},
    credential::{Credential, GrantType},
    field::{FieldError, Id, one_line},
    ports::{Condition, Schedule, StoreError, Write},
    records::{
        accounts::{AccountRow, Accounts},
        attributes, json,
    },
};

use super::{Manage, ManageError};

/// How often an account runs if nobody says so (design: default schedule).
const EVERY: Duration = Duration::from_mins(5);

/// A new account as typed.
#[derive(Debug, Clone, Default)]
pub struct AccountForm {
    /// Short name.
    pub id: String,
    /// For people.
    pub description: String,
    /// An address, an object id, or `me`.
    pub mailbox: String,
    /// The credential applied on it.
    pub credential: String,
    /// Folders; the inbox if there are none.
    pub folders: Vec<String>,
    /// Their subfolders, too.
    pub subfolders: bool,
    /// `now`, `everything` or a day.
    pub start: String,
    /// `none` if it is not given.
    pub after_import: Option<String>,
    /// Five minutes if it is not given.
    pub every: Option<String>,
    /// The largest message, such as `25MB`; 200 MB if it is not given.
    pub max_message: Option<String>,
    /// Whether it runs on schedule.
    pub enabled: bool,
}

/// An id that is no name of Postroom's own.
fn account_id(typed: &str) -> Result<Id, FieldError> {
    let id = Id::parse("id", typed)?;
    if id.as_str() == crate::records::warnings::CHANNEL {
        return Err(FieldError::new(
            "id",
            "Postroom's own events go by this name; take another",
        ));
    }
    Ok(id)
}

impl Manage {
    /// Checks, stores, schedules.
    pub async fn add_account(&self, form: &AccountForm) -> Result<AccountRow, ManageError> {
        let now = self.ports.clock.now();
        let inbox = ["inbox".to_owned()];
        let folders = if form.folders.is_empty() {
            &inbox[..]
        } else {
            &form.folders
        };
        let account = Account {
            id: account_id(&form.id)?,
            description: one_line("description", &form.description, 200)?,
            mailbox: Mailbox::parse(&form.mailbox)?,
            credential: Id::parse("credential", &form.credential)?,
            folders: folders
                .iter()
                .map(|one| FolderName::parse(one))
                .collect::<Result<_, _>>()?,
            subfolders: form.subfolders,
            start: not_in_the_future(Start::parse(&form.start)?, now)?,
            after_import: form
                .after_import
                .as_deref()
                .map_or(Ok(AfterImport::Nothing), AfterImport::parse)?,
            every: form.every.as_deref().map_or(Ok(EVERY), parse_interval)?,
            enabled: form.enabled,
            max_message: form.max_message.as_deref().map_or(Ok(MAX_MESSAGE), parse_size)?,
        };
        account.check()?;
        let credential = self.credentials.get(account.credential.as_str()).await?.credential;
        needs_sign_in(&account, &credential)?;
        let key = account.mailbox_key(&credential.graph_url);
        self.accounts.add(&account, &key, now).await?;
        self.ports.scheduler.put(&schedule_of(&account)).await?;
        self.note(&format!("added account `{}`", account.id)).await?;
        Ok(self.accounts.get(account.id.as_str()).await?)
    }

    /// Enables or disables the account that was looked at.
    pub async fn switch_account(&self, row: &AccountRow, enabled: bool) -> Result<(), ManageError> {
        if row.account.enabled == enabled {
            // The schedule is put all the same: it may have been lost between the two writes of an earlier call.
            self.ports.scheduler.put(&schedule_of(&row.account)).await?;
            return Ok(());
        }
        let mut account = row.account.clone();
        account.enabled = enabled;
        self.accounts.edit(&account, row).await?;
        self.ports.scheduler.put(&schedule_of(&account)).await?;
        let word = if enabled { "enabled" } else { "disabled" };
        self.note(&format!("{word} account `{}`", account.id)).await?;
        Ok(())
    }

    /// Removes the account that was looked at: settings, progress, schedule. `open` says what was still open.
    pub async fn remove_account(&self, row: &AccountRow, open: &str) -> Result<(), ManageError> {
        let id = row.account.id.as_str();
        self.accounts.remove(row).await?;
        self.ports.scheduler.remove(id).await?;
        self.note(&format!("removed account `{id}`{open}")).await?;
        Ok(())
    }

    /// Asks for a run as soon as there is a place.
    pub async fn ask_for_run(&self, account: &str) -> Result<(), ManageError> {
        let now = self.ports.clock.now();
        let write = Write::set(Accounts::key(account), attributes([("asked_at", json(&now))])).when(Condition::Exists);
        match self.ports.store.update(write).await {
            // A conflict is a run that writes at this moment: it is running.
            Ok(_) | Err(StoreError::Conflict) => {}
            Err(StoreError::ConditionFailed { .. }) => {
                self.accounts.get(account).await?;
            }
            Err(error) => return Err(crate::records::RecordError::from(error).into()),
        }
        self.note(&format!("asked account `{account}` to import now")).await?;
        Ok(())
    }
}

/// A start may not lie ahead.
pub fn not_in_the_future(start: Start, now: Timestamp) -> Result<Start, FieldError> {
    if let Start::Date(day) = &start
        && start.instant().flatten().is_none_or(|at| at > now)
    {
        return Err(FieldError::new(
            "start",
            format!("{day} is in the future; give `now`, `everything` or a day that has begun (UTC)"),
        ));
    }
    Ok(start)
}

/// A mailbox without an address needs somebody who signed in.
pub fn needs_sign_in(account: &Account, credential: &Credential) -> Result<(), FieldError> {
    if account.mailbox == Mailbox::Me && credential.grant_type == GrantType::ClientCredentials {
        return Err(FieldError::new(
            "mailbox",
            format!(
                "`me` is the person who signed in, and nobody signs in with client credentials (credential `{}`); give the mailbox's address",
                credential.id
            ),
        ));
    }
    Ok(())
}

/// Records belong to their mailbox, and a mailbox to its cloud.
pub fn same_cloud(row: &AccountRow, changed: &Account, credential: &Credential) -> Result<(), ManageError> {
    let signed_in = changed.mailbox == Mailbox::Me;
    if !signed_in && changed.mailbox_key(&credential.graph_url) != row.mailbox {
        return Err(ManageError::Refused(format!(
            "credential `{}` is for {}, but the mailbox of account `{}` was imported from another cloud; add another account for it",
            credential.id,
            credential.graph_url.host_str().unwrap_or_default(),
            changed.id
        )));
    }
    Ok(())
}

/// The schedule of an account: spread over a tenth of its interval, at most a minute.
pub fn schedule_of(account: &Account) -> Schedule {
    Schedule {
        account: account.id.to_string(),
        every: account.every,
        window: (account.every / 10).min(Duration::from_mins(1)),
        enabled: account.enabled,
    }
}
