//! Debts: mail that was seen but not imported. The cursor never waits for it; it has tries of its own (P43, P44).

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    message::{Debt, Disposition, MessageKey},
    ports::{Change, Condition, Ports, StoreError, Write},
    records::{
        CONFLICT_TRIES, RecordError,
        accounts::{AccountRow, Accounts},
        debts::Debts,
        messages::Messages,
    },
    time::plus,
};

use super::rules::DISMISSED;

/// How often a mail that cannot be read is tried before it is set aside.
pub(super) const TRIES_UNREADABLE: u32 = 3;
/// How often a mail that only could not be had is tried before it is set aside: about four days.
pub(super) const TRIES_UNAVAILABLE: u32 = 12;
/// When a mail that was set aside by strikes for the first time is tried again.
pub(super) const STRUCK_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Strikes that set a mail aside.
pub(super) const STRIKES: u32 = 3;

/// When a mail is tried again after so many tries.
pub(super) fn next_try(now: Timestamp, attempts: u32) -> Timestamp {
    let minutes = match attempts {
        0 | 1 => 1,
        2 => 5,
        3 => 15,
        4 => 60,
        5 => 180,
        6 => 360,
        _ => 720,
    };
    plus(now, Duration::from_secs(60 * minutes))
}

/// What an admin does to a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Try it again with the next run.
    Retry,
    /// It shall not be imported; it is not tried again.
    Dismiss,
}

/// Applies an admin's verb to one debt. A run in progress may be at it: then the record as it stands wins.
pub async fn admin(ports: &Ports, account: &str, key: &MessageKey, verb: Verb) -> Result<Debt, RecordError> {
    let accounts = Accounts::new(Arc::clone(&ports.store));
    let debts = Debts::new(Arc::clone(&ports.store));
    let messages = Messages::new(Arc::clone(&ports.store));
    for _ in 0..CONFLICT_TRIES {
        let row = accounts.get(account).await?;
        let Some(debt) = debts.get(account, key).await? else {
            return Err(RecordError::Missing {
                what: "debt",
                id: key.to_string(),
                hint: "; `postroom owed` shows all",
            });
        };
        match apply(ports, &messages, &row, &debt, verb).await {
            Err(RecordError::Store(StoreError::Conflict | StoreError::ConditionFailed { .. })) => {}
            other => return other,
        }
    }
    Err(RecordError::Changed {
        what: "debt",
        id: key.to_string(),
    })
}

async fn apply(
    ports: &Ports,
    messages: &Messages,
    row: &AccountRow,
    debt: &Debt,
    verb: Verb,
) -> Result<Debt, RecordError> {
    let now = ports.clock.now();
    let account = row.account.id.as_str();
    let mut after = debt.clone();
    let (disposition, line) = match verb {
        Verb::Retry => {
            after.quarantined = false;
            after.struck = 0;
            after.attempts = 0;
            after.next_try = Some(now);
            (Disposition::Owed, "an admin asked to try it again")
        }
        Verb::Dismiss => (Disposition::Filtered, DISMISSED),
    };
    let mut set = crate::ports::Attributes::new();
    if verb == Verb::Retry {
        // `watch` starts a run for an account that wants more; so does the next tick.
        set.insert("more".into(), true.into());
    }
    let mut counters = Write::set(row.key(), set).when(Condition::Exists);
    if let Change::Update { add, .. } = &mut counters.change {
        let was = if debt.quarantined { "quarantined" } else { "owed" };
        *add.entry(was.into()).or_default() -= 1;
        if verb == Verb::Retry {
            *add.entry("owed".into()).or_default() += 1;
        }
    }
    let old = crate::records::json(debt);
    let mut writes = vec![counters];
    writes.push(match verb {
        Verb::Retry => Debts::write(account, &after),
        Verb::Dismiss => Debts::clear(account, &debt.key),
    });
    if let Some(last) = writes.last_mut() {
        last.when.push(Condition::Equals("record".into(), old));
    }
    if let Some(mut message) = messages.get(&row.mailbox, &debt.key).await? {
        let before = message.disposition;
        message.disposition = disposition;
        message.reason = Some(if verb == Verb::Dismiss {
            DISMISSED.into()
        } else {
            debt.reason.clone()
        });
        message.tell(now, line);
        writes.extend(Messages::writes(&row.mailbox, &message, Some(before)));
    }
    ports.store.transact(writes).await?;
    Ok(after)
}
