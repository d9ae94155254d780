//! The state of a run: what waits, what is in flight, what is ready, and which pages each message settles.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde_json::Value;

use crate::{
    message::{ActionRecord, Disposition, Event, MessageKey},
    ports::{Key, Write},
    records::{
        accounts::FOLDER_PREFIX,
        attributes,
        debts::{Debts, PendingAction},
        json,
        messages::Messages,
    },
};

use super::{
    action::Acted,
    commit::{Batch, GROUP, GROUP_BYTES, GROUP_WRITES, weight},
    decide::{Candidate, Decision, Judge},
    folder::FolderProgress,
    pages::{Page, before_partition},
    rules,
};

/// Messages admitted at most: two commit groups, so that one is fetched while the other is written.
const ADMITTED: usize = 2 * GROUP;

/// A page whose messages are not all decided yet.
#[derive(Debug)]
struct OpenPage {
    number: u64,
    left: usize,
    after: FolderProgress,
    before: Vec<u64>,
}

/// What came of an action, to be written.
#[derive(Debug)]
pub(super) struct ActionResult {
    pub(super) action: PendingAction,
    pub(super) acted: Acted,
}

/// A commit on its way.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) decisions: Vec<Decision>,
    pub(super) admitted: Vec<Candidate>,
    pub(super) events: Vec<(u64, Event)>,
    pub(super) next_sequence: u64,
    pub(super) sent: u64,
    marker: BTreeMap<String, u32>,
    /// Pages moved past, by folder; and mail from before the start and rows of fingerprints as they stand after it.
    pages: Vec<(usize, (u64, u32))>,
}

/// Counters of a report.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) imported: u64,
    pub(super) known: u64,
    pub(super) filtered: u64,
    pub(super) before_start: u64,
    pub(super) quarantined: u64,
    pub(super) gone: u64,
    pub(super) pages: u64,
    pub(super) acted: u64,
    pub(super) delivered: u64,
    pub(super) owed_change: i64,
    pub(super) quarantined_change: i64,
    pub(super) actions_change: i64,
}

/// The work of a run.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) queue: VecDeque<Candidate>,
    /// Messages that were in flight when a run died: one at a time.
    pub(super) suspects: VecDeque<Candidate>,
    /// Admitted: the strike marker with their keys is durable.
    pub(super) admitted: VecDeque<Candidate>,
    pub(super) ready: Vec<Decision>,
    pub(super) action_queue: VecDeque<(PendingAction, bool)>,
    pub(super) action_results: Vec<ActionResult>,
    pub(super) tally: Tally,
    /// The strike marker as it is durable.
    marker: BTreeMap<String, u32>,
    /// What a dead run left in it.
    suspected: BTreeMap<String, u32>,
    pages: Vec<VecDeque<OpenPage>>,
    /// Mail from before the start and rows of fingerprints, by folder, as they are durable.
    before: Vec<(u64, u32)>,
    page_number: u64,
    /// Which pages wait for which message.
    settles: HashMap<MessageKey, Vec<(usize, u64)>>,
    /// Messages of this run that are not committed yet.
    open: HashSet<MessageKey>,
    /// Attributes to go with the next commit.
    pub(super) set: BTreeMap<String, Value>,
}

