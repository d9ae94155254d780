//! Accounts: settings, lease, progress and counters in one item each; and the mailboxes they share.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    account::{Account, FolderName, MailboxKey},
    field::FieldError,
    import::{folder::FolderProgress, report::LastRun},
    ports::{Attributes, Change, Condition, Item, Key, Store, StoreError, Write},
    time::millis,
};

use super::{CONFLICT_TRIES, RecordError, attribute, attributes, every, json, number, required};

const PARTITION: &str = "accounts";
const MAILBOXES: &str = "mailboxes";
const REMOVED: &str = "removed";
/// Attributes that hold the progress of one folder each begin with this.
pub const FOLDER_PREFIX: &str = "folder:";

/// An account as stored.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// The settings.
    pub account: Account,
    /// Counts edits.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whose mailbox, as records know it.
    pub mailbox: MailboxKey,
    /// The item that carries the lease: this one, or the mailbox's where several accounts share it.
    pub lease_on: Key,
    /// The fence of the lease if it is on this item.
    pub fence: i64,
    /// The instant the start stands for, once known. The outer `None`: not known yet; the inner: everything.
    pub start_at: Option<Option<Timestamp>>,
    /// Counts changes of the start: fingerprints of mail from before an earlier start no longer count.
    pub start_epoch: i64,
    /// The next event's number, from 1.
    pub next_sequence: u64,
    /// The number of the last event that was sent.
    pub sent_sequence: u64,
    /// Messages that a run was working on: key to strikes. Not empty after a run that died.
    pub in_flight: BTreeMap<String, u32>,
    /// There is more to do than the last run could.
    pub more: bool,
    /// Not before this instant, because Microsoft asked for it.
    pub paused_until: Option<Timestamp>,
    /// When folders were last looked for.
    pub folders_at: Option<Timestamp>,
    /// How the last run ended.
    pub last_run: Option<LastRun>,
    /// When a run last succeeded.
    pub last_success: Option<Timestamp>,
    /// Messages recorded since it was made.
    pub recorded: i64,
    /// Messages owed now.
    pub owed: i64,
    /// Messages set aside now.
    pub quarantined: i64,
    /// Actions wanted now.
    pub actions: i64,
    /// Runs that found nothing.
    pub idle_runs: i64,
    /// Requests of the last ten minutes: 10-second slot number to count, if this item carries the lease.
    pub spent: BTreeMap<i64, u32>,
    /// The last commit that went through.
    pub commit: Option<String>,
    /// Progress by digest of the folder's id.
    pub folders: BTreeMap<String, FolderProgress>,
}

impl AccountRow {
    /// Reads the item.
    pub fn read(item: &Item) -> Result<Self, RecordError> {
        let folders = item
            .attributes
            .keys()
            .filter_map(|name| name.strip_prefix(FOLDER_PREFIX).map(|digest| (name, digest)))
            .map(|(name, digest)| Ok((digest.to_owned(), required(item, name)?)))
            .collect::<Result<_, RecordError>>()?;
        let unsigned = |name| u64::try_from(number(item, name)).unwrap_or_default();
        Ok(Self {
            account: required(item, "settings")?,
            revision: number(item, "revision"),
            created_at: required(item, "created_at")?,
            mailbox: required(item, "mailbox")?,
            lease_on: required(item, "lease_on")?,
            fence: number(item, "fence"),
            start_at: attribute::<StartAt>(item, "start_at")?.map(|start| start.instant),
            start_epoch: number(item, "start_epoch"),
            next_sequence: unsigned("next_sequence").max(1),
            sent_sequence: unsigned("sent_sequence"),
            in_flight: attribute(item, "in_flight")?.unwrap_or_default(),
            more: attribute(item, "more")?.unwrap_or_default(),
            paused_until: attribute(item, "paused_until")?,
            folders_at: attribute(item, "folders_at")?,
            last_run: attribute(item, "last_run")?,
            last_success: attribute(item, "last_success")?,
            recorded: number(item, "recorded"),
            owed: number(item, "owed"),
            quarantined: number(item, "quarantined"),
            actions: number(item, "actions"),
            idle_runs: number(item, "idle_runs"),
            spent: attribute(item, "spent")?.unwrap_or_default(),
            commit: attribute(item, "commit")?,
            folders,
        })
    }

    /// Events recorded and not yet sent.
    pub fn unsent(&self) -> u64 {
        (self.next_sequence - 1).saturating_sub(self.sent_sequence)
    }

    /// The account's own item.
    pub fn key(&self) -> Key {
        Accounts::key(self.account.id.as_str())
    }
}

