//! The one committer of an account: everything a run learns becomes durable here, under its fence.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    archive::{Archive, ArchiveError},
    ports::{Attributes, Change, Condition, Key, Ports, StoreError, TRANSACTION_ITEMS, Write},
    records::{CONFLICT_TRIES, RecordError, accounts::Accounts, attribute, attributes, json},
    time::{millis, plus},
};

use super::lease::{LEASE_FOR, Lease};

/// Messages of one commit group at most.
pub(super) const GROUP: usize = 30;
/// Writes of one group at most: the account's and the mailbox's item are in the transaction, too.
pub(super) const GROUP_WRITES: usize = TRANSACTION_ITEMS - 3;
/// Bytes of one group at most; the store takes 4 MB.
pub(super) const GROUP_BYTES: usize = 3 * 1000 * 1000;

/// Why a commit did not go through.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The lease is somebody else's now, or the account was edited or removed. Nothing of this commit is on record.
    #[error("another run has taken over, or the account was changed; nothing of this group was recorded")]
    Lost,
    /// A message of the group is on record already. Nothing of this commit is on record.
    #[error("{0} is on record already")]
    OnRecord(Key),
    /// The archive could not make the bytes durable. Nothing of this commit is on record.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store said no.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What one commit writes.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Rows of messages, debts, events, actions.
    pub(super) writes: Vec<Write>,
    /// Attempts whose bytes the rows name: they are made durable first.
    pub(super) attempts: Vec<String>,
    /// Attributes of the account's item.
    pub(super) set: Attributes,
    /// Counters of the account's item.
    pub(super) add: BTreeMap<String, i64>,
}

impl Batch {
    /// Adds to a counter of the account.
    pub(super) fn count(&mut self, name: &str, by: i64) {
        if by != 0 {
            *self.add.entry(name.to_owned()).or_default() += by;
        }
    }
}

/// Commits under one lease.
pub(super) struct Committer {
    ports: Ports,
    archive: Archive,
    account: Key,
    run: String,
    number: u64,
    /// The commit that went through last, as the account's item says it: a commit whose acknowledgement was lost cannot be
    /// applied twice, whatever a stale read says.
    last: Option<String>,
    pub(super) lease: Lease,
}

impl Committer {
    pub(super) fn new(
        ports: Ports,
        archive: Archive,
        account: &str,
        run: &str,
        lease: Lease,
        last: Option<String>,
    ) -> Self {
        Self {
            ports,
            archive,
            account: Accounts::key(account),
            run: run.to_owned(),
            number: 0,
            last,
            lease,
        }
    }

    /// Writes the batch, renews the lease (or lets it go) and saves what was spent; all or nothing.
    pub(super) async fn commit(
        &mut self,
        batch: Batch,
        spent: &BTreeMap<i64, u32>,
        release: bool,
    ) -> Result<(), CommitError> {
        self.archive.settle(&batch.attempts).await?;
        self.number += 1;
        let id = format!("{}#{}#{}", self.run, self.lease.fence, self.number);
        let until = if release {
            jiff::Timestamp::UNIX_EPOCH
        } else {
            plus(self.ports.clock.now(), LEASE_FOR)
        };
        let writes = self.writes(batch, &id, spent, until);
        for attempt in 0..CONFLICT_TRIES {
            let result = self.ports.store.transact(writes.clone()).await;
            match result {
                Ok(()) => {
                    self.lease.until = until;
                    self.last = Some(id);
                    return Ok(());
                }
                // The answer may have been lost: what stands on the account tells whether this commit went through.
                Err(StoreError::ConditionFailed { key, .. }) => {
                    if self.went_through(&id).await? {
                        self.lease.until = until;
                        self.last = Some(id);
                        return Ok(());
                    }
                    if key == self.account || key == self.lease.key {
                        return Err(CommitError::Lost);
                    }
                    return Err(CommitError::OnRecord(key));
                }
                Err(StoreError::Conflict | StoreError::Unavailable(_)) if attempt + 1 < CONFLICT_TRIES => {
                    let pause = std::time::Duration::from_millis((50 << attempt) + self.ports.rng.below(50));
                    self.ports.clock.sleep(pause).await;
                    if self.went_through(&id).await? {
                        self.lease.until = until;
                        self.last = Some(id);
                        return Ok(());
                    }
                }
                Err(error) => return Err(RecordError::from(error).into()),
            }
        }
        Err(RecordError::from(StoreError::Conflict).into())
    }

    fn writes(&self, batch: Batch, id: &str, spent: &BTreeMap<i64, u32>, until: jiff::Timestamp) -> Vec<Write> {
        let mine = Condition::equals("fence", self.lease.fence);
        let mut set = batch.set;
        let mut lease = attributes([("lease_until", millis(until).into()), ("spent", json(spent))]);
        if let Some(paused) = set.get("paused_until") {
            lease.insert("paused_until".into(), paused.clone());
        }
        set.insert("commit".into(), id.into());
        let same = match &self.last {
            Some(last) => Condition::equals("commit", last.as_str()),
            None => Condition::Missing("commit".into()),
        };
        let mut writes = Vec::with_capacity(batch.writes.len() + 2);
        let condition = if self.lease.key == self.account {
            set.extend(lease);
            mine
        } else {
            writes.push(Write::set(self.lease.key.clone(), lease).when(mine));
            Condition::Exists
        };
        writes.push(Write {
            key: self.account.clone(),
            change: Change::Update { set, add: batch.add },
            when: vec![condition, same],
        });
        writes.extend(batch.writes);
        writes
    }

    async fn went_through(&self, id: &str) -> Result<bool, RecordError> {
        let Some(item) = self.ports.store.get(&self.account).await? else {
            return Ok(false);
        };
        Ok(attribute::<String>(&item, "commit")?.as_deref() == Some(id))
    }
}

/// The length of a write's attributes as JSON: close enough to bound a transaction.
pub(super) fn weight(write: &Write) -> usize {
    let of = |attributes: &Attributes| {
        attributes
            .values()
            .map(|value| Value::to_string(value).len())
            .sum::<usize>()
    };
    match &write.change {
        Change::Put(attributes) => of(attributes),
        Change::Update { set, .. } => of(set),
        Change::Delete | Change::Check => 0,
    }
}
