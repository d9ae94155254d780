//! An account's item, read.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, MailboxKey},
    import::{folder::FolderProgress, report::LastRun},
    ports::{Item, Key},
    time::between,
};

use super::{
    RecordError,
    accounts::{Accounts, FOLDER_PREFIX},
    attribute, number, required,
};

/// Without success for this many intervals an account is silent.
const INTERVALS: u32 = 3;
/// But not sooner than this.
const AT_LEAST: Duration = Duration::from_mins(1);

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
    /// When an admin asked for a run.
    pub asked_at: Option<Timestamp>,
    /// Not before this instant, because Microsoft asked for it.
    pub paused_until: Option<Timestamp>,
    /// When folders were last looked for.
    pub folders_at: Option<Timestamp>,
    /// How the last run ended.
    pub last_run: Option<LastRun>,
    /// When a run last succeeded.
    pub last_success: Option<Timestamp>,
    /// Messages recorded under its id.
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
    /// For how long an enabled account had no success, if that is too long: three of its intervals, a minute at least.
    pub fn silent_for(&self, now: Timestamp) -> Option<Duration> {
        let since = between(self.last_success.unwrap_or(self.created_at), now);
        let limit = (self.account.every * INTERVALS).max(AT_LEAST);
        (self.account.enabled && since > limit).then_some(since)
    }

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
            asked_at: attribute(item, "asked_at")?,
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

    /// Counters of what outlives the account.
    pub(super) fn kept_counters(&self) -> [i64; 4] {
        [self.recorded, self.owed, self.quarantined, self.actions]
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
