//! What is looked after between runs: who should run before their time, whose schedule is not what the account says, whose
//! tokens are due. `serve` does it in a loop, on AWS the functions `watch` and `token-refresh` do it by the clock.

mod renew;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use tracing::info;

use crate::{
    import::report::Outcome,
    manage::schedule_of,
    ports::{Schedule, ScheduleError, Scheduler},
    records::{
        RecordError,
        accounts::{AccountRow, Accounts},
    },
    time::between,
};

pub use renew::{Renewed, Which, in_use, look, renew};

/// Between two runs of an account that asks for more without getting on.
const PAUSE: Duration = Duration::from_secs(15);

/// Why schedules could not be mended.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// The scheduler said no.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The accounts could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Whether an account should run before its time: somebody asked, the last run left something, or events wait.
pub fn wants_more(row: &AccountRow, now: Timestamp) -> bool {
    let last = row.last_run.as_ref();
    let may = row.paused_until.is_none_or(|until| until <= now);
    // Somebody asked since the last run: whatever came of that one, and whether or not there is a schedule.
    let asked = row.asked_at.is_some_and(|at| last.is_none_or(|run| run.at < at));
    let goes_well = last.is_none_or(|run| {
        // After a failure, and after a wait that Microsoft asked for, the schedule is soon enough.
        matches!(run.outcome, Outcome::Done | Outcome::Incomplete) && between(run.at, now) >= PAUSE
    });
    may && (asked || (row.account.enabled && (row.more || row.unsent() > 0) && goes_well))
}

/// Makes schedules say what accounts say: a process may have died between the two writes, or somebody changed one by
/// hand. Answers the accounts it saw and how many schedules were put right.
pub async fn mend_schedules(
    scheduler: &dyn Scheduler,
    accounts: &Accounts,
) -> Result<(Vec<AccountRow>, usize), MendError> {
    // Schedules first: one that is listed now and whose account is gone afterwards is surely to go.
    let found: HashMap<String, Schedule> = scheduler
        .list()
        .await?
        .into_iter()
        .map(|schedule| (schedule.account.clone(), schedule))
        .collect();
    let rows = accounts.all().await?;
    let (mut mended, mut problem) = (0, None);
    for row in &rows {
        let wanted = schedule_of(&row.account);
        if found.get(&wanted.account) != Some(&wanted) {
            info!(account = wanted.account, "its schedule is put right");
            // One that cannot be put must not keep the others from it.
            match scheduler.put(&wanted).await {
                Ok(()) => mended += 1,
                Err(error) => problem = Some(error),
            }
        }
    }
    for account in found.keys() {
        if !rows.iter().any(|row| row.account.id.as_str() == account) {
            info!(account, "its schedule goes: there is no such account any more");
            scheduler.remove(account).await?;
            mended += 1;
        }
    }
    match problem {
        Some(error) => Err(error.into()),
        None => Ok((rows, mended)),
    }
}
