//! Instants and durations, put together without surprises.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// `at + by`, at most the last instant there is.
pub fn plus(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `at - by`, at least the first instant there is.
pub fn minus(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_sub(by).ok())
        .unwrap_or(Timestamp::MIN)
}

/// From `earlier` to `later`; nothing if it is the other way round.
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(earlier.duration_until(later)).unwrap_or_default()
}

/// Milliseconds since 1970, as stored in attributes that conditions compare.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// Back from milliseconds.
pub fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
