//! Putting together one commit: decisions, results of actions, progress past settled pages, the strike marker.

use std::collections::HashMap;

use crate::{
    message::{ActionRecord, Disposition},
    ports::{Condition, Key, Write},
    records::{accounts::FOLDER_PREFIX, attributes, debts::Debts, json, messages::Messages},
};

use super::{
    action::Acted,
    commit::{Batch, GROUP, GROUP_BYTES, GROUP_WRITES, weight},
    decide::{Decision, Judge},
    folder::FolderProgress,
    pages::before_partition,
    work::{ADMITTED, ActionResult, Group, Tally, Work},
};

impl Work {
    /// Puts together the next commit. `admit`: more messages may be admitted with it.
    pub(super) fn assemble(
        &mut self,
        judge: &Judge<'_>,
        start_epoch: i64,
        next_sequence: u64,
        sent: u64,
        admit: bool,
        keys: &[String],
    ) -> (Batch, Group) {
        let mut batch = Batch::default();
        let mut group = Group {
            next_sequence,
            sent,
            ..Group::default()
        };
        let mut bytes = 0;
        let settled = self.settled_debts.len().min(GROUP);
        for key in self.settled_debts.drain(..settled) {
            let clear = Debts::clear(judge.account.id.as_str(), &key);
            batch.writes.push(clear.when(Condition::Exists));
            batch.count("owed", -1);
            self.tally.owed_change -= 1;
            group.settled.push(key);
        }
        self.take_actions(judge, &mut batch, &mut group);
        while let Some(decision) = self.ready.first_mut() {
            let (writes, event) = decision.writes(judge, group.next_sequence);
            let size: usize = writes.iter().map(weight).sum();
            let too_many = batch.writes.len() + writes.len() > GROUP_WRITES - 8 || group.decisions.len() >= GROUP;
            if too_many || (bytes + size > GROUP_BYTES && !group.decisions.is_empty()) {
                break;
            }
            bytes += size;
            batch.writes.extend(writes);
            if let Some(event) = event {
                group.events.push((group.next_sequence, event));
                group.next_sequence += 1;
            }
            let decision = self.ready.remove(0);
            batch
                .attempts
                .extend(decision.message.archived.as_ref().map(|archived| archived.path.clone()));
            count(&decision, &mut batch, &mut self.tally);
            group.decisions.push(decision);
        }
        if group.next_sequence != next_sequence {
            batch.set.insert("next_sequence".into(), group.next_sequence.into());
        }
        self.move_past_pages(judge, start_epoch, keys, &mut batch, &mut group);
        self.mark(admit, &mut batch, &mut group);
        group.set = std::mem::take(&mut self.set);
        batch.set.extend(group.set.clone());
        (batch, group)
    }

    fn take_actions(&mut self, judge: &Judge<'_>, batch: &mut Batch, group: &mut Group) {
        let account = judge.account.id.as_str();
        let results = self
            .action_results
            .drain(..self.action_results.len().min(GROUP))
            .collect::<Vec<_>>();
        for ActionResult { action, acted } in &results {
            let (state, action) = match acted {
                Acted::Done => ("done", action),
                Acted::Gone => ("gone", action),
                Acted::Failed(action) => ("failed", action),
                Acted::Again(action) => {
                    let write = Debts::write_action(account, action);
                    batch.writes.push(write.when(Condition::Exists));
                    continue;
                }
                Acted::Stop(_) => continue,
            };
            self.tally.acted += u64::from(state == "done");
            self.tally.actions_change -= 1;
            batch.count("actions", -1);
            let note = ActionRecord {
                wanted: action.wanted.clone(),
                state: state.into(),
                at: judge.now,
                attempts: action.attempts + 1,
                note: action.problem.clone(),
            };
            batch.writes.push(Debts::clear_action(account, &action.key));
            batch
                .writes
                .push(Messages::note_action(judge.mailbox, &action.key, &note));
        }
        group.results = results;
    }