/// The instant of a start, as an attribute: an absent attribute says *not known yet*.
#[derive(Serialize, Deserialize)]
pub(crate) struct StartAt {
    pub(crate) instant: Option<Timestamp>,
}

/// A mailbox and the accounts on it.
#[derive(Debug, Clone)]
pub struct MailboxRow {
    /// Its key.
    pub key: MailboxKey,
    /// Accounts and the folders each imports.
    pub accounts: BTreeMap<String, Vec<FolderName>>,
    /// Counts changes.
    revision: i64,
    fence: i64,
}

/// The shelf of accounts and mailboxes.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
}

impl Accounts {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The item's key.
    pub fn key(id: &str) -> Key {
        Key::new(PARTITION, id)
    }

    fn mailbox_key(mailbox: &MailboxKey) -> Key {
        Key::new(MAILBOXES, mailbox.0.clone())
    }

    /// One account.
    pub async fn get(&self, id: &str) -> Result<AccountRow, RecordError> {
        match self.store.get(&Self::key(id)).await? {
            Some(item) => AccountRow::read(&item),
            None => Err(missing(id)),
        }
    }

    /// All of them, by id.
    pub async fn all(&self) -> Result<Vec<AccountRow>, RecordError> {
        every(&*self.store, PARTITION)
            .await?
            .iter()
            .map(AccountRow::read)
            .collect()
    }

    /// All mailboxes that ever had an account, by key.
    pub async fn mailboxes(&self) -> Result<Vec<MailboxRow>, RecordError> {
        every(&*self.store, MAILBOXES).await?.iter().map(read_mailbox).collect()
    }

    async fn mailbox(&self, key: &MailboxKey) -> Result<Option<MailboxRow>, RecordError> {
        let item = self.store.get(&Self::mailbox_key(key)).await?;
        item.map(|item| read_mailbox(&item)).transpose()
    }

