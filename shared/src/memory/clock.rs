//! Clocks of tests: one that stands until it is moved, and one that rides tokio's (pausable) time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{sync::oneshot, time::Instant};

use crate::ports::Clock;

/// Where the clocks of tests begin: 2026-01-05T09:00:00Z, a Monday morning.
pub fn start_of_time() -> Timestamp {
    Timestamp::from_second(1_767_603_600).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A clock that stands until [`ManualClock::advance`]; a sleep ends when the clock is moved to or past its end.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Standing>>);

struct Standing {
    now: Timestamp,
    sleepers: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::at(start_of_time())
    }
}

impl ManualClock {
    /// A clock that stands at this moment.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Standing {
            now,
            sleepers: Vec::new(),
        })))
    }

    /// Moves the clock on and wakes whoever slept no longer than until then.
    pub fn advance(&self, duration: Duration) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.now = later(standing.now, duration);
        let now = standing.now;
        let (due, waiting) = standing.sleepers.drain(..).partition(|(end, _)| *end <= now);
        standing.sleepers = waiting;
        drop(standing);
        for (_, sleeper) in due {
            // A sleeper that was cancelled meanwhile needs no waking.
            let _ = sleeper.send(());
        }
    }

    /// Turns the clock back, as an administrator does with a wrong one. Sleepers sleep on until their moment.
    pub fn turn_back(&self, duration: Duration) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.now = standing.now.checked_sub(duration).unwrap_or(Timestamp::MIN);
    }

    /// How long until the first sleeper wakes; `None` if nobody sleeps.
    pub fn until_next(&self) -> Option<Duration> {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
        let now = standing.now;
        standing
            .sleepers
            .iter()
            .map(|(end, _)| *end)
            .min()
            .and_then(|end| Duration::try_from(end.duration_since(now)).ok())
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let end = later(standing.now, duration);
            standing.sleepers.push((end, sender));
        }
        let _ = receiver.await;
    }
}

/// A clock that starts at [`start_of_time`] and goes as tokio's time goes: with `start_paused = true` it jumps to the
/// next timer whenever all tasks wait. Make it inside the runtime.
#[derive(Clone)]
pub struct PausedClock {
    start: Timestamp,
    made: Instant,
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::at(start_of_time())
    }
}

impl PausedClock {
    /// A clock that shows this moment now.
    pub fn at(start: Timestamp) -> Self {
        Self {
            start,
            made: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        later(self.start, self.made.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn later(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}
