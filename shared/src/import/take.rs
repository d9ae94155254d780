//! What comes back from the tasks of a run, and what it changes.

use std::{collections::HashMap, sync::Arc};

use tracing::debug;

use crate::{
    archive::ArchiveError,
    error::Next,
    graph::GraphErrorKind,
    message::{Debt, Disposition},
    ports::PageMark,
    records::{
        RecordError,
        debts::{Debts, PendingAction},
        messages::Messages,
    },
};

use super::{
    action::Acted,
    commit::{CommitError, Committer},
    decide::Candidate,
    drive::{Done, Drive, LEFTOVERS, judge},
    fetch::Fetched,
    pages::{Page, PageError, Reader},
    report::Problem,
    run::Stop,
    work::{ActionResult, Group},
};

/// So many messages in a row that could not be had are the service's trouble, not theirs.
const FAILURES_IN_A_ROW: u32 = 8;
/// So many messages in a row that were refused, while pages are read, mean that a right is missing: `Mail.ReadBasic` reads
/// pages but no mail. One alone is that message's trouble and holds no mailbox.
const FORBIDDEN_IN_A_ROW: u32 = 3;

impl Drive<'_> {
    pub(super) fn take(&mut self, done: Done) {
        match done {
            Done::Tick => self.tick(),
            Done::Page(at, reader, page) => self.take_page(at, reader, page),
            Done::Looked(candidate, seen) => {
                self.fetching -= 1;
                match seen {
                    Ok(seen) => {
                        let looked = judge(&self.scene).looked(*candidate, seen, self.scene.start, &self.folders);
                        match looked {
                            Ok(candidate) => self.work.admitted.push_front(candidate),
                            Err(decision) => self.work.ready.push(*decision),
                        }
                    }
                    Err(error) if error.stops_the_run() => self.stop(Stop::graph(&error, self.now())),
                    Err(error) => self.take_fetched(*candidate, Ok(Fetched::Failed(error))),
                }
            }
            Done::Fetched(candidate, fetched) => {
                self.fetching -= 1;
                self.take_fetched(*candidate, fetched);
            }
            Done::Committed(committer, result, group) => self.take_committed(committer, result, *group),
            Done::Sent(sent) => {
                self.sending = false;
                match sent {
                    Ok(sent) => {
                        self.work.tally.delivered += sent.delivered;
                        self.outbox.done(sent);
                    }
                    Err(error) => self.stop(Stop::record(&error)),
                }
            }
            Done::Destination(wanted, destination) => {
                self.acting -= 1;
                match destination {
                    Ok(destination) => {
                        self.destinations.insert(wanted, Some(Arc::new(destination)));
                    }
                    Err(stop) => self.stop(stop),
                }
            }
            Done::Acted(acted) => {
                self.acting -= 1;
                for (before, acted) in acted {
                    self.take_acted(before, acted);
                }
            }
        }
        self.show_progress();
    }

    fn take_page(&mut self, at: usize, reader: Box<Reader>, page: Result<Page, PageError>) {
        self.reading -= 1;
        match page {
            Ok(mut page) => {
                self.end.report.problems.append(&mut page.problems);
                let judge = judge(&self.scene);
                let (id, name) = self.folders[at].clone();
                self.work.take_page(at, page, &reader.at, (&id, &name), &judge);
            }
            Err(PageError::Graph(error)) => self.stop(Stop::graph(&error, self.now())),
            Err(PageError::Record(error)) => self.stop(Stop::record(&error)),
        }
        self.readers[at] = Some(reader);
    }

    fn take_fetched(&mut self, candidate: Candidate, fetched: Result<Fetched, ArchiveError>) {
        let fetched = match fetched {
            Ok(fetched) => fetched,
            // Bytes that cannot be kept are nobody's fault but the archive's: nothing is recorded of them.
            Err(error) => return self.stop(Stop::plain(Next::Operator, error.to_string(), false)),
        };
        let service = matches!(&fetched, Fetched::Failed(error) if matches!(error.kind, GraphErrorKind::Unavailable));
        self.failures = if service { self.failures + 1 } else { 0 };
        if let Fetched::Failed(error) = &fetched
            && service
            && self.failures >= FAILURES_IN_A_ROW
        {
            return self.stop(Stop::graph(error, self.now()));
        }
        match &fetched {
            Fetched::Archived(_) => self.forbidden = 0,
            Fetched::Failed(error) if matches!(error.kind, GraphErrorKind::Forbidden) => {
                self.forbidden += 1;
                if self.forbidden >= FORBIDDEN_IN_A_ROW {
                    return self.stop(Stop::graph(error, self.now()));
                }
            }
            _ => {}
        }
        if let Fetched::Failed(error) = &fetched {
            debug!(message = %candidate.key, error = %error, request_id = error.request_id, "not fetched");
        }
        let too_large = matches!(fetched, Fetched::TooLarge);
        match judge(&self.scene).fetched(candidate, fetched) {
            Ok(decision) => {
                if too_large {
                    self.notice(decision.message.reason.clone().unwrap_or_default());
                }
                self.work.ready.push(decision);
            }
            Err(error) => self.stop(Stop::graph(&error, self.now())),
        }
    }

    fn take_committed(&mut self, committer: Box<Committer>, result: Result<(), CommitError>, group: Group) {
        self.end.committer = Some(*committer);
        match result {
            Ok(()) => {
                self.next_sequence = group.next_sequence;
                self.sent_saved = group.sent;
                let (events, _) = self.work.committed(group);
                for (sequence, event) in events {
                    self.outbox.add(sequence, event);
                }
                self.outbox.recorded = self.outbox.recorded.max(self.next_sequence - 1);
            }
            Err(CommitError::OnRecord(key)) => {
                if !self.work.put_back(group, self.scene.row.account.id.as_str(), &key) {
                    self.stop(Stop::commit(&CommitError::OnRecord(key)));
                }
            }
            Err(error) => {
                self.work.forget(&group);
                self.stop(Stop::commit(&error));
            }
        }
    }

    /// Something an admin should read, once, in the report; not without end.
    fn notice(&mut self, what: String) {
        let problems = &mut self.end.report.problems;
        if problems.len() < 20 && !problems.iter().any(|problem| problem.what == what) {
            problems.push(Problem {
                folder: None,
                what,
                request_id: None,
            });
        }
    }

    fn take_acted(&mut self, action: PendingAction, acted: Acted) {
        match acted {
            Acted::Stop(error) => self.stop(Stop::graph(&error, self.now())),
            acted => {
                if let Acted::Again(again) | Acted::Failed(again) = &acted
                    && let Some(what) = &again.problem
                {
                    self.notice(what.clone());
                }
                self.work.action_results.push(ActionResult { action, acted });
            }
        }
    }

    /// What earlier runs left: debts that are due, actions that are due.
    pub(super) async fn take_leftovers(&mut self) -> Result<(), RecordError> {
        let (owed, actions) = (self.scene.row.owed > 0, self.scene.row.actions > 0);
        if owed {
            self.take_debts().await?;
        }
        if actions {
            self.take_actions().await?;
        }
        Ok(())
    }

    async fn take_debts(&mut self) -> Result<(), RecordError> {
        let now = self.now();
        let scene = Arc::clone(&self.scene);
        let debts = Debts::new(Arc::clone(&scene.ports.store));
        let messages = Messages::new(Arc::clone(&scene.ports.store));
        let mut taken = 0;
        let mut after: Option<PageMark> = None;
        loop {
            let page = debts.page(scene.row.account.id.as_str(), 100, after).await?;
            let is_due = |debt: &Debt| debt.next_try.is_some_and(|at| at <= now);
            let due: Vec<Debt> = page.records.into_iter().filter(is_due).collect();
            let keys: Vec<_> = due.iter().map(|debt| debt.key.clone()).collect();
            let records = messages.known(&scene.mailbox, &keys).await?;
            let mut records: HashMap<_, _> = records
                .into_iter()
                .map(|message| (message.key.clone(), message))
                .collect();
            taken += due.len();
            for debt in due {
                let record = records.remove(&debt.key);
                let settled = record
                    .as_ref()
                    .is_some_and(|record| !matches!(record.disposition, Disposition::Owed | Disposition::Quarantined));
                if settled {
                    // Another account took it over while this one was removed.
                    self.work.settled_debts.push(debt.key);
                    continue;
                }
                self.work.wait_debt(Candidate::of_debt(debt, record));
            }
            match page.next {
                Some(mark) if taken < LEFTOVERS => after = Some(mark),
                more => {
                    self.end.report.more |= more.is_some();
                    return Ok(());
                }
            }
        }
    }

    async fn take_actions(&mut self) -> Result<(), RecordError> {
        let now = self.now();
        let debts = Debts::new(Arc::clone(&self.scene.ports.store));
        let mut after: Option<PageMark> = None;
        loop {
            let page = debts.actions(self.scene.row.account.id.as_str(), 100, after).await?;
            let due = page.records.into_iter().filter(|action| action.next_try <= now);
            self.work.action_queue.extend(due.map(|action| (action, false)));
            match page.next {
                Some(mark) if self.work.action_queue.len() < LEFTOVERS => after = Some(mark),
                more => {
                    self.end.report.more |= more.is_some();
                    return Ok(());
                }
            }
        }
    }
}
