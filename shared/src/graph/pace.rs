//! How long marking takes, one by one and by the batch: what a run sees decides which it does.
//!
//! A batch saves the way to Microsoft and back, nothing else: its parts are counted and throttled one by one (Microsoft Graph,
//! "JSON batching"). Where Microsoft's own work is most of the time, single requests in four slots are as fast and fail alone.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::governor::IN_FLIGHT;

/// The most parts of one batch (Microsoft Graph, "JSON batching").
pub(super) const BATCH_PARTS: usize = 20;
/// Single marks that are timed before a batch is tried.
const ENOUGH: u32 = 8;
/// Below this there is no way to save.
const LEAST: Duration = Duration::from_millis(10);
/// A batch must take less than so many hundredths of the time, or it is not worth failing together.
const WORTH: u32 = 85;

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    marks: u32,
    took: Duration,
}

impl Mean {
    fn add(&mut self, marks: u32, took: Duration) {
        self.marks = self.marks.saturating_add(marks);
        self.took = self.took.saturating_add(took);
    }

    fn per_mark(self) -> Duration {
        self.took.checked_div(self.marks).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Seen {
    single: Mean,
    batched: Mean,
    refused: bool,
}

/// The times of one run.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Seen>);

impl Pace {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mark by itself took this long in its slot.
    pub(super) fn single(&self, took: Duration) {
        self.seen().single.add(1, took);
    }

    /// A batch of so many marks took this long in its slot.
    pub(super) fn batched(&self, marks: u32, took: Duration) {
        self.seen().batched.add(marks, took);
    }

    /// A batch did not do what it was for: no more of them in this run.
    pub(super) fn refused(&self) {
        self.seen().refused = true;
    }

    /// How many marks the next request should carry while so many wait. They are shared out over the slots, so that the last
    /// ones do not queue in one of them.
    pub(super) fn marks(&self, waiting: usize) -> usize {
        let seen = self.seen();
        let share = waiting.div_ceil(IN_FLIGHT).clamp(1, BATCH_PARTS);
        let single = seen.single.per_mark();
        if seen.refused || seen.single.marks < ENOUGH || single < LEAST {
            return 1;
        }
        if seen.batched.marks == 0 || seen.batched.per_mark() * 100 < single * WORTH {
            share
        } else {
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// Single marks of 80 ms, of which `network` is the way.
    fn after_a_trial(network: u64) -> Pace {
        let pace = Pace::default();
        for _ in 0..ENOUGH {
            assert_eq!(pace.marks(40), 1, "not yet: nothing is known");
            pace.single(ms(80));
        }
        assert_eq!(pace.marks(40), 10, "a trial");
        pace.batched(10, ms(network + 10 * (80 - network)));
        pace
    }

    #[test]
    fn batches_where_the_way_is_long_and_none_where_the_work_is() {
        let far = after_a_trial(40);
        assert_eq!(far.marks(40), 10);
        assert_eq!(far.marks(1_000), BATCH_PARTS);
        assert_eq!(far.marks(3), 1, "three slots, three marks");
        let slow = after_a_trial(0);
        assert_eq!(slow.marks(40), 1);
        assert_eq!(after_a_trial(8).marks(40), 1, "too little to win");
    }

    #[test]
    fn none_nearby_and_none_after_a_refusal() {
        let near = Pace::default();
        for _ in 0..100 {
            near.single(ms(2));
        }
        assert_eq!(near.marks(1_000), 1);
        let refused = after_a_trial(40);
        refused.refused();
        assert_eq!(refused.marks(40), 1);
    }
}
