//! Starts runs: at their time, and soon again where an account asked for more; tells of accounts that are silent.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use shared::{
    archive::Archive,
    import::{Importer, RunOptions, report::Outcome},
    manage::schedule_of,
    ports::{Ports, Schedule, Tokens},
    records::{
        accounts::{AccountRow, Accounts},
        credentials::Credentials,
    },
    time::{between, plus},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{error, info, warn};

use super::keep_alive;
use crate::{cli::Desk, reconcile::reconcile};

/// Mailboxes imported at once.
const AT_ONCE: usize = 16;
/// A run ends after this long, saved, so that others get their turn; it goes on as soon as there is a place.
const TURN: Duration = Duration::from_mins(15);
/// How often accounts are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Between two runs of an account that asks for more without getting on.
const PAUSE: Duration = Duration::from_secs(15);
/// How often schedules are compared with accounts.
const MEND: Duration = Duration::from_mins(1);
/// How often the archive is freed of what no record names.
const RECONCILE: Duration = Duration::from_hours(24);
/// How often a silence is told.
const TELL: Duration = Duration::from_hours(1);

/// Starts runs.
pub(super) struct Runner {
    importer: Arc<Importer>,
    accounts: Accounts,
    credentials: Credentials,
    tokens: Arc<dyn Tokens>,
    archive: Archive,
    directory: PathBuf,
    ports: Ports,
    patience: Duration,
    places: Semaphore,
    stopped: watch::Receiver<bool>,
    running: Mutex<HashSet<String>>,
}

/// Takes the account off the list of those running, however its run ended.
struct Running<'a>(&'a Runner, &'a str);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(self.1);
    }
}

impl Runner {
    pub(super) fn new(desk: &Desk, stopped: watch::Receiver<bool>) -> Self {
        Self {
            importer: Arc::clone(&desk.importer),
            accounts: desk.accounts.clone(),
            credentials: desk.credentials.clone(),
            tokens: Arc::clone(&desk.tokens),
            archive: desk.archive.clone(),
            directory: desk.opened.data_dir.archive(),
            ports: desk.opened.ports.clone(),
            patience: desk.config.patience,
            places: Semaphore::new(AT_ONCE),
            stopped,
            running: Mutex::default(),
        }
    }

