//! The loop of a run: reads pages ahead, fetches, commits, sends events, acts. One task; nothing is spawned.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tracing::warn;

use crate::{
    archive::ArchiveError,
    error::AccountState,
    graph::{GraphError, IN_FLIGHT},
    message::Envelope,
    records::{RecordError, debts::PendingAction, json},
    time::between,
};

use super::{
    action::{Acted, Destination},
    commit::{CommitError, Committer},
    decide::{Candidate, Judge},
    end::End,
    fetch::{self, COUNTERS, Fetched, Target},
    folder::FolderProgress,
    lease::{LEASE_FOR, RENEW_AFTER},
    outbox::{self, Outbox, Sent},
    pages::{Context, Page, PageError, Reader},
    report::{Problem, Progress},
    run::{RunOptions, Scene, Stop},
    work::{Group, Work},
};

/// Pages are read ahead while fewer messages than this wait.
const READ_AHEAD: usize = 200;
/// Messages in the hands of a run: while the bytes of some become durable, their slots serve the next. How many requests
/// are in flight is the governor's to say.
const FETCHING: usize = 2 * IN_FLIGHT;
/// Debts and actions of earlier runs taken up by one run.
pub(super) const LEFTOVERS: usize = 500;

pub(super) enum Done {
    Page(usize, Box<Reader>, Result<Page, PageError>),
    Looked(Box<Candidate>, Result<Option<Envelope>, GraphError>),
    Fetched(Box<Candidate>, Result<Fetched, ArchiveError>),
    Committed(Box<Committer>, Result<(), CommitError>, Box<Group>),
    Sent(Result<Sent, RecordError>),
    Destination(String, Result<Destination, Stop>),
    Acted(Vec<(PendingAction, Acted)>),
    Tick,
}

type Task = BoxFuture<'static, Done>;

/// A run at work.
pub(super) struct Drive<'e> {
    pub(super) scene: Arc<Scene>,
    pub(super) options: RunOptions,
    pub(super) end: &'e mut End,
    pub(super) work: Work,
    pub(super) outbox: Outbox,
    pub(super) next_sequence: u64,
    pub(super) sent_saved: u64,
    pub(super) keys: Vec<String>,
    /// Folder ids and names, to tell where a mail is.
    pub(super) folders: Vec<(String, String)>,
    pub(super) readers: Vec<Option<Box<Reader>>>,
    pub(super) destinations: HashMap<String, Option<Arc<Destination>>>,
    pub(super) tasks: FuturesUnordered<Task>,
    pub(super) reading: usize,
    pub(super) fetching: usize,
    pub(super) acting: usize,
    pub(super) sending: bool,
    pub(super) counter: u64,
    pub(super) failures: u32,
    pub(super) forbidden: u32,
    pub(super) actions_begun: u64,
}

