//! The state of a run: what waits, what is in flight, what is ready, and which pages each message settles.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    message::{Event, MessageKey},
    ports::Key,
    records::debts::{Debts, PendingAction},
};

use super::{
    action::Acted,
    assemble::{unact, uncount},
    commit::GROUP,
    decide::{Candidate, Decision, Judge},
    folder::FolderProgress,
    pages::Page,
    rules,
};

/// Messages admitted at most: two commit groups, so that one is fetched while the other is written.
pub(super) const ADMITTED: usize = 2 * GROUP;

/// A page whose messages are not all decided yet.
#[derive(Debug)]
pub(super) struct OpenPage {
    pub(super) number: u64,
    pub(super) left: usize,
    pub(super) after: FolderProgress,
    pub(super) before: Vec<u64>,
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
    pub(super) results: Vec<ActionResult>,
    /// Debts that were settled already.
    pub(super) settled: Vec<MessageKey>,
    pub(super) set: BTreeMap<String, Value>,
    pub(super) events: Vec<(u64, Event)>,
    pub(super) next_sequence: u64,
    pub(super) sent: u64,
    pub(super) marker: BTreeMap<String, u32>,
    /// Pages moved past, by folder; and mail from before the start and rows of fingerprints as they stand after it.
    pub(super) pages: Vec<(usize, (u64, u32))>,
}

/// Counters of a report.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// When the oldest message that was recorded came in.
    pub(super) oldest: Option<Timestamp>,
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
    /// Debts whose message is settled already: only the debt is to go.
    pub(super) settled_debts: Vec<MessageKey>,
    pub(super) tally: Tally,
    /// The strike marker as it is durable.
    pub(super) marker: BTreeMap<String, u32>,
    /// What a dead run left in it.
    pub(super) suspected: BTreeMap<String, u32>,
    pub(super) pages: Vec<VecDeque<OpenPage>>,
    /// Mail from before the start and rows of fingerprints, by folder, as they are durable.
    pub(super) before: Vec<(u64, u32)>,
    pub(super) page_number: u64,
    /// Which pages wait for which message.
    pub(super) settles: HashMap<MessageKey, Vec<(usize, u64)>>,
    /// Messages of this run that are not committed yet.
    pub(super) open: HashSet<MessageKey>,
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
            self.suspects.push_back(candidate);
        } else {
            self.queue.push_back(candidate);
        }
    }

    /// A debt waits for its turn, unless the message is in our hands already.
    pub(super) fn wait_debt(&mut self, mut candidate: Candidate) {
        if self.open.insert(candidate.key.clone()) {
            // One that was set aside by strikes before is taken alone.
            let struck = u32::from(candidate.debt.as_ref().is_some_and(|debt| debt.struck > 0));
            let strikes = self.suspected.get(&candidate.key.0).copied().unwrap_or_default();
            candidate.strikes = 1 + strikes.max(struck);
            self.wait(candidate);
        }
    }

    /// Whether more messages may be admitted with a commit that is written anyway.
    pub(super) fn may_admit(&self, in_flight: usize) -> bool {
        if self.suspects.is_empty() {
            !self.queue.is_empty()
        } else {
            in_flight == 0 && self.admitted.is_empty()
        }
    }

    /// Whether messages wait and none is admitted, so that a commit is worth its price for the admission alone.
    pub(super) fn needs_admission(&self, in_flight: usize) -> bool {
        let room = !self.suspects.is_empty() || self.open_marker() < ADMITTED;
        self.admitted.is_empty() && room && self.may_admit(in_flight)
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
        self.ready.len() >= GROUP || self.action_results.len() >= GROUP || self.settled_prints() >= 2 * GROUP
    }

    /// Pages that could be moved past and bring a row of fingerprints each: a commit takes only so many rows.
    fn settled_prints(&self) -> usize {
        let settled = |pages: &VecDeque<OpenPage>| {
            let settled = pages.iter().take_while(|page| page.left == 0);
            settled.filter(|page| !page.before.is_empty()).count()
        };
        self.pages.iter().map(settled).sum()
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

    /// The commit did not go through because the message of `on_record` is there already, or its debt or action is gone (both were
    /// read where the past was shown): everything else waits for the next one.
    pub(super) fn put_back(&mut self, group: Group, account: &str, on_record: &Key) -> bool {
        let mut found = false;
        for candidate in group.admitted.into_iter().rev() {
            if candidate.strikes > 1 {
                self.suspects.push_front(candidate);
            } else {
                self.queue.push_front(candidate);
            }
        }
        group.results.iter().for_each(|result| unact(result, &mut self.tally));
        let results = group.results.into_iter();
        let results = results.filter(|result| {
            let gone = Debts::is_action(on_record, account, &result.action.key);
            found |= gone;
            !gone
        });
        self.action_results.splice(0..0, results.collect::<Vec<_>>());
        self.tally.owed_change += i64::try_from(group.settled.len()).unwrap_or_default();
        for key in group.settled {
            if Debts::is_debt(on_record, account, &key) {
                found = true;
            } else {
                self.settled_debts.push(key);
            }
        }
        for (name, value) in group.set {
            self.set.entry(name).or_insert(value);
        }
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

    /// The commit did not go through, and nothing more may be written: its messages do not count.
    pub(super) fn forget(&mut self, group: &Group) {
        for decision in &group.decisions {
            uncount(decision, &mut self.tally);
        }
        group.results.iter().for_each(|result| unact(result, &mut self.tally));
    }

    /// At an orderly end: what the marker still needs to say. A run that could stop was not killed by what it had in
    /// hand, so that gets no strike; what a dead run left stays suspected until it is decided or every folder was read.
    pub(super) fn settle_marker(&mut self, complete: bool) {
        let left = if complete {
            BTreeMap::new()
        } else {
            self.suspected.clone()
        };
        if self.marker != left {
            let said = if left.is_empty() {
                Value::Null
            } else {
                crate::records::json(&left)
            };
            self.set.insert("in_flight".into(), said);
            self.marker = left;
        }
    }
}
