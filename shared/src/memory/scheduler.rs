//! The memory scheduler: keeps schedules and fires nothing; a test fires.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use super::Faults;
use crate::ports::{Schedule, ScheduleError, Scheduler};

/// Schedules in memory. Its only fault: the next call is refused with these words.
#[derive(Clone, Default)]
pub struct MemoryScheduler {
    schedules: Arc<Mutex<BTreeMap<String, Schedule>>>,
    faults: Faults<(), &'static str>,
}

impl MemoryScheduler {
    /// The faults to arm.
    pub fn faults(&self) -> &Faults<(), &'static str> {
        &self.faults
    }

    fn meet(&self, account: &str) -> Result<(), ScheduleError> {
        self.faults
            .meet(())
            .map_or(Ok(()), |reason| Err(refusal(account, reason)))
    }
}

#[async_trait]
impl Scheduler for MemoryScheduler {
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        check_schedule(schedule)?;
        self.meet(&schedule.account)?;
        self.schedules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(schedule.account.clone(), schedule.clone());
        Ok(())
    }

    async fn remove(&self, account: &str) -> Result<(), ScheduleError> {
        self.meet(account)?;
        self.schedules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(account);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError> {
        self.meet("*")?;
        Ok(self
            .schedules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect())
    }
}

/// What every scheduler refuses: an account id that is no safe name (`a-z`, `0-9`, `-`; 1 to 64 characters, so that it
/// fits the name of an `EventBridge` schedule), an interval of nothing, a window longer than the interval.
pub fn check_schedule(schedule: &Schedule) -> Result<(), ScheduleError> {
    let account = &schedule.account;
    let safe = !account.is_empty()
        && account.len() <= 64
        && account
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !safe {
        return Err(refusal(
            account,
            "an account id has 1 to 64 characters of a-z, 0-9 and -",
        ));
    }
    if schedule.every.is_zero() {
        return Err(refusal(account, "the interval is zero"));
    }
    if schedule.window > schedule.every {
        return Err(refusal(account, "the window is longer than the interval"));
    }
    Ok(())
}

fn refusal(account: &str, reason: &str) -> ScheduleError {
    ScheduleError {
        account: account.to_owned(),
        reason: reason.to_owned(),
    }
}
