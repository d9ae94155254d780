//! The loop of a run: reads pages ahead, fetches, commits, sends events, acts. One task; nothing is spawned.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tracing::{debug, warn};

use crate::{
    account::AfterImport,
    archive::ArchiveError,
    error::{AccountState, Next},
    graph::{GraphError, IN_FLIGHT},
    message::Envelope,
    ports::PageMark,
    records::{
        RecordError,
        debts::{Debts, PendingAction},
        json,
        messages::Messages,
    },
    time::between,
};

use super::{
    action::{self, ACTIONS_OF_A_RUN, Acted, Destination},
    commit::{CommitError, Committer},
    decide::{Candidate, Judge},
    fetch::{self, COUNTERS, Fetched, Target},
    folder::FolderProgress,
    lease::{LEASE_FOR, RENEW_AFTER},
    open,
    outbox::{self, Outbox, Sent},
    pages::{Context, Page, PageError, Reader},
    report::{Problem, Progress},
    run::{End, RunOptions, Scene, Stop},
    work::{ActionResult, Group, Work},
};

/// Pages are read ahead while fewer messages than this wait.
const READ_AHEAD: usize = 200;
/// Debts and actions of earlier runs taken up by one run.
const LEFTOVERS: usize = 500;
/// So many messages in a row that could not be had are the service's trouble, not theirs.
const FAILURES_IN_A_ROW: u32 = 8;

enum Done {
    Page(usize, Box<Reader>, Result<Page, PageError>),
    Looked(Box<Candidate>, Result<Option<Envelope>, GraphError>),
    Fetched(Box<Candidate>, Result<Fetched, ArchiveError>),
    Committed(Box<Committer>, Result<(), CommitError>, Box<Group>),
    Sent(Result<Sent, RecordError>),
    Destination(String, Result<Destination, Stop>),
    Acted(Box<PendingAction>, Box<Acted>),
    Tick,
}

type Task = BoxFuture<'static, Done>;

