//! The simulator's clock: the machine's, one moved by hand, or one handed in by a test.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep_until};

/// A timer of the runtime comes up to so much late: it counts in milliseconds and rounds up, and so does the wait for sockets.
const COARSE: Duration = Duration::from_millis(3);

/// Tells the time in Unix milliseconds. Clones share one offset, so `advance` on one moves all of them.
#[derive(Clone)]
pub struct SimClock {
    source: Source,
    offset_ms: Arc<AtomicI64>,
}

#[derive(Clone)]
enum Source {
    System,
    Fixed(i64),
    Given(Arc<dyn Fn() -> i64 + Send + Sync>),
}

impl SimClock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// A clock that stands still at `start_ms` (Unix milliseconds) until it is advanced.
    pub fn manual(start_ms: i64) -> Self {
        Self::of(Source::Fixed(start_ms))
    }

    /// A clock of the caller's: `now` answers Unix milliseconds.
    pub fn given(now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self::of(Source::Given(now))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            offset_ms: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        let base = match &self.source {
            Source::System => system_ms(),
            Source::Fixed(ms) => *ms,
            Source::Given(now) => now(),
        };
        base.saturating_add(self.offset_ms.load(Ordering::SeqCst))
    }

    /// Waits until `after` has passed since `begun`. By the machine's clock to a tenth of a millisecond: who measures a client at
    /// 80 ms must not be given 82.
    pub(crate) async fn wait(&self, begun: Instant, after: Duration) {
        let due = begun + after;
        if !matches!(self.source, Source::System) {
            return sleep_until(due).await;
        }
        if after.is_zero() {
            return;
        }
        if after > COARSE {
            sleep_until(due - COARSE).await;
        }
        let left = due.saturating_duration_since(Instant::now());
        // A thread's sleep is as fine as the machine's timers are. Without one (the program ends), the runtime's will do.
        if !left.is_zero()
            && tokio::task::spawn_blocking(move || std::thread::sleep(left))
                .await
                .is_err()
        {
            sleep_until(due).await;
        }
    }

    /// Moves the time forward, whatever the source is.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimClock({})", self.now_ms())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the simulator that reads the machine's clock"
)]
fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn stamp(ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// `2026-02-03T08:00:04Z`: how Graph writes a time of a message (whole seconds, UTC).
pub(crate) fn graph_time(ms: i64) -> String {
    stamp(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-02-03T08:00:04`: how Graph writes the time inside `innerError`.
pub(crate) fn inner_error_time(ms: i64) -> String {
    stamp(ms).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `2026-02-03 08:00:04Z`: how Entra writes the time of an error.
pub(crate) fn entra_time(ms: i64) -> String {
    stamp(ms).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `Tue, 03 Feb 2026 08:00:04 GMT` (RFC 9110 5.6.7).
pub(crate) fn http_date(ms: i64) -> String {
    stamp(ms).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A `Date` header field of a message (RFC 5322 3.3).
pub(crate) fn mail_date(ms: i64) -> String {
    stamp(ms).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Reads the times `OData` filters carry; fractions of a second are kept.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_clones_share_it() {
        let clock = SimClock::manual(1_770_000_000_000);
        let other = clock.clone();
        clock.advance(Duration::from_mins(1));
        assert_eq!(other.now_ms(), 1_770_000_060_000);
    }

    #[tokio::test]
    async fn a_wait_by_the_machine_is_never_short() {
        for asked in [Duration::ZERO, Duration::from_micros(700), Duration::from_millis(5)] {
            let begun = Instant::now();
            SimClock::system().wait(begun, asked).await;
            assert!(begun.elapsed() >= asked, "{asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_by_a_clock_of_the_callers_is_of_its_runtime() {
        let begun = Instant::now();
        let hour = Duration::from_hours(1);
        SimClock::given(Arc::new(|| 0)).wait(begun, hour).await;
        assert_eq!(begun.elapsed(), hour);
    }

    #[test]
    fn times_are_written_as_each_service_writes_them() {
        let ms = 1_770_105_604_000;
        assert_eq!(graph_time(ms), "2026-02-03T08:00:04Z");
        assert_eq!(entra_time(ms), "2026-02-03 08:00:04Z");
        assert_eq!(http_date(ms), "Tue, 03 Feb 2026 08:00:04 GMT");
        assert_eq!(parse_time("2026-02-03T08:00:04Z"), Some(ms));
    }
}
