//! The fault campaign: every step of every scene bent in every way, and storms in which a seed decides everything.
//!
//! It stands on [`crate::world`]: the simulator is the truth, time is virtual, a crash drops everything a process knew.

pub mod gate;
mod hits;
pub mod kills;
pub mod long;
pub mod mutant;
mod points;
mod rehearse;
mod scenario;
pub mod storm;
mod work;

use std::{cell::RefCell, panic, sync::Once};

pub use hits::Hits;
pub use points::{Found, Point, all_points, pairs, try_point};
pub use rehearse::{Plan, Rehearsed, rehearse};
pub use scenario::Scenario;
pub use work::{cpu_time, directory, parallel};

thread_local! {
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs what may panic, and keeps what the panic said instead of printing it: a campaign tells it where it belongs.
fn quietly<T>(run: impl FnOnce() -> Result<T, Box<dyn std::any::Any + Send>>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.with(|quiet| *quiet.borrow()) {
                let said = SAID.with(|said| said.borrow().clone());
                // The first panic is the cause; what falls over after it is not.
                if said.is_none() {
                    SAID.with(|said| *said.borrow_mut() = Some(info.to_string()));
                }
            } else {
                before(info);
            }
        }));
    });
    SAID.with(|said| *said.borrow_mut() = None);
    QUIET.with(|quiet| *quiet.borrow_mut() = true);
    let result = run();
    QUIET.with(|quiet| *quiet.borrow_mut() = false);
    result.map_err(|_| {
        SAID.with(|said| said.borrow_mut().take())
            .unwrap_or_else(|| "it panicked".into())
    })
}