    /// Progress moves past every page all of whose messages are decided, in order.
    fn move_past_pages(
        &mut self,
        judge: &Judge<'_>,
        start_epoch: i64,
        keys: &[String],
        batch: &mut Batch,
        group: &mut Group,
    ) {
        let mut settled: HashMap<(usize, u64), usize> = HashMap::new();
        for decision in &group.decisions {
            for page in self.settles.get(&decision.message.key).into_iter().flatten() {
                *settled.entry(*page).or_default() += 1;
            }
        }
        for (at, pages) in self.pages.iter().enumerate() {
            let mut past = None;
            let mut moved = 0;
            let (mut before, mut rows) = self.before[at];
            for page in pages {
                let left = page.left - settled.get(&(at, page.number)).copied().unwrap_or_default();
                if left > 0 || batch.writes.len() >= GROUP_WRITES {
                    break;
                }
                if !page.before.is_empty() {
                    batch
                        .writes
                        .push(fingerprints(judge, start_epoch, &keys[at], rows, &page.before));
                    before += page.before.len() as u64;
                    rows += 1;
                }
                past = Some(&page.after);
                moved += 1;
            }
            if let Some(past) = past {
                let past = FolderProgress {
                    before,
                    fingerprints: rows,
                    ..past.clone()
                };
                batch.set.insert(format!("{FOLDER_PREFIX}{}", keys[at]), json(&past));
            }
            group.pages.push((moved, (before, rows)));
        }
    }

    /// The strike marker with this commit: what is still in flight, and what is admitted now.
    fn mark(&mut self, admit: bool, batch: &mut Batch, group: &mut Group) {
        let mut marker = self.marker.clone();
        for decision in &group.decisions {
            marker.remove(&decision.message.key.0);
        }
        if admit {
            if let Some(suspect) = self.suspects.pop_front() {
                marker.insert(suspect.key.0.clone(), suspect.strikes);
                group.admitted.push(suspect);
            } else {
                let mut room =
                    ADMITTED.saturating_sub(marker.keys().filter(|key| !self.suspected.contains_key(*key)).count());
                while room > 0
                    && let Some(candidate) = self.queue.pop_front()
                {
                    marker.insert(candidate.key.0.clone(), candidate.strikes);
                    group.admitted.push(candidate);
                    room -= 1;
                }
            }
        }
        if marker != self.marker {
            batch.set.insert("in_flight".into(), json(&marker));
        }
        group.marker = marker;
    }
}

fn fingerprints(judge: &Judge<'_>, epoch: i64, folder: &str, number: u32, prints: &[u64]) -> Write {
    let prints: Vec<String> = prints.iter().map(|print| format!("{print:016x}")).collect();
    let key = Key::new(
        before_partition(judge.account.id.as_str(), epoch),
        format!("{folder}#{number:08}"),
    );
    Write::put(key, attributes([("prints", json(&prints))]))
}

/// What one decision adds to the account's counters, one per name.
fn changes(decision: &Decision) -> (i64, i64, i64) {
    let (mut owed, mut quarantined) = (0, 0);
    if let Some(was) = &decision.was_debt {
        if was.quarantined { quarantined -= 1 } else { owed -= 1 }
    }
    if let Some(debt) = &decision.debt {
        if debt.quarantined { quarantined += 1 } else { owed += 1 }
    }
    (owed, quarantined, i64::from(decision.action.is_some()))
}

fn count(decision: &Decision, batch: &mut Batch, tally: &mut Tally) {
    let (owed, quarantined, actions) = changes(decision);
    batch.count("owed", owed);
    batch.count("quarantined", quarantined);
    batch.count("actions", actions);
    batch.count(
        "recorded",
        i64::from(decision.message.disposition == Disposition::Imported),
    );
    tally.owed_change += owed;
    tally.quarantined_change += quarantined;
    tally.actions_change += actions;
    if let Some(counter) = counter(decision, tally) {
        *counter += 1;
    }
    if decision.message.disposition == Disposition::Imported {
        let received = decision.message.envelope.received;
        tally.oldest = [tally.oldest, received].into_iter().flatten().min();
    }
}

pub(super) fn uncount(decision: &Decision, tally: &mut Tally) {
    let (owed, quarantined, actions) = changes(decision);
    tally.owed_change -= owed;
    tally.quarantined_change -= quarantined;
    tally.actions_change -= actions;
    if let Some(counter) = counter(decision, tally) {
        *counter -= 1;
    }
}

/// The result of an action was not committed.
pub(super) fn unact(result: &ActionResult, tally: &mut Tally) {
    if !matches!(result.acted, Acted::Again(_) | Acted::Stop(_)) {
        tally.acted -= u64::from(matches!(result.acted, Acted::Done));
        tally.actions_change += 1;
    }
}

fn counter<'a>(decision: &Decision, tally: &'a mut Tally) -> Option<&'a mut u64> {
    match decision.message.disposition {
        Disposition::Imported => Some(&mut tally.imported),
        Disposition::Filtered => Some(&mut tally.filtered),
        Disposition::Quarantined => Some(&mut tally.quarantined),
        Disposition::Gone => Some(&mut tally.gone),
        Disposition::Owed => None,
    }
}