impl Work {
    pub(super) fn new<'a>(
        folders: impl Iterator<Item = &'a FolderProgress>,
        left_in_flight: BTreeMap<String, u32>,
    ) -> Self {
        let before: Vec<_> = folders.map(|folder| (folder.before, folder.fingerprints)).collect();
        Self {
            marker: left_in_flight.clone(),
            suspected: left_in_flight,
            pages: before.iter().map(|_| VecDeque::new()).collect(),
            before,
            ..Self::default()
        }
    }

    /// Takes in a page of folder `at`, whose reading stands at `after` behind it.
    pub(super) fn take_page(
        &mut self,
        at: usize,
        page: Page,
        after: &FolderProgress,
        folder: (&str, &str),
        judge: &Judge<'_>,
    ) {
        self.page_number += 1;
        self.tally.known += page.known;
        self.tally.before_start += page.before.len() as u64;
        self.tally.pages += u64::from(page.read);
        let mut left = 0;
        for found in page.found {
            left += 1;
            self.settles
                .entry(found.key.clone())
                .or_default()
                .push((at, self.page_number));
            // The same message again, in this folder or another of ours: one message, which settles both pages.
            if !self.open.insert(found.key.clone()) {
                continue;
            }
            let (id, name) = folder;
            let candidate = Candidate {
                strikes: 1 + self.suspected.get(&found.key.0).copied().unwrap_or_default(),
                seen_in: (!found.left).then(|| id.to_owned()),
                key: found.key,
                id: found.id,
                envelope: found.envelope,
                folder: name.to_owned(),
                record: found.record,
                debt: None,
                left: found.left,
                first_walk: found.first_walk,
            };
            match rules::keeps_out(&candidate.envelope) {
                Some(reason) if !candidate.left => self.ready.push(judge.filtered(candidate, reason)),
                _ => self.wait(candidate),
            }
        }
        self.pages[at].push_back(OpenPage {
            number: self.page_number,
            left,
            after: after.clone(),
            before: page.before,
        });
    }

    /// A candidate waits for its turn.
    pub(super) fn wait(&mut self, candidate: Candidate) {
        if candidate.strikes > 1 {
            self.suspects.push_back(candidate)
        } else {
            self.queue.push_back(candidate)
        }
    }

    /// A debt waits for its turn, unless the message is in our hands already.
    pub(super) fn wait_debt(&mut self, mut candidate: Candidate) {
        if self.open.insert(candidate.key.clone()) {
            candidate.strikes = 1 + self.suspected.get(&candidate.key.0).copied().unwrap_or_default();
            self.wait(candidate);
        }
    }

    /// Whether more messages could be admitted now.
    pub(super) fn wants_admission(&self, in_flight: usize) -> bool {
        if !self.admitted.is_empty() {
            return false;
        }
        if self.suspects.is_empty() {
            !self.queue.is_empty() && self.open_marker() < ADMITTED
        } else {
            in_flight == 0
        }
    }

    fn open_marker(&self) -> usize {
        self.marker
            .keys()
            .filter(|key| !self.suspected.contains_key(*key))
            .count()
    }

    /// Whether a page could be moved past, although nothing else is to be written.
    fn has_settled_page(&self) -> bool {
        self.pages
            .iter()
            .any(|pages| pages.front().is_some_and(|page| page.left == 0))
    }

    /// Whether anything at all is to be written.
    pub(super) fn has_something_to_write(&self) -> bool {
        !self.ready.is_empty() || !self.action_results.is_empty() || self.has_settled_page() || !self.set.is_empty()
    }

    /// Whether a full group is ready.
    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= GROUP || self.action_results.len() >= GROUP
    }

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
        self.take_actions(judge, &mut batch);
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
            count(&decision, &mut batch, &mut self.tally);
            group.decisions.push(decision);
        }
        if group.next_sequence != next_sequence {
            batch.set.insert("next_sequence".into(), group.next_sequence.into());
        }
        self.move_past_pages(judge, start_epoch, keys, &mut batch, &mut group);
        self.mark(admit, &mut batch, &mut group);
        batch.set.append(&mut self.set);
        (batch, group)
    }

    fn take_actions(&mut self, judge: &Judge<'_>, batch: &mut Batch) {
        let account = judge.account.id.as_str();
        let results = self
            .action_results
            .drain(..self.action_results.len().min(GROUP))
            .collect::<Vec<_>>();
        for ActionResult { action, acted } in results {
            let (state, action) = match acted {
                Acted::Done => ("done", action),
                Acted::Gone => ("gone", action),
                Acted::Failed(action) => ("failed", action),
                Acted::Again(action) => {
                    batch.writes.push(Debts::write_action(account, &action));
                    continue;
                }
                Acted::Stop(_) => continue,
            };
            self.tally.acted += u64::from(state == "done");
            self.tally.actions_change -= 1;
            batch.count("actions", -1);
            let note = ActionRecord {
                wanted: action.wanted,
                state: state.into(),
                at: judge.now,
                attempts: action.attempts + 1,
                note: action.problem,
            };
            batch.writes.push(Debts::clear_action(account, &action.key));
            batch
                .writes
                .push(Messages::note_action(judge.mailbox, &action.key, &note));
        }
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

    /// The commit went through.
    pub(super) fn committed(&mut self, group: Group) -> (Vec<(u64, Event)>, Vec<PendingAction>) {
        for (at, (moved, before)) in group.pages.iter().enumerate() {
            self.pages[at].drain(..*moved);
            self.before[at] = *before;
        }
        let mut actions = Vec::new();
        for decision in group.decisions {
            let key = &decision.message.key;
            self.open.remove(key);
            self.suspected.remove(&key.0);
            for (at, number) in self.settles.remove(key).unwrap_or_default() {
                if let Some(page) = self.pages[at].iter_mut().find(|page| page.number == number) {
                    page.left -= 1;
                }
            }
            if let Some(action) = decision.action {
                self.action_queue.push_back((action.clone(), decision.seen_here));
                actions.push(action);
            }
        }
        self.marker = group.marker;
        self.admitted.extend(group.admitted);
        (group.events, actions)
    }

    /// The commit did not go through because `on_record` is there already: everything else waits for the next one.
    pub(super) fn put_back(&mut self, group: Group, on_record: &Key) -> bool {
        for candidate in group.admitted.into_iter().rev() {
            if candidate.strikes > 1 {
                self.suspects.push_front(candidate)
            } else {
                self.queue.push_front(candidate)
            }
        }
        let mut found = false;
        for decision in group.decisions {
            uncount(&decision, &mut self.tally);
            if decision.message.key.0 == on_record.sort && !found {
                found = true;
                self.tally.known += 1;
                let key = decision.message.key;
                self.open.remove(&key);
                for (at, number) in self.settles.remove(&key).unwrap_or_default() {
                    if let Some(page) = self.pages[at].iter_mut().find(|page| page.number == number) {
                        page.left -= 1;
                    }
                }
            } else {
                self.ready.push(decision);
            }
        }
        found
    }

    /// At the end: what the marker still needs to say. Nothing, if every folder was read to its end.
    pub(super) fn clear_marker(&mut self) {
        if !self.marker.is_empty() {
            self.marker.clear();
            self.set.insert("in_flight".into(), Value::Null);
        }
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
}

fn uncount(decision: &Decision, tally: &mut Tally) {
    let (owed, quarantined, actions) = changes(decision);
    tally.owed_change -= owed;
    tally.quarantined_change -= quarantined;
    tally.actions_change -= actions;
    if let Some(counter) = counter(decision, tally) {
        *counter -= 1;
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