impl<'e> Drive<'e> {
    pub(super) fn new(
        scene: Arc<Scene>,
        folders: BTreeMap<String, FolderProgress>,
        options: RunOptions,
        end: &'e mut End,
    ) -> Self {
        let row = &scene.row;
        let mut work = Work::new(folders.values(), row.in_flight.clone());
        // What was learnt while opening goes with the first commit.
        work.set = std::mem::take(&mut end.batch.set);
        Self {
            outbox: Outbox::new(row.sent_sequence, row.next_sequence - 1),
            next_sequence: row.next_sequence,
            sent_saved: row.sent_sequence,
            keys: folders.keys().cloned().collect(),
            folders: folders
                .values()
                .map(|folder| (folder.id.clone(), folder.name.clone()))
                .collect(),
            readers: folders
                .into_iter()
                .map(|(key, at)| Some(Box::new(Reader::new(key, at))))
                .collect(),
            destinations: HashMap::new(),
            tasks: FuturesUnordered::new(),
            reading: 0,
            fetching: 0,
            acting: 0,
            sending: false,
            counter: 0,
            failures: 0,
            forbidden: 0,
            actions_begun: 0,
            work,
            scene,
            options,
            end,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.scene.ports.clock.now()
    }

    /// Until everything is done, or the run must stop.
    pub(super) async fn go(mut self) {
        self.tick();
        if let Err(error) = self.take_leftovers().await {
            self.stop(Stop::record(&error));
        }
        loop {
            self.mind_the_deadline();
            self.begin();
            let silent = self.end.stop.as_ref().is_some_and(|stop| stop.silent);
            let idle = self.reading + self.fetching + self.acting == 0 && !self.sending && self.end.committer.is_some();
            if silent || idle {
                break;
            }
            let Some(done) = self.tasks.next().await else { break };
            self.take(done);
        }
        self.finish();
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        // The first reason counts; a silent one overrides, because then nothing may be written.
        if self
            .end
            .stop
            .as_ref()
            .is_none_or(|before| stop.silent && !before.silent)
        {
            if let Some(problem) = &stop.problem {
                warn!(next = ?stop.next, problem = problem.what, request_id = problem.request_id, "the run stops");
            }
            self.end.stop = Some(stop);
        }
    }

    fn stopping(&self) -> bool {
        self.end.stop.is_some()
    }

    fn mind_the_deadline(&mut self) {
        if !self.stopping() && self.options.deadline.is_some_and(|deadline| self.now() >= deadline) {
            self.stop(Stop::deadline());
        }
    }

    /// Starts whatever can be started now.
    fn begin(&mut self) {
        if !self.stopping() {
            self.begin_reading();
            self.begin_fetching();
            self.begin_acting();
        }
        self.begin_sending();
        self.begin_committing();
    }

    fn begin_reading(&mut self) {
        // Idle folders are polled side by side; while mail waits, one page is read ahead.
        let waiting = self.work.queue.len() + self.work.suspects.len();
        let most = if waiting == 0 { IN_FLIGHT } else { 1 };
        while waiting < READ_AHEAD && self.reading < most && self.begin_page() {}
    }

    /// Starts reading the next page of some folder; `false` if none is left to read.
    fn begin_page(&mut self) -> bool {
        let Some(at) = self
            .readers
            .iter()
            .position(|reader| reader.as_ref().is_some_and(|reader| !reader.done))
        else {
            return false;
        };
        let Some(mut reader) = self.readers[at].take() else {
            return false;
        };
        let scene = Arc::clone(&self.scene);
        self.reading += 1;
        self.tasks.push(
            async move {
                let context = Context {
                    client: &scene.client,
                    store: Arc::clone(&scene.ports.store),
                    mailbox: &scene.mailbox,
                    account: scene.row.account.id.as_str(),
                    start: scene.start,
                    start_epoch: scene.row.start_epoch,
                    now: scene.ports.clock.now(),
                };
                let page = reader.read(&context).await;
                Done::Page(at, reader, page)
            }
            .boxed(),
        );
        true
    }

    fn begin_fetching(&mut self) {
        while self.fetching < FETCHING {
            let Some(candidate) = self.work.admitted.pop_front() else {
                return;
            };
            self.fetching += 1;
            let scene = Arc::clone(&self.scene);
            if candidate.left {
                self.tasks.push(
                    async move {
                        let seen = scene.client.look(&candidate.id).await;
                        Done::Looked(Box::new(candidate), seen)
                    }
                    .boxed(),
                );
                continue;
            }
            let counter = self.counter;
            self.counter += COUNTERS;
            self.tasks.push(
                async move {
                    let target = Target {
                        account: &scene.row.account.id,
                        key: &candidate.key,
                        id: &candidate.id,
                        fence: scene.fence,
                        counter,
                        raw_only: candidate.raw_only(),
                        most: scene.row.account.max_message,
                    };
                    let fetched = fetch::fetch(&scene.client, &scene.archive, &*scene.ports.clock, &target).await;
                    Done::Fetched(Box::new(candidate), fetched)
                }
                .boxed(),
            );
        }
    }

    fn begin_sending(&mut self) {
        let silent = self.end.stop.as_ref().is_some_and(|stop| stop.silent);
        // A long outbox does not carry a run past its deadline; what is left is sent by the next.
        let late = self.options.deadline.is_some_and(|deadline| self.now() >= deadline);
        if self.sending || silent || late || !self.outbox.owes() {
            return;
        }
        self.sending = true;
        let (first, events) = self.outbox.next();
        let (ports, account) = (self.scene.ports.clone(), self.scene.row.account.id.to_string());
        self.tasks
            .push(outbox::send(ports, account, first, events).map(Done::Sent).boxed());
    }

    fn begin_committing(&mut self) {
        let silent = self.end.stop.as_ref().is_some_and(|stop| stop.silent);
        let Some(committer) = &self.end.committer else { return };
        if silent {
            return;
        }
        let admit = !self.stopping() && self.work.may_admit(self.fetching);
        let needed = admit && self.work.needs_admission(self.fetching);
        let quiet = self.fetching == 0 && self.work.admitted.is_empty() && self.acting == 0 && self.reading == 0;
        let stale = between(self.now(), committer.lease.until) + RENEW_AFTER < LEASE_FOR;
        // A page of known messages alone, or what was learnt while opening, waits for the end of the run: an idle run
        // writes once.
        let worth = if self.stopping() || self.everything_read() {
            !self.work.ready.is_empty() || !self.work.action_results.is_empty()
        } else {
            self.work.has_something_to_write()
        };
        if !(self.work.is_full() || needed || stale || self.slots_want_actions() || (quiet && worth)) {
            return;
        }
        let Some(mut committer) = self.end.committer.take() else {
            return;
        };
        let scene = Arc::clone(&self.scene);
        let judge = judge(&scene);
        let (mut batch, group) = self.work.assemble(
            &judge,
            scene.row.start_epoch,
            self.next_sequence,
            self.outbox.sent,
            admit,
            &self.keys,
        );
        if self.outbox.sent != self.sent_saved {
            batch.set.insert("sent_sequence".into(), self.outbox.sent.into());
        }
        self.tasks.push(
            async move {
                let spent = scene.client.governor().spent();
                let result = committer.commit(batch, &spent, false).await;
                Done::Committed(Box::new(committer), result, Box::new(group))
            }
            .boxed(),
        );
    }

    fn everything_read(&self) -> bool {
        self.readers
            .iter()
            .all(|reader| reader.as_ref().is_some_and(|reader| reader.done))
    }

    pub(super) fn tick(&mut self) {
        let until_deadline = self
            .options
            .deadline
            .map_or(RENEW_AFTER, |deadline| between(self.now(), deadline));
        let wait = RENEW_AFTER.min(until_deadline).max(Duration::from_millis(10));
        let clock = Arc::clone(&self.scene.ports.clock);
        self.tasks.push(
            async move {
                clock.sleep(wait).await;
                Done::Tick
            }
            .boxed(),
        );
    }

    pub(super) fn show_progress(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let progress: &Progress = &self.options.progress;
        progress.imported.store(self.work.tally.imported, Relaxed);
        progress.known.store(self.work.tally.known, Relaxed);
        progress
            .queued
            .store((self.work.queue.len() + self.work.admitted.len()) as u64, Relaxed);
        progress
            .bytes
            .store(self.scene.client.counts().bytes.load(Relaxed), Relaxed);
    }

    /// Hands over to the end of the run.
    fn finish(mut self) {
        let stopped = self.stopping();
        let failed = self
            .readers
            .iter()
            .flatten()
            .any(|reader| reader.at.problem.is_some() && reader.at.listing.is_none());
        if failed && !stopped {
            self.end.report.state = AccountState::NeedsAdmin;
        }
        self.end.complete = !stopped && !failed && self.everything_read();
        self.work.settle_marker(self.end.complete);
        self.end.report.more |= !self.work.action_queue.is_empty() && !stopped;
        if let Some(problem) = &self.outbox.problem {
            self.end.report.problems.push(Problem {
                folder: None,
                what: format!("events wait to be delivered: {problem}"),
                request_id: None,
            });
        }
        let scene = Arc::clone(&self.scene);
        let judge = judge(&scene);
        if self.end.stop.as_ref().is_some_and(|stop| stop.silent) {
            // Nothing may be written any more, so nothing is counted either.
            self.end.undelivered = self.outbox.recorded.saturating_sub(self.outbox.sent);
            self.end.tally = std::mem::take(&mut self.work.tally);
            return;
        }
        let (mut batch, _) = self.work.assemble(
            &judge,
            scene.row.start_epoch,
            self.next_sequence,
            self.outbox.sent,
            false,
            &self.keys,
        );
        if self.outbox.sent != self.sent_saved {
            batch.set.insert("sent_sequence".into(), json(&self.outbox.sent));
        }
        self.end.undelivered = self.outbox.recorded.saturating_sub(self.outbox.sent);
        self.end.batch = batch;
        self.end.tally = std::mem::take(&mut self.work.tally);
    }
}

pub(super) fn judge(scene: &Scene) -> Judge<'_> {
    Judge {
        account: &scene.row.account,
        mailbox: &scene.mailbox,
        run: &scene.run,
        now: scene.ports.clock.now(),
    }
}
