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
    import::{Importer, RunOptions},
    ports::{Ports, Tokens},
    records::{
        accounts::{AccountRow, Accounts},
        credentials::Credentials,
        warnings,
    },
    time::{between, plus},
    watch::{self as care, Which, wants_more},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{error, info, warn};

use crate::{cli::Desk, reconcile::reconcile};

/// Mailboxes imported at once.
const AT_ONCE: usize = 16;
/// A run ends after this long, saved, so that others get their turn; it goes on as soon as there is a place.
const TURN: Duration = Duration::from_mins(15);
/// How often accounts are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often schedules are compared with accounts.
const MEND: Duration = Duration::from_mins(1);
/// How often credentials are looked at.
const RENEW: Duration = Duration::from_mins(10);
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
        if let Err(problem) = care::mend_schedules(&*self.ports.scheduler, &self.accounts).await {
            warn!(%problem, "the schedules could not be compared with the accounts");
        }
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
                    if renewed.is_none_or(|at| between(at, now) >= RENEW) {
                        renewed = Some(now);
                        let in_use = rows.iter().filter(|row| row.account.enabled);
                        let in_use: Vec<String> = in_use.map(|row| row.account.credential.to_string()).collect();
                        let runner = Arc::clone(self);
                        runs.spawn(async move {
                            let which = Which::SignIns;
                            if let Err(problem) =
                                care::look(&runner.credentials, &*runner.tokens, &in_use, which, now).await
                            {
                                warn!(%problem, "the credentials could not be read; they are looked at again");
                            }
                            if let Err(problem) = warnings::look(&runner.ports).await {
                                warn!(%problem, "what ends soon could not be looked at; it is looked at again");
                            }
                            if let Err(problem) = runner.importer.look_at_reach(runner.patience, None).await {
                                warn!(%problem, "what apps reach could not be looked at; it is looked at again");
                            }
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
