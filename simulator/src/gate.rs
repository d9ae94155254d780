//! The limits of one app on one mailbox: requests at the same time, requests per window, and who comes back too early.

use crate::options::Limits;
use crate::simulator::Core;
use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use std::time::Duration;
use tokio::time::Instant;

/// App id and mailbox index.
pub(crate) type Lane = (String, usize);

#[derive(Debug, Default)]
pub(crate) struct Gate {
    lanes: HashMap<Lane, LaneState>,
}

#[derive(Debug, Default)]
struct LaneState {
    running: u32,
    most_running: u32,
    /// Times of the requests in the window, refused ones included.
    recent: VecDeque<i64>,
    /// No request is welcome before this instant (Unix milliseconds).
    not_before_ms: i64,
    early: u64,
    held: Duration,
}

/// What the lanes of a mailbox did: of all apps together.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Running now.
    pub(crate) running: u32,
    /// Most at once, refused ones included.
    pub(crate) most_running: u32,
    /// Requests that came too early.
    pub(crate) early: u64,
    /// Requests in the window.
    pub(crate) in_window: usize,
    /// For how long slots were taken, all together.
    pub(crate) held: Duration,
}

/// What the gate says of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Pass,
    TooManyAtOnce,
    /// Too many in the window: the oldest leaves it in so many milliseconds.
    TooManyInWindow {
        wait_ms: i64,
    },
}

impl Gate {
    /// Counts a request; `Pass` takes a slot that must be given back with `leave`.
    pub(crate) fn enter(&mut self, lane: &Lane, limits: &Limits, now_ms: i64) -> Verdict {
        let state = self.lanes.entry(lane.clone()).or_default();
        if now_ms < state.not_before_ms {
            state.early += 1;
        }
        let window = i64::try_from(limits.window.as_millis()).unwrap_or(i64::MAX);
        while state
            .recent
            .front()
            .is_some_and(|at| at.saturating_add(window) <= now_ms)
        {
            state.recent.pop_front();
        }
        let full = state.recent.len() >= limits.requests;
        // Refused requests count as well: whoever keeps knocking keeps the door shut.
        state.recent.push_back(now_ms);
        if limits.enabled && full {
            let oldest = state
                .recent
                .len()
                .checked_sub(limits.requests)
                .and_then(|at| state.recent.get(at))
                .copied();
            return Verdict::TooManyInWindow {
                wait_ms: oldest.unwrap_or(now_ms).saturating_add(window) - now_ms,
            };
        }
        if limits.enabled && state.running >= limits.concurrent {
            state.most_running = state.most_running.max(state.running + 1);
            return Verdict::TooManyAtOnce;
        }
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        Verdict::Pass
    }

    fn leave(&mut self, lane: &Lane, held: Duration) {
        if let Some(state) = self.lanes.get_mut(lane) {
            state.running = state.running.saturating_sub(1);
            state.held += held;
        }
    }

    /// Notes that a refusal asked the lane to stay away for so long.
    pub(crate) fn hold_off(&mut self, lane: &Lane, until_ms: i64) {
        let state = self.lanes.entry(lane.clone()).or_default();
        state.not_before_ms = state.not_before_ms.max(until_ms);
    }

    /// Of all apps on a mailbox.
    pub(crate) fn figures(&self, mailbox: usize) -> Figures {
        let mut figures = Figures::default();
        for state in self.lanes.iter().filter(|((_, m), _)| *m == mailbox).map(|(_, s)| s) {
            figures.running += state.running;
            figures.most_running = figures.most_running.max(state.most_running);
            figures.early += state.early;
            figures.in_window += state.recent.len();
            figures.held += state.held;
        }
        figures
    }
}

/// A taken slot: given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) core: Weak<Core>,
    pub(crate) lane: Lane,
    pub(crate) since: Instant,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.lock().gate.leave(&self.lane, self.since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_requests_count_and_the_window_slides() {
        let limits = Limits {
            enabled: true,
            concurrent: 100,
            requests: 3,
            window: Duration::from_secs(10),
        };
        let lane = ("app".to_owned(), 0);
        let mut gate = Gate::default();
        for at in 0..3 {
            assert_eq!(gate.enter(&lane, &limits, at * 1000), Verdict::Pass);
        }
        assert_eq!(
            gate.enter(&lane, &limits, 3000),
            Verdict::TooManyInWindow { wait_ms: 8000 }
        );
        // At 10 s the first request has left, but the refused one is in the window.
        assert!(matches!(
            gate.enter(&lane, &limits, 10_000),
            Verdict::TooManyInWindow { .. }
        ));
        assert_eq!(gate.enter(&lane, &limits, 30_000), Verdict::Pass);
    }

    #[test]
    fn the_fifth_at_once_is_refused_until_one_leaves() {
        let lane = ("app".to_owned(), 0);
        let mut gate = Gate::default();
        let enter = |gate: &mut Gate| gate.enter(&lane, &Limits::default(), 0);
        assert!((0..4).all(|_| enter(&mut gate) == Verdict::Pass));
        assert_eq!(enter(&mut gate), Verdict::TooManyAtOnce);
        gate.leave(&lane, Duration::from_millis(80));
        assert_eq!(enter(&mut gate), Verdict::Pass);
        gate.leave(&lane, Duration::from_millis(20));
        let figures = gate.figures(0);
        assert_eq!(
            (figures.running, figures.most_running, figures.held),
            (3, 5, Duration::from_millis(100))
        );
    }

    #[test]
    fn coming_back_before_the_time_is_noted() {
        let lane = ("app".to_owned(), 2);
        let mut gate = Gate::default();
        gate.hold_off(&lane, 5_000);
        gate.enter(&lane, &Limits::default(), 4_999);
        gate.enter(&lane, &Limits::default(), 5_000);
        assert_eq!(gate.figures(2).early, 1);
    }
}
