//! The throttle governor: never more in flight or in ten minutes than a mailbox allows, and no request before Microsoft
//! said so (P67, P68).
//!
//! Limits: Microsoft Graph "service-specific throttling limits", Outlook service: per app and mailbox 4 concurrent
//! requests and 10,000 requests in 10 minutes. We stay at 9,600, spendable in a burst.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    ports::Clock,
    time::{between, from_millis, plus},
};

/// Requests in flight per mailbox and app registration.
pub const IN_FLIGHT: usize = 4;
/// Requests per mailbox in any [`WINDOW`].
pub const REQUESTS_PER_WINDOW: u32 = 9_600;
/// The sliding window.
pub const WINDOW: Duration = Duration::from_secs(600);
/// The longest hold that is believed; a longer one (10^9 seconds was seen) is asked again after this.
pub const LONGEST_HOLD: Duration = Duration::from_secs(15 * 60);
/// The window is counted in slots of this many milliseconds.
const SLOT: i64 = 10_000;

/// The right to have one request in flight; ends when it is dropped.
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// Why a request may not be sent yet, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Not before this instant.
    pub until: Timestamp,
    /// Microsoft asked for it; otherwise what ten minutes allow is used up.
    pub asked: bool,
}

#[derive(Default)]
struct State {
    spent: BTreeMap<i64, u32>,
    hold: Option<Timestamp>,
}

/// Counts and holds the requests to one mailbox by one app registration.
pub struct Governor {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

impl Governor {
    /// With what earlier runs spent.
    pub fn new(clock: Arc<dyn Clock>, spent: BTreeMap<i64, u32>) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
            state: Mutex::new(State { spent, hold: None }),
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot and for permission to send what Microsoft counts as `requests`; `Err` if the wait would be longer than
    /// `patience`.
    pub async fn enter(&self, requests: u32, patience: Duration) -> Result<Slot, Wait> {
        // The semaphore is never closed, so the only way on is with a permit.
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.slots).acquire_owned().await {
                break permit;
            }
        };
        loop {
            let now = self.clock.now();
            let Some(wanted) = self.wait_until(requests, now) else {
                return Ok(Slot { _permit: permit });
            };
            let wait = between(now, wanted.until);
            if wait > patience {
                return Err(wanted);
            }
            self.clock.sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// Counts the requests and lets them go, or says until when they must wait.
    fn wait_until(&self, requests: u32, now: Timestamp) -> Option<Wait> {
        let mut state = self.state();
        if let Some(hold) = state.hold {
            if now < hold {
                return Some(Wait {
                    until: hold,
                    asked: true,
                });
            }
            state.hold = None;
        }
        let slot = now.as_millisecond().div_euclid(SLOT);
        let first = slot - i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX) / SLOT;
        state.spent.retain(|number, _| *number > first && *number <= slot);
        if state.spent.values().sum::<u32>() + requests > REQUESTS_PER_WINDOW {
            let oldest = state.spent.keys().next().copied().unwrap_or(slot);
            let free_at = (oldest + 1) * SLOT + i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
            let until = from_millis(free_at);
            return Some(Wait { until, asked: false });
        }
        *state.spent.entry(slot).or_default() += requests;
        None
    }

    /// No request before `now + wait`, because Microsoft said so. Returns until when.
    pub fn hold(&self, wait: Duration) -> Timestamp {
        let until = plus(self.clock.now(), wait.min(LONGEST_HOLD));
        let mut state = self.state();
        let until = state.hold.map_or(until, |hold| hold.max(until));
        state.hold = Some(until);
        until
    }

    /// What was spent in the window, to be saved with the next commit.
    pub fn spent(&self) -> BTreeMap<i64, u32> {
        self.state().spent.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ManualClock;

    #[tokio::test]
    async fn a_burst_is_free_and_the_next_waits_for_the_window() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_000_000).unwrap()));
        let governor = Governor::new(clock.clone(), BTreeMap::new());
        for _ in 0..REQUESTS_PER_WINDOW {
            assert!(governor.enter(1, Duration::ZERO).await.is_ok());
        }
        let Err(Wait { until, asked: false }) = governor.enter(1, Duration::from_secs(5)).await else {
            panic!("over the limit")
        };
        assert!(between(clock.now(), until) >= Duration::from_secs(590));
        let again = Governor::new(clock.clone(), governor.spent());
        assert!(
            again.enter(1, Duration::ZERO).await.is_err(),
            "what was spent is remembered"
        );
        clock.advance(Duration::from_secs(611));
        assert!(again.enter(1, Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn a_hold_holds_everybody_and_absurd_ones_are_cut() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_000_000).unwrap()));
        let governor = Governor::new(clock.clone(), BTreeMap::new());
        governor.hold(Duration::from_secs(30));
        governor.hold(Duration::from_secs(2));
        let Err(Wait { until, asked: true }) = governor.enter(1, Duration::from_secs(29)).await else {
            panic!("held")
        };
        assert_eq!(
            between(clock.now(), until),
            Duration::from_secs(30),
            "the later end counts"
        );
        let until = governor.hold(Duration::from_secs(1_000_000_000));
        assert_eq!(between(clock.now(), until), LONGEST_HOLD);
    }
}