/// A run at work.
pub(super) struct Drive<'e> {
    scene: Arc<Scene>,
    options: RunOptions,
    end: &'e mut End,
    work: Work,
    outbox: Outbox,
    next_sequence: u64,
    sent_saved: u64,
    keys: Vec<String>,
    /// Folder ids and names, to tell where a mail is.
    folders: Vec<(String, String)>,
    readers: Vec<Option<Box<Reader>>>,
    destinations: HashMap<String, Option<Arc<Destination>>>,
    tasks: FuturesUnordered<Task>,
    reading: usize,
    fetching: usize,
    acting: usize,
    sending: bool,
    counter: u64,
    failures: u32,
    actions_begun: u64,
    leftovers: bool,
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
            actions_begun: 0,
            leftovers: row.owed > 0 || row.actions > 0,
            work,
            scene,
            options,
            end,
        }
    }

    fn now(&self) -> Timestamp {
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

    fn stop(&mut self, stop: Stop) {
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
        let waiting = self.work.queue.len() + self.work.suspects.len();
        if self.reading > 0 || waiting >= READ_AHEAD {
            return;
        }
        let Some(at) = self
            .readers
            .iter()
            .position(|reader| reader.as_ref().is_some_and(|reader| !reader.done))
        else {
            return;
        };
        let Some(mut reader) = self.readers[at].take() else {
            return;
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
    }

    fn begin_fetching(&mut self) {
        while self.fetching < IN_FLIGHT {
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
                    };
                    let fetched = fetch::fetch(&scene.client, &scene.archive, &*scene.ports.clock, &target).await;
                    Done::Fetched(Box::new(candidate), fetched)
                }
                .boxed(),
            );
        }
    }

    fn begin_acting(&mut self) {
        while self.acting < IN_FLIGHT && self.actions_begun < ACTIONS_OF_A_RUN {
            let Some((action, _)) = self.work.action_queue.front() else {
                return;
            };
            let destination = match self.destinations.get(&action.wanted) {
                Some(Some(destination)) => Arc::clone(destination),
                Some(None) => return,
                None => return self.begin_destination(action.wanted.clone()),
            };
            let Some((action, seen_here)) = self.work.action_queue.pop_front() else {
                return;
            };
            self.acting += 1;
            self.actions_begun += 1;
            let scene = Arc::clone(&self.scene);
            self.tasks.push(
                async move {
                    let before = action.clone();
                    let acted =
                        action::act(&scene.client, action, &destination, seen_here, scene.ports.clock.now()).await;
                    Done::Acted(Box::new(before), Box::new(acted))
                }
                .boxed(),
            );
        }
    }

    /// Where mail is moved to is looked up once per run.
    fn begin_destination(&mut self, wanted: String) {
        self.destinations.insert(wanted.clone(), None);
        self.acting += 1;
        let scene = Arc::clone(&self.scene);
        self.tasks.push(
            async move {
                let destination = match AfterImport::parse(&wanted) {
                    Ok(AfterImport::Move(folder)) => match open::named(&scene.client, &folder).await {
                        Ok(folder) => Ok(Destination::Folder(folder.id)),
                        Err(open::OpenError::Account(_)) => Ok(Destination::None),
                        Err(open::OpenError::Graph(error)) => Err(Stop::graph(&error, scene.ports.clock.now())),
                        Err(open::OpenError::Record(error)) => Err(Stop::record(&error)),
                    },
                    _ => Ok(Destination::None),
                };
                Done::Destination(wanted, destination)
            }
            .boxed(),
        );
    }

    fn begin_sending(&mut self) {
        let silent = self.end.stop.as_ref().is_some_and(|stop| stop.silent);
        if self.sending || silent || !self.outbox.owes() {
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
        let admit = !self.stopping() && self.work.wants_admission(self.fetching);
        let quiet = self.fetching == 0 && self.work.admitted.is_empty() && self.acting == 0 && self.reading == 0;
        let stale = between(self.now(), committer.lease.until) + RENEW_AFTER < LEASE_FOR;
        // A page of known messages alone, or what was learnt while opening, waits for the end of the run: an idle run
        // writes once.
        let worth = if self.stopping() || self.everything_read() {
            !self.work.ready.is_empty() || !self.work.action_results.is_empty()
        } else {
            self.work.has_something_to_write()
        };
        if !(self.work.is_full() || admit || stale || (quiet && worth)) {
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

    fn tick(&mut self) {
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

    fn take(&mut self, done: Done) {
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
                            Err(decision) => self.work.ready.push(decision),
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
            Done::Acted(before, acted) => {
                self.acting -= 1;
                self.take_acted(*before, *acted);
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
        let service = matches!(&fetched, Fetched::Failed(error) if matches!(error.kind, crate::graph::GraphErrorKind::Unavailable));
        self.failures = if service { self.failures + 1 } else { 0 };
        if let Fetched::Failed(error) = &fetched
            && service
            && self.failures >= FAILURES_IN_A_ROW
        {
            return self.stop(Stop::graph(error, self.now()));
        }
        if let Fetched::Failed(error) = &fetched {
            debug!(message = %candidate.key, error = %error, request_id = error.request_id, "not fetched");
        }
        match judge(&self.scene).fetched(candidate, fetched) {
            Ok(decision) => self.work.ready.push(decision),
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
                if !self.work.put_back(group, &key) {
                    self.stop(Stop::commit(&CommitError::OnRecord(key)));
                }
            }
            Err(error) => self.stop(Stop::commit(&error)),
        }
    }

    fn take_acted(&mut self, action: PendingAction, acted: Acted) {
        match acted {
            Acted::Stop(error) => self.stop(Stop::graph(&error, self.now())),
            acted => {
                if let Acted::Again(again) | Acted::Failed(again) = &acted
                    && let Some(what) = &again.problem
                    && !self.end.report.problems.iter().any(|problem| problem.what == *what)
                    && self.end.report.problems.len() < 20
                {
                    self.end.report.problems.push(Problem {
                        folder: None,
                        what: what.clone(),
                        request_id: None,
                    });
                }
                self.work.action_results.push(ActionResult { action, acted });
            }
        }
    }

    /// What earlier runs left: debts that are due, actions that are due.
    async fn take_leftovers(&mut self) -> Result<(), RecordError> {
        if !std::mem::take(&mut self.leftovers) {
            return Ok(());
        }
        let now = self.now();
        let (scene, account) = (Arc::clone(&self.scene), self.scene.row.account.id.to_string());
        let debts = Debts::new(Arc::clone(&scene.ports.store));
        let messages = Messages::new(Arc::clone(&scene.ports.store));
        let mut taken = 0;
        let mut after: Option<PageMark> = None;
        while scene.row.owed > 0 {
            let page = debts.page(&account, 100, after).await?;
            let due: Vec<_> = page
                .records
                .into_iter()
                .filter(|debt| debt.next_try.is_some_and(|at| at <= now))
                .collect();
            let keys: Vec<_> = due.iter().map(|debt| debt.key.clone()).collect();
            let mut records: HashMap<_, _> = messages
                .known(&scene.mailbox, &keys)
                .await?
                .into_iter()
                .map(|message| (message.key.clone(), message))
                .collect();
            for debt in due {
                taken += 1;
                self.work.wait_debt(Candidate {
                    record: records.remove(&debt.key).map(Box::new),
                    key: debt.key.clone(),
                    id: debt.immutable_id.clone(),
                    envelope: debt.envelope.clone(),
                    folder: debt.folder.clone(),
                    seen_in: None,
                    debt: Some(Box::new(debt)),
                    strikes: 1,
                    left: false,
                    first_walk: false,
                });
            }
            match page.next {
                Some(mark) if taken < LEFTOVERS => after = Some(mark),
                more => {
                    self.end.report.more |= more.is_some();
                    break;
                }
            }
        }
        let mut after: Option<PageMark> = None;
        while scene.row.actions > 0 {
            let page = debts.actions(&account, 100, after).await?;
            let due = page
                .records
                .into_iter()
                .filter(|action| action.next_try <= now)
                .map(|action| (action, false));
            self.work.action_queue.extend(due);
            match page.next {
                Some(mark) if self.work.action_queue.len() < LEFTOVERS => after = Some(mark),
                more => {
                    self.end.report.more |= more.is_some();
                    break;
                }
            }
        }
        Ok(())
    }

    fn show_progress(&self) {
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
        if self.end.complete {
            self.work.clear_marker();
        }
        self.end.report.more |= self.work.action_queue.len() > 0 && !stopped;
        if let Some(problem) = &self.outbox.problem {
            self.end.report.problems.push(Problem {
                folder: None,
                what: format!("events wait to be delivered: {problem}"),
                request_id: None,
            });
        }
        let scene = Arc::clone(&self.scene);
        let judge = judge(&scene);
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

fn judge(scene: &Scene) -> Judge<'_> {
    Judge {
        account: &scene.row.account,
        mailbox: &scene.mailbox,
        run: &scene.run,
        now: scene.ports.clock.now(),
    }
}