    /// Adds an account. A folder that another account of the same mailbox imports is refused; on other folders the
    /// accounts share one lease and take turns.
    pub async fn add(&self, account: &Account, mailbox: &MailboxKey, now: Timestamp) -> Result<(), RecordError> {
        account.check()?;
        for _ in 0..CONFLICT_TRIES {
            match self.try_add(account, mailbox, now).await {
                Err(RecordError::Store(StoreError::Conflict)) => {}
                Err(RecordError::Store(StoreError::ConditionFailed { key, current })) => {
                    if key == Self::key(account.id.as_str()) && current.is_some() {
                        return Err(RecordError::Taken {
                            what: "account",
                            id: account.id.to_string(),
                        });
                    }
                }
                other => return other,
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn try_add(&self, account: &Account, mailbox: &MailboxKey, now: Timestamp) -> Result<(), RecordError> {
        let id = account.id.as_str();
        let row = self.mailbox(mailbox).await?;
        let removed = self.store.get(&Key::new(REMOVED, id)).await?;
        let mut accounts = row.as_ref().map(|row| row.accounts.clone()).unwrap_or_default();
        refuse_overlap(account, &accounts, &self.subfolder_accounts(&accounts).await?)?;
        let shared = !accounts.is_empty();
        let lease_on = if shared {
            Self::mailbox_key(mailbox)
        } else {
            Self::key(id)
        };
        let mut set = attributes([
            ("settings", json(account)),
            ("revision", 1.into()),
            ("created_at", json(&now)),
            ("mailbox", json(mailbox)),
            ("lease_on", json(&lease_on)),
            ("lease_until", 0.into()),
        ]);
        if let Some(removed) = &removed {
            // The sequence goes on where the account of the same id left it: no number is used twice.
            for name in ["next_sequence", "sent_sequence", "fence"] {
                set.insert(name.to_owned(), number(removed, name).into());
            }
        }
        let mut writes = vec![Write::put(Self::key(id), set).when(Condition::Absent)];
        let mut fence = row.as_ref().map_or(0, |row| row.fence);
        for other in accounts.keys() {
            let Some(item) = self.store.get(&Self::key(other)).await? else {
                continue;
            };
            fence = fence.max(number(&item, "fence"));
            if attribute::<Key>(&item, "lease_on")?.as_ref() != Some(&lease_on) {
                // The lease moves to the mailbox; a run under the old one must not commit any more.
                writes.push(take_lease_away(Self::key(other), [("lease_on", json(&lease_on))]));
            }
        }
        accounts.insert(id.to_owned(), account.folders.clone());
        writes.push(write_mailbox(
            mailbox,
            row.as_ref(),
            &accounts,
            (shared).then_some(fence + 1),
        ));
        self.store.transact(writes).await?;
        Ok(())
    }

    async fn subfolder_accounts(
        &self,
        accounts: &BTreeMap<String, Vec<FolderName>>,
    ) -> Result<Vec<String>, RecordError> {
        let mut with = Vec::new();
        for id in accounts.keys() {
            if let Some(item) = self.store.get(&Self::key(id)).await?
                && required::<Account>(&item, "settings")?.subfolders
            {
                with.push(id.clone());
            }
        }
        Ok(with)
    }

    /// Replaces the settings of the revision that was looked at. A run in progress loses its lease: it commits nothing
    /// more under the old settings. A changed start makes every folder be walked anew under the new one.
    pub async fn edit(&self, account: &Account, looked_at: &AccountRow) -> Result<(), RecordError> {
        account.check()?;
        let id = account.id.as_str();
        let old = &looked_at.account;
        if account.mailbox != old.mailbox {
            return Err(FieldError::new(
                "mailbox",
                "it cannot be changed: records belong to their mailbox; add another account",
            )
            .into());
        }
        let row = self.mailbox(&looked_at.mailbox).await?;
        let mut accounts = row.as_ref().map(|row| row.accounts.clone()).unwrap_or_default();
        accounts.remove(id);
        refuse_overlap(account, &accounts, &self.subfolder_accounts(&accounts).await?)?;
        let mut set = attributes([
            ("settings", json(account)),
            ("revision", (looked_at.revision + 1).into()),
        ]);
        if account.folders != old.folders || account.subfolders != old.subfolders {
            set.insert("folders_at".into(), Value::Null);
        }
        if account.start != old.start {
            set.insert("start_at".into(), Value::Null);
            set.insert("start_epoch".into(), (looked_at.start_epoch + 1).into());
            for digest in looked_at.folders.keys() {
                set.insert(format!("{FOLDER_PREFIX}{digest}"), Value::Null);
            }
        }
        let own = Self::key(id);
        let mut write = if looked_at.lease_on == own {
            take_lease_away(own.clone(), [])
        } else {
            Write::set(own.clone(), Attributes::new())
        };
        if let Change::Update { set: all, .. } = &mut write.change {
            all.extend(set);
        }
        let mut writes = vec![write.when(Condition::equals("revision", looked_at.revision))];
        accounts.insert(id.to_owned(), account.folders.clone());
        let mut mailbox = write_mailbox(&looked_at.mailbox, row.as_ref(), &accounts, None);
        if looked_at.lease_on != own
            && let Change::Update { set, add } = &mut mailbox.change
        {
            set.insert("lease_until".into(), 0.into());
            add.insert("fence".into(), 1);
        }
        writes.push(mailbox);
        self.changed(id, self.store.transact(writes).await)
    }

    /// Removes an account: settings, progress and schedule go; records, archive and events stay. An account of the
    /// same id goes on with the sequence.
    pub async fn remove(&self, looked_at: &AccountRow) -> Result<(), RecordError> {
        let id = looked_at.account.id.as_str();
        let row = self.mailbox(&looked_at.mailbox).await?;
        let mut accounts = row.as_ref().map(|row| row.accounts.clone()).unwrap_or_default();
        accounts.remove(id);
        let fence = looked_at.fence.max(row.as_ref().map_or(0, |row| row.fence)) + 1;
        let kept = attributes([
            ("next_sequence", looked_at.next_sequence.into()),
            ("sent_sequence", looked_at.sent_sequence.into()),
            ("fence", fence.into()),
        ]);
        let writes = vec![
            Write::delete(looked_at.key())
                .when(Condition::equals("revision", looked_at.revision))
                .when(sequence_is(looked_at)),
            Write::put(Key::new(REMOVED, id), kept),
            write_mailbox(&looked_at.mailbox, row.as_ref(), &accounts, None),
        ];
        self.changed(id, self.store.transact(writes).await)
    }

    /// Claims a folder for an account, so that no other account, whatever it calls the folder or the mailbox, imports
    /// it, too. The account that has it, if that is another one which still follows it.
    pub async fn claim(&self, graph_host: &str, folder: &str, account: &str) -> Result<Option<String>, RecordError> {
        let key = Key::new("claims", crate::account::digest(&[graph_host, folder]));
        let write = Write::put(key.clone(), attributes([("account", account.into())])).when(Condition::Absent);
        let current = match self.store.update(write).await {
            Ok(_) => return Ok(None),
            Err(StoreError::ConditionFailed { current, .. }) => current,
            Err(StoreError::Conflict) => self.store.get(&key).await?.map(Box::new),
            Err(error) => return Err(error.into()),
        };
        let holder: Option<String> = current
            .as_deref()
            .map(|item| attribute(item, "account"))
            .transpose()?
            .flatten();
        let Some(holder) = holder.filter(|holder| holder != account) else {
            return Ok(None);
        };
        let digest = crate::account::digest(&[folder]);
        match self.get(&holder).await {
            Ok(row) if row.folders.contains_key(&digest) => Ok(Some(holder)),
            Ok(_) | Err(RecordError::Missing { .. }) => {
                let write = Write::put(key, attributes([("account", account.into())]))
                    .when(Condition::equals("account", holder.clone()));
                match self.store.update(write).await {
                    Ok(_) => Ok(None),
                    Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(Some(holder)),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn changed(&self, id: &str, result: Result<(), StoreError>) -> Result<(), RecordError> {
        match result {
            Ok(()) => Ok(()),
            Err(StoreError::ConditionFailed { current: None, ref key }) if *key == Self::key(id) => Err(missing(id)),
            Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Err(RecordError::Changed {
                what: "account",
                id: id.to_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

fn missing(id: &str) -> RecordError {
    RecordError::Missing {
        what: "account",
        id: id.to_owned(),
        hint: "; `postroom account list` shows all",
    }
}

fn read_mailbox(item: &Item) -> Result<MailboxRow, RecordError> {
    Ok(MailboxRow {
        key: MailboxKey(item.key.sort.clone()),
        accounts: attribute(item, "accounts")?.unwrap_or_default(),
        revision: number(item, "revision"),
        fence: number(item, "fence"),
    })
}

fn write_mailbox(
    key: &MailboxKey,
    row: Option<&MailboxRow>,
    accounts: &BTreeMap<String, Vec<FolderName>>,
    fence: Option<i64>,
) -> Write {
    let revision = row.map_or(0, |row| row.revision);
    let mut set = attributes([("accounts", json(accounts)), ("revision", (revision + 1).into())]);
    if let Some(fence) = fence {
        set.insert("fence".into(), fence.into());
        set.insert("lease_until".into(), 0.into());
    }
    let write = Write::set(Accounts::mailbox_key(key), set);
    match row {
        Some(row) => write.when(Condition::equals("revision", row.revision)),
        None => write.when(Condition::Absent),
    }
}

/// Ends whatever lease is on the item: the fence goes up, so its holder commits nothing more.
fn take_lease_away<const N: usize>(key: Key, with: [(&str, Value); N]) -> Write {
    let mut set = attributes(with);
    set.insert("lease_until".into(), 0.into());
    let mut write = Write::set(key, set).when(Condition::Exists);
    if let Change::Update { add, .. } = &mut write.change {
        add.insert("fence".into(), 1);
    }
    write
}

/// Refuses a folder that another account of the mailbox imports, as far as names tell; what names hide (an id and a
/// path of the same folder) is found by [`Accounts::claim`] when the folder is first opened.
fn refuse_overlap(
    account: &Account,
    others: &BTreeMap<String, Vec<FolderName>>,
    with_subfolders: &[String],
) -> Result<(), RecordError> {
    for (other, folders) in others.iter().filter(|(other, _)| other.as_str() != account.id.as_str()) {
        for mine in &account.folders {
            for theirs in folders {
                let same = path_of(mine) == path_of(theirs);
                let below = with_subfolders.contains(other) && is_below(mine, theirs);
                let above = account.subfolders && is_below(theirs, mine);
                if same || below || above {
                    return Err(FieldError::new(
                        "folder",
                        format!("`{mine}` of this mailbox is imported by account `{other}` already; one folder belongs to one account"),
                    )
                    .into());
                }
            }
        }
    }
    Ok(())
}

fn path_of(folder: &FolderName) -> Vec<String> {
    match folder {
        FolderName::WellKnown(name) => vec![name.clone()],
        FolderName::Path(parts) => parts.iter().map(|part| part.to_lowercase()).collect(),
        FolderName::Id(id) => vec![format!("id:{id}")],
    }
}

fn is_below(inner: &FolderName, outer: &FolderName) -> bool {
    let (inner, outer) = (path_of(inner), path_of(outer));
    outer == ["msgfolderroot"] || (inner.len() > outer.len() && inner.starts_with(&outer))
}

/// The sequence stands where it was looked at: no event was recorded since.
fn sequence_is(row: &AccountRow) -> Condition {
    if row.next_sequence == 1 {
        return Condition::MissingOrBelow("next_sequence".into(), 2);
    }
    Condition::equals("next_sequence", row.next_sequence)
}

/// When a lease may be taken: it ran out, or never was.
pub(crate) fn lease_is_free(now: Timestamp) -> Condition {
    Condition::MissingOrBelow("lease_until".into(), millis(now))
}
