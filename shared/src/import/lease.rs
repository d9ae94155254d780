//! The right to work on one mailbox of one app registration, with its fencing number.
//!
//! The lease stands on the account's own item, or on the mailbox's where several accounts share it and take turns.
//! A run renews it with each commit. A holder that is known to be dead is followed at once; one that is only silent,
//! when its time is over. Either way its fence is old and it commits nothing more.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    ports::{Change, Condition, Item, Key, Ports, StoreError, Write},
    records::{
        RecordError,
        accounts::{AccountRow, Accounts, lease_is_free},
        attribute, attributes, json, number,
    },
    time::{millis, plus},
};

/// How long a lease lasts without being renewed.
pub const LEASE_FOR: Duration = Duration::from_secs(120);
/// It is renewed when this much of it is over and no commit did it.
pub(super) const RENEW_AFTER: Duration = Duration::from_secs(40);

/// A lease that was taken.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// The item it stands on.
    pub(super) key: Key,
    /// Its fence.
    pub(super) fence: i64,
    /// Until when.
    pub(super) until: Timestamp,
}

/// What trying for a lease came to.
pub(super) enum Tried {
    /// It is ours; the account as it stands, and the requests of the last ten minutes.
    Taken(Box<AccountRow>, Lease, BTreeMap<i64, u32>),
    /// Another run has it.
    Busy,
}

fn take(key: &Key, ports: &Ports, run: &str, condition: Condition) -> Write {
    let now = ports.clock.now();
    let mut write = Write::set(
        key.clone(),
        attributes([
            ("lease_owner", (&*ports.instance).into()),
            ("lease_run", run.into()),
            ("lease_until", millis(plus(now, LEASE_FOR)).into()),
        ]),
    )
    .when(Condition::Exists)
    .when(condition);
    if let Change::Update { add, .. } = &mut write.change {
        add.insert("fence".into(), 1);
    }
    write
}

/// Tries to take the lease of an account. One call where the account is alone on its mailbox.
pub(super) async fn acquire(ports: &Ports, account: &str, run: &str) -> Result<Tried, RecordError> {
    let own = Accounts::key(account);
    let on_own = Condition::equals("lease_on", json(&own));
    let free = |ports: &Ports| lease_is_free(ports.clock.now());
    match ports
        .store
        .update(take(&own, ports, run, free(ports)).when(on_own.clone()))
        .await
    {
        Ok(Some(item)) => taken(&item, &item),
        Ok(None) | Err(StoreError::ConditionFailed { current: None, .. }) => Err(missing(account)),
        Err(StoreError::ConditionFailed {
            current: Some(item), ..
        }) => wherever(ports, account, run, *item).await,
        Err(StoreError::Conflict) => match ports.store.get(&own).await? {
            Some(item) => wherever(ports, account, run, item).await,
            None => Err(missing(account)),
        },
        Err(error) => Err(error.into()),
    }
}

/// It was not to be had on the account's own item: held there, or to be had elsewhere. What stands on the own item of an account that
/// shares its mailbox is the past, whoever it names.
async fn wherever(ports: &Ports, account: &str, run: &str, own: Item) -> Result<Tried, RecordError> {
    let lease_on: Key = attribute(&own, "lease_on")?.ok_or_else(|| missing(account))?;
    if lease_on == own.key {
        follow(ports, account, run, own).await
    } else {
        shared(ports, account, run, lease_on).await
    }
}

async fn shared(ports: &Ports, account: &str, run: &str, lease_on: Key) -> Result<Tried, RecordError> {
    let item = match ports
        .store
        .update(take(&lease_on, ports, run, lease_is_free(ports.clock.now())))
        .await
    {
        Ok(Some(item)) => item,
        Err(StoreError::ConditionFailed {
            current: Some(item), ..
        }) => return follow(ports, account, run, *item).await,
        Ok(None) | Err(StoreError::ConditionFailed { current: None, .. } | StoreError::Conflict) => {
            return Ok(Tried::Busy);
        }
        Err(error) => return Err(error.into()),
    };
    match ports.store.get(&Accounts::key(account)).await? {
        Some(own) => taken(&own, &item),
        None => Err(missing(account)),
    }
}

/// Somebody holds it: ourselves after a lost acknowledgement, somebody dead, or somebody at work.
async fn follow(ports: &Ports, account: &str, run: &str, held: Item) -> Result<Tried, RecordError> {
    let holder: String = attribute(&held, "lease_owner")?.unwrap_or_default();
    let mine = attribute::<String>(&held, "lease_run")?.as_deref() == Some(run) && holder == *ports.instance;
    let item = if mine {
        held
    } else if (holder != *ports.instance && (ports.dead)(&holder)) || is_ahead(ports, &held) {
        let same = Condition::equals("fence", number(&held, "fence"));
        match ports.store.update(take(&held.key, ports, run, same)).await {
            Ok(Some(item)) => item,
            Ok(None) | Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => return Ok(Tried::Busy),
            Err(error) => return Err(error.into()),
        }
    } else {
        return Ok(Tried::Busy);
    };
    let own = Accounts::key(account);
    if item.key == own {
        return taken(&item, &item);
    }
    match ports.store.get(&own).await? {
        Some(account) => taken(&account, &item),
        None => Err(missing(own.sort.as_str())),
    }
}

/// No lease reaches this far: it was taken by a clock that was ahead, and would hold the account until then. Its fence
/// keeps a holder that is still at work from writing.
fn is_ahead(ports: &Ports, held: &Item) -> bool {
    number(held, "lease_until") > millis(plus(ports.clock.now(), 5 * LEASE_FOR))
}

fn taken(account: &Item, lease: &Item) -> Result<Tried, RecordError> {
    let mut row = AccountRow::read(account)?;
    // Microsoft's limits are the mailbox's: accounts that share it wait for each other's pauses.
    row.paused_until = row.paused_until.max(attribute(lease, "paused_until")?);
    let until = crate::time::from_millis(number(lease, "lease_until"));
    let spent = attribute(lease, "spent")?.unwrap_or_default();
    let lease = Lease {
        key: lease.key.clone(),
        fence: number(lease, "fence"),
        until,
    };
    Ok(Tried::Taken(Box::new(row), lease, spent))
}

fn missing(account: &str) -> RecordError {
    RecordError::Missing {
        what: "account",
        id: account.to_owned(),
        hint: "; `postroom account list` shows all",
    }
}
