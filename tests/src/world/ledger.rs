//! What the processes of a world did, in the order in which they did it: what a run may not do shows here, whatever becomes
//! of it later.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use shared::ports::{Change, Write};

/// Kept over all processes and lives of a world.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Deeds>>);

#[derive(Default)]
struct Deeds {
    /// Account and fence of every commit of a run.
    commits: Vec<(String, i64)>,
    /// Events that somebody tried to record: by account and number.
    events: BTreeMap<(String, u64), Vec<Value>>,
    /// What was not in order when it was done.
    wrong: Vec<String>,
    /// Objects that were written, ever.
    written: BTreeSet<String>,
    /// Those that were not settled since.
    unsettled: BTreeSet<String>,
}

impl Ledger {
    fn deeds(&self) -> MutexGuard<'_, Deeds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is about to write this.
    pub(super) fn offer(&self, writes: &[Write]) {
        for write in writes {
            let Some(account) = write.key.partition.strip_prefix("events#") else {
                continue;
            };
            if let (Change::Put(attributes), Ok(number)) = (&write.change, write.key.sort.parse()) {
                let event = attributes.get("record").cloned().unwrap_or_default();
                let mut deeds = self.deeds();
                deeds
                    .events
                    .entry((account.to_owned(), number))
                    .or_default()
                    .push(event);
            }
        }
    }

    /// These writes went through.
    pub(super) fn wrote(&self, writes: &[Write]) {
        for write in writes {
            let Change::Update { set, .. } = &write.change else {
                continue;
            };
            // `run#fence#number`, as a run signs what it commits.
            let commit = set.get("commit").and_then(Value::as_str);
            if let Some(fence) = commit.and_then(|commit| commit.split('#').nth(1)?.parse().ok()) {
                self.deeds().commits.push((write.key.sort.clone(), fence));
            }
        }
    }

    /// Somebody is about to tell the world of these events.
    pub(super) fn tell(&self, account: &str, events: &[Value]) {
        let mut deeds = self.deeds();
        for event in events {
            let number = event.get("sequence").and_then(Value::as_u64).unwrap_or_default();
            let offered = deeds.events.get(&(account.to_owned(), number));
            if !offered.is_some_and(|offered| offered.contains(event)) {
                deeds
                    .wrong
                    .push(format!("{account} was told of event {number} before it was recorded"));
            }
        }
    }

    /// An object came to be. No path is ever used twice, also where nothing lies any more.
    pub(super) fn put(&self, path: &str) {
        let mut deeds = self.deeds();
        if !deeds.written.insert(path.to_owned()) {
            deeds.wrong.push(format!("{path} was written over"));
        }
        deeds.unsettled.insert(path.to_owned());
    }

    /// What lies in these attempts survives a power cut.
    pub(super) fn settle(&self, attempts: &[String]) {
        let settled = |path: &String| {
            let mut attempts = attempts.iter();
            attempts.any(|attempt| {
                path.strip_prefix(attempt.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        self.deeds().unsettled.retain(|path| !settled(path));
    }

    /// Takes what a power cut takes.
    pub(super) fn take_unsettled(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.deeds().unsettled)
    }

    /// INV-5: fences that committed on an account never went back: whoever lost its lease commits nothing more. Nobody was
    /// told of what was not recorded, and no object was written over.
    pub(super) fn check(&self) {
        let deeds = self.deeds();
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (account, fence) in &deeds.commits {
            let before = last.insert(account, *fence).unwrap_or(*fence);
            assert!(
                before <= *fence,
                "INV-5: {account} was committed to under fence {fence} after fence {before}"
            );
        }
        assert!(deeds.wrong.is_empty(), "out of order: {}", deeds.wrong.join("; "));
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}
