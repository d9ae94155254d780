//! Accounts: settings, lease, progress and counters in one item each; and the mailboxes they share.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    account::{Account, FolderName, MailboxKey},
    field::FieldError,
    ports::{Attributes, Change, Condition, Item, Key, PageMark, Query, Store, StoreError, Write},
    time::millis,
};

pub use super::account_row::AccountRow;
pub(crate) use super::account_row::StartAt;
use super::overlap::refuse_overlap;
use super::{CONFLICT_TRIES, RecordError, Shelf, attribute, attributes, every, json, number, required};

const PARTITION: &str = "accounts";
const MAILBOXES: &str = "mailboxes";
const REMOVED: &str = "removed";
/// Attributes that hold the progress of one folder each begin with this.
pub const FOLDER_PREFIX: &str = "folder:";
/// Counters of what outlives an account: records, debts, actions.
const KEPT_COUNTERS: [&str; 4] = ["recorded", "owed", "quarantined", "actions"];

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
        every(&*self.store, PARTITION, AccountRow::read).await
    }

    /// A page of them, by id.
    pub async fn page(&self, limit: usize, after: Option<PageMark>) -> Result<Shelf<AccountRow>, RecordError> {
        let query = Query {
            limit,
            after,
            ..Query::all(PARTITION)
        };
        let page = self.store.query(&query).await?;
        let records = page.items.iter().map(AccountRow::read).collect::<Result<_, _>>()?;
        Ok(Shelf {
            records,
            next: page.next,
        })
    }

    /// All mailboxes that ever had an account, by key.
    pub async fn mailboxes(&self) -> Result<Vec<MailboxRow>, RecordError> {
        every(&*self.store, MAILBOXES, read_mailbox).await
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
            // What it owed is still on its shelves; without these counts nobody would look there again. Debts of
            // another mailbox are not this account's.
            if attribute::<MailboxKey>(removed, "mailbox")?.as_ref() == Some(mailbox) {
                for name in KEPT_COUNTERS {
                    set.insert(name.to_owned(), number(removed, name).into());
                }
            }
        }
        let mut writes = vec![Write::put(Self::key(id), set).when(Condition::Absent)];
        // Wherever the lease is from now on: its fences go on where the account of the same id left them, too.
        let mut fence = row.as_ref().map_or(0, |row| row.fence);
        fence = fence.max(removed.as_ref().map_or(0, |removed| number(removed, "fence")));
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
        Self::changed(id, self.store.transact(writes).await)
    }

    /// Removes an account: settings, progress and schedule go; records, debts, archive and events stay. An account of
    /// the same id goes on with the sequence and with what is owed.
    pub async fn remove(&self, looked_at: &AccountRow) -> Result<(), RecordError> {
        let id = looked_at.account.id.as_str();
        let row = self.mailbox(&looked_at.mailbox).await?;
        let mut accounts = row.as_ref().map(|row| row.accounts.clone()).unwrap_or_default();
        accounts.remove(id);
        let fence = looked_at.fence.max(row.as_ref().map_or(0, |row| row.fence)) + 1;
        let mut kept = attributes([
            ("next_sequence", looked_at.next_sequence.into()),
            ("sent_sequence", looked_at.sent_sequence.into()),
            ("fence", fence.into()),
            ("mailbox", json(&looked_at.mailbox)),
        ]);
        let mut delete = Write::delete(looked_at.key())
            .when(Condition::equals("revision", looked_at.revision))
            .when(sequence_is(looked_at));
        // The counts that are kept are those that were looked at.
        for (name, value) in KEPT_COUNTERS.into_iter().zip(looked_at.kept_counters()) {
            kept.insert(name.to_owned(), value.into());
            delete = delete.when(match value {
                0 => Condition::MissingOrBelow(name.to_owned(), 1),
                value => Condition::equals(name, value),
            });
        }
        let writes = vec![
            delete,
            Write::put(Key::new(REMOVED, id), kept),
            write_mailbox(&looked_at.mailbox, row.as_ref(), &accounts, None),
        ];
        Self::changed(id, self.store.transact(writes).await)
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

    fn changed(id: &str, result: Result<(), StoreError>) -> Result<(), RecordError> {
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
