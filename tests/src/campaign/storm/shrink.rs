//! The fewest happenings with which a storm still fails, and a failure as a person needs it.

use std::cell::Cell;

use super::{HAPPENINGS, Size, Skip, storm};

/// Storms that the search for the fewest happenings may take.
const SHRINKING: usize = 60;

/// The fewest happenings with which a seed still fails: halves are left out, then quarters, and so on, at most `tries` times.
pub fn shrink(seed: u64, size: Size, happenings: usize, tries: usize) -> Skip {
    let (mut skip, mut left) = (Skip::new(), tries);
    let mut chunk = happenings.div_ceil(2).max(1);
    loop {
        let mut helped = false;
        for start in (0..happenings).step_by(chunk) {
            let without: Skip = (start..(start + chunk).min(happenings))
                .chain(skip.iter().copied())
                .collect();
            if without.len() == skip.len() {
                continue;
            }
            if left == 0 {
                return skip;
            }
            left -= 1;
            if storm(seed, size, false, &without).is_err() {
                skip = without;
                helped = true;
            }
        }
        if chunk == 1 && !helped {
            return skip;
        }
        chunk = (chunk / 2).max(1);
    }
}

/// A failure for a person: what did not hold, the happenings it needs, and how to see it again.
pub fn explain(seed: u64, size: Size, what: &str) -> String {
    if storm(seed, size, false, &Skip::new()).is_ok() {
        return format!("SEED={seed}: {what}\nonce, and not a second time: something of it is not decided by the seed");
    }
    let happenings = HAPPENINGS.with(Cell::get);
    let skip = shrink(seed, size, happenings, SHRINKING);
    let left: Vec<String> = skip.iter().map(usize::to_string).collect();
    let mut flags = String::new();
    if size == Size::Small {
        flags.push_str(" --small");
    }
    if !left.is_empty() {
        flags.push_str(&format!(" --skip {}", left.join(",")));
    }
    let needed = happenings - skip.len();
    format!(
        "SEED={seed}: {what}\n{needed} of {happenings} happenings are needed; again: cargo run -p tests --bin campaign -- seed {seed}{flags}"
    )
}