    /// Runs an account once, unless this process does so already; ends early when it is time to stop.
    pub(super) async fn fire(&self, account: &str, trigger: &str) {
        let fresh = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account.to_owned());
        if !fresh {
            return;
        }
        let _running = Running(self, account);
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => {}
            () = self.run(account, trigger) => {}
        }
    }

    async fn run(&self, account: &str, trigger: &str) {
        let Ok(_place) = self.places.acquire().await else {
            return;
        };
        let options = RunOptions {
            deadline: Some(plus(self.ports.clock.now(), TURN)),
            patience: self.patience,
            ..RunOptions::new(trigger)
        };
        // What a run did is logged by the run itself.
        match self.importer.run(account, &options).await {
            Ok(report) => {
                for problem in &report.problems {
                    warn!(
                        account,
                        run = report.run,
                        request_id = problem.request_id,
                        "{}",
                        problem.what
                    );
                }
            }
            Err(problem) => error!(account, %problem, "the account could not be run"),
        }
    }

    /// Makes schedules say what accounts say: a process may have died between the two writes.
    pub(super) async fn mend_schedules(&self) {
        if let Err(problem) = self.try_mend().await {
            warn!(%problem, "the schedules could not be compared with the accounts");
        }
    }

    async fn try_mend(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // Schedules first: one that is listed now and whose account is gone afterwards is surely to go.
        let found: HashMap<String, Schedule> = self
            .ports
            .scheduler
            .list()
            .await?
            .into_iter()
            .map(|schedule| (schedule.account.clone(), schedule))
            .collect();
        let rows = self.accounts.all().await?;
        for row in &rows {
            let wanted = schedule_of(&row.account);
            if found.get(&wanted.account) != Some(&wanted) {
                info!(account = wanted.account, "its schedule is put right");
                self.ports.scheduler.put(&wanted).await?;
            }
        }
        for account in found.keys() {
            if !rows.iter().any(|row| row.account.id.as_str() == account) {
                info!(account, "its schedule goes: there is no such account any more");
                self.ports.scheduler.remove(account).await?;
            }
        }
        Ok(())
    }

    /// Frees the archive of attempts that no record names: of runs that were killed, of mail that was asked for twice.
    async fn reconcile(&self) {
        let rows = match self.accounts.all().await {
            Ok(rows) => rows,
            Err(problem) => return warn!(%problem, "the accounts could not be read; the archive is looked at tomorrow"),
        };
        for row in rows {
            let account = row.account.id.as_str();
            match reconcile(&self.ports, &self.archive, &self.directory, &row).await {
                Ok(0) => {}
                Ok(removed) => info!(
                    account,
                    removed, "the archive was freed of objects that no record names"
                ),
                Err(problem) => warn!(account, %problem, "the archive could not be compared with the records"),
            }
        }
    }

    /// Looks at all accounts every few seconds until `stop` completes.
    pub(super) async fn watch(self: &Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut runs = JoinSet::new();
        let mut told: HashMap<String, Timestamp> = HashMap::new();
        let mut mended = self.ports.clock.now();
        let mut reconciled = mended;
        let mut renewed: Option<Timestamp> = None;
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.ports.clock.sleep(LOOK) => {}
                Some(_) = runs.join_next(), if !runs.is_empty() => continue,
            }
            let now = self.ports.clock.now();
            if between(mended, now) >= MEND {
                mended = now;
                self.mend_schedules().await;
            }
            if between(reconciled, now) >= RECONCILE {
                reconciled = now;
                let runner = Arc::clone(self);
                runs.spawn(async move { runner.reconcile().await });
            }
            match self.accounts.all().await {
                Ok(rows) => {
                    if renewed.is_none_or(|at| between(at, now) >= keep_alive::LOOK) {
                        renewed = Some(now);
                        let in_use = rows.iter().filter(|row| row.account.enabled);
                        let in_use: Vec<String> = in_use.map(|row| row.account.credential.to_string()).collect();
                        let runner = Arc::clone(self);
                        runs.spawn(async move {
                            keep_alive::renew(&runner.credentials, &*runner.tokens, &in_use, now).await;
                            keep_alive::warn_early(&runner.ports).await;
                        });
                    }
                    for row in &rows {
                        tell_silence(row, now, &mut told);
                        if wants_more(row, now) {
                            let (runner, account) = (Arc::clone(self), row.account.id.to_string());
                            runs.spawn(async move { runner.fire(&account, "watch").await });
                        }
                    }
                }
                Err(problem) => warn!(%problem, "the accounts could not be read; they are looked at again"),
            }
        }
        while runs.join_next().await.is_some() {}
    }
}

/// Whether an account should run before its time.
fn wants_more(row: &AccountRow, now: Timestamp) -> bool {
    let last = row.last_run.as_ref();
    let may = row.paused_until.is_none_or(|until| until <= now);
    // Somebody asked since the last run: whatever came of that one, and whether or not there is a schedule.
    let asked = row.asked_at.is_some_and(|at| last.is_none_or(|run| run.at < at));
    let goes_well = last.is_none_or(|run| {
        // After a failure, and after a wait that Microsoft asked for, the schedule is soon enough.
        matches!(run.outcome, Outcome::Done | Outcome::Incomplete) && between(run.at, now) >= PAUSE
    });
    may && (asked || (row.account.enabled && row.more && goes_well))
}

/// The dead-man's switch: a line when an account falls silent, every hour while it is, and when it is back.
fn tell_silence(row: &AccountRow, now: Timestamp, told: &mut HashMap<String, Timestamp>) {
    let account = row.account.id.as_str();
    match row.silent_for(now) {
        Some(silence) => {
            let again = told.get(account).is_none_or(|at| between(*at, now) >= TELL);
            if again {
                told.insert(account.to_owned(), now);
                let seconds = silence.as_secs();
                let problem = row.last_run.as_ref().and_then(|run| run.problem.as_deref());
                warn!(
                    account,
                    seconds, problem, "no success for three intervals: nobody imports this mailbox"
                );
            }
        }
        None => {
            if told.remove(account).is_some() {
                info!(account, "it succeeds again");
            }
        }
    }
}
