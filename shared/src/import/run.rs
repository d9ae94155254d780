//! One run: the lease, the folders, the loop, the end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tracing::{Instrument as _, info, info_span};

use crate::{
    account::{Mailbox, MailboxKey},
    archive::Archive,
    credential::{Credential, GrantType},
    error::{AccountState, Next},
    graph::{AccessTokens, Counts, Governor, GraphClient, GraphError, GraphSettings, LONGEST_HOLD},
    ports::{Ports, Tokens},
    records::{
        RecordError,
        accounts::{AccountRow, Accounts, FOLDER_PREFIX, StartAt},
        credentials::{CredentialRow, Credentials},
        json,
    },
    time::between,
};

use super::{
    commit::{Batch, CommitError, Committer},
    drive::Drive,
    end::End,
    folder::{FolderProgress, Walk},
    lease::{self, Tried},
    open::{self, OpenError},
    remember::Remembered,
    report::{Outcome, Problem, Progress, RunReport},
    work::Tally,
};

/// A folder is walked anew this often to find what the stream of changes did not show.
const RECONCILE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Subfolders are looked for this often.
const FOLDERS_AFTER: Duration = Duration::from_secs(3600);

/// Imports accounts. One per process; runs of different mailboxes go side by side.
pub struct Importer {
    pub(super) ports: Ports,
    pub(super) tokens: Arc<dyn Tokens>,
    pub(super) archive: Archive,
    /// Access tokens by credential, shared by all runs of this process.
    held: Mutex<HashMap<String, Arc<AccessTokens>>>,
    /// Credentials as last read, and how long they are believed.
    remembered: Remembered,
}

/// How a run is to go.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// What started it.
    pub trigger: String,
    /// Near this instant it saves and ends, with `more`.
    pub deadline: Option<Timestamp>,
    /// The longest wait that Microsoft may ask for; a longer one ends the run, saved.
    pub patience: Duration,
    /// Where live numbers go.
    pub progress: Arc<Progress>,
}

impl RunOptions {
    /// Without a deadline, with a minute's patience.
    pub fn new(trigger: &str) -> Self {
        Self {
            trigger: trigger.to_owned(),
            deadline: None,
            patience: Duration::from_secs(60),
            progress: Arc::default(),
        }
    }
}

/// Why there was no run at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The account or its credential cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Why a run stopped before its end.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    pub(super) next: Next,
    pub(super) problem: Option<Problem>,
    /// Nothing may be written any more: the lease is lost, or the store failed.
    pub(super) silent: bool,
}

impl Stop {
    pub(super) fn deadline() -> Self {
        Self {
            next: Next::Retry { after: None },
            problem: None,
            silent: false,
        }
    }

    pub(super) fn graph(error: &GraphError, now: Timestamp) -> Self {
        Self {
            next: error.next(now),
            problem: Some(Problem {
                folder: None,
                what: error.what.clone(),
                request_id: error.request_id.clone(),
            }),
            silent: false,
        }
    }

    pub(super) fn plain(next: Next, what: impl Into<String>, silent: bool) -> Self {
        Self {
            next,
            problem: Some(Problem {
                folder: None,
                what: what.into(),
                request_id: None,
            }),
            silent,
        }
    }

    pub(super) fn record(error: &RecordError) -> Self {
        Self::plain(error.next(), error.to_string(), true)
    }

    pub(super) fn commit(error: &CommitError) -> Self {
        match error {
            CommitError::Lost => Self::plain(Next::Retry { after: None }, error.to_string(), true),
            CommitError::OnRecord(_) => Self::plain(Next::Fail, error.to_string(), false),
            // Bytes that cannot be kept are nobody's fault but the archive's.
            CommitError::Archive(_) => Self::plain(Next::Operator, error.to_string(), false),
            CommitError::Record(record) => Self::record(record),
        }
    }
}

/// What the parts of a run share.
pub(super) struct Scene {
    pub(super) ports: Ports,
    pub(super) client: GraphClient,
    pub(super) archive: Archive,
    pub(super) row: AccountRow,
    pub(super) mailbox: MailboxKey,
    pub(super) run: String,
    pub(super) fence: i64,
    /// The start; nothing: everything.
    pub(super) start: Option<Timestamp>,
}

impl Importer {
    /// Over these ports.
    pub fn new(ports: Ports, tokens: Arc<dyn Tokens>, archive: Archive) -> Self {
        Self {
            ports,
            tokens,
            archive,
            held: Mutex::default(),
            remembered: Remembered::default(),
        }
    }

    /// Believes a credential as read for so long, as long as runs with it go well: one table call less for an idle run.
    /// An edit of it may take as long to take effect; a run that fails reads it anew the next time.
    #[must_use]
    pub fn remembering(mut self, credentials: Duration) -> Self {
        self.remembered = Remembered::for_(credentials);
        self
    }

    /// Runs one account once.
    pub async fn run(&self, account: &str, options: &RunOptions) -> Result<RunReport, RunError> {
        let run = self.ports.rng.hex(8);
        let span = info_span!("run", account, run, trigger = options.trigger);
        // On the heap, and only from here on: what waits for its turn to run must not hold the room of a run.
        Box::pin(self.run_inside(account, &run, options)).instrument(span).await
    }

    async fn run_inside(&self, account: &str, run: &str, options: &RunOptions) -> Result<RunReport, RunError> {
        let started_at = self.ports.clock.now();
        options.progress.set_phase("taking the lease");
        let (row, lease, spent) = match lease::acquire(&self.ports, account, run).await? {
            Tried::Taken(row, lease, spent) => (*row, lease, spent),
            Tried::Busy => {
                info!("another run has the lease");
                return Ok(Self::report(
                    account,
                    run,
                    options,
                    started_at,
                    Outcome::Busy,
                    AccountState::Healthy,
                ));
            }
        };
        let governor = Arc::new(Governor::new(Arc::clone(&self.ports.clock), spent));
        let counts = Arc::new(Counts::default());
        let mut end = End {
            report: Self::report(account, run, options, started_at, Outcome::Done, AccountState::Healthy),
            committer: Some(Committer::new(
                self.ports.clone(),
                self.archive.clone(),
                account,
                run,
                lease.clone(),
                row.commit.clone(),
            )),
            tally: Tally::default(),
            batch: Batch::default(),
            stop: None,
            complete: false,
            undelivered: row.unsent(),
        };
        // A pause far longer than any that is saved comes from a clock that was wrong, and is not believed.
        let pause = row.paused_until.map(|until| (until, between(started_at, until)));
        if let Some((until, wait)) = pause.filter(|(_, wait)| *wait <= LONGEST_HOLD * 2) {
            if wait > options.patience {
                let what = format!(
                    "the last run had to wait until {until:.0}, for Microsoft's limits; it goes on by itself then"
                );
                end.stop = Some(Stop::plain(Next::Retry { after: Some(wait) }, what, false));
                return Ok(self.end(end, &row, &governor, &counts).await);
            }
            governor.hold(wait);
        }
        let credential = match self.credential(&row, started_at).await {
            Ok(row) => row,
            Err(error) if !matches!(error, RecordError::Missing { .. }) => {
                end.stop = Some(Stop::record(&error));
                return Ok(self.end(end, &row, &governor, &counts).await);
            }
            Err(error) => {
                end.stop = Some(Stop::plain(
                    Next::FixAccount,
                    format!("{error}; apply another credential with `postroom credential apply ID {account}`"),
                    false,
                ));
                return Ok(self.end(end, &row, &governor, &counts).await);
            }
        };
        let client = self.client(
            &row,
            &credential,
            Arc::clone(&governor),
            Arc::clone(&counts),
            options.patience,
        );
        options.progress.set_phase("opening the folders");
        let opened = self.open(&client, &row, &credential.credential, &mut end.batch).await;
        let (folders, start) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.remembered.forget(row.account.credential.as_str());
                end.stop = Some(match &error {
                    OpenError::Graph(error) => Stop::graph(error, self.ports.clock.now()),
                    OpenError::Record(error) => Stop::record(error),
                    OpenError::Account(what) => Stop::plain(Next::FixAccount, what.clone(), false),
                });
                return Ok(self.end(end, &row, &governor, &counts).await);
            }
        };
        let scene = Arc::new(Scene {
            ports: self.ports.clone(),
            client,
            archive: self.archive.clone(),
            mailbox: row.mailbox.clone(),
            run: run.to_owned(),
            fence: lease.fence,
            start,
            row: row.clone(),
        });
        options.progress.set_phase("importing");
        Drive::new(scene, folders, options.clone(), &mut end).go().await;
        end.report.bytes = counts.bytes.load(std::sync::atomic::Ordering::Relaxed);
        if end.stop.is_some() {
            self.remembered.forget(row.account.credential.as_str());
        }
        Ok(self.end(end, &row, &governor, &counts).await)
    }

    /// The account's credential, from memory where that is allowed.
    async fn credential(&self, row: &AccountRow, now: Timestamp) -> Result<CredentialRow, RecordError> {
        let id = row.account.credential.as_str();
        if let Some(row) = self.remembered.get(id, now) {
            return Ok(row);
        }
        let credential = Credentials::new(Arc::clone(&self.ports.store)).get(id).await?;
        self.remembered.keep(&credential, now);
        Ok(credential)
    }

    /// The Graph of an account's mailbox.
    pub(super) fn client(
        &self,
        row: &AccountRow,
        credential: &CredentialRow,
        governor: Arc<Governor>,
        counts: Arc<Counts>,
        patience: Duration,
    ) -> GraphClient {
        let tokens = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || {
                Arc::new(AccessTokens::new(
                    Arc::clone(&self.tokens),
                    Arc::clone(&self.ports.vault),
                    Arc::clone(&self.ports.clock),
                    credential.credential.id.as_str(),
                ))
            };
            // A credential whose settings changed gets another token: what was held for the old ones is forgotten.
            let key = format!(
                "{}#{}",
                credential.credential.id,
                crate::oauth::settings_digest(credential)
            );
            Arc::clone(held.entry(key).or_insert_with(new))
        };
        let user = match &row.account.mailbox {
            Mailbox::Me => None,
            Mailbox::Address(address) => Some(address.clone()),
        };
        let settings = GraphSettings {
            base: credential.credential.graph_url.clone(),
            user,
            patience,
            person: credential.credential.grant_type == GrantType::AuthorizationCode,
        };
        GraphClient::new(&self.ports, governor, tokens, counts, settings)
    }

    /// The folders to read and the start they are read from; what was learnt on the way goes with the first commit.
    async fn open(
        &self,
        client: &GraphClient,
        row: &AccountRow,
        credential: &Credential,
        batch: &mut Batch,
    ) -> Result<(BTreeMap<String, FolderProgress>, Option<Timestamp>), OpenError> {
        let now = self.ports.clock.now();
        let start = match row.start_at.or_else(|| row.account.start.instant()) {
            Some(start) => start,
            // "From now on" is the server's now, asked for once (rule 2).
            None => Some(client.server_time().await?.unwrap_or(now)),
        };
        if row.start_at.is_none() {
            batch.set.insert("start_at".into(), json(&StartAt { instant: start }));
        }
        let fresh = match row.folders_at {
            None => false,
            Some(at) => !row.account.subfolders || between(at, now) < FOLDERS_AFTER,
        };
        // A folder that is gone is looked for again under its name.
        let missing = row
            .folders
            .values()
            .any(|folder| folder.problem.is_some() && folder.listing.is_none());
        let mut folders = if fresh && !row.folders.is_empty() && !missing {
            row.folders.clone()
        } else {
            let accounts = Accounts::new(Arc::clone(&self.ports.store));
            let host = credential.graph_url.host_str().unwrap_or_default();
            let folders = open::open(client, &accounts, row, host).await?;
            batch.set.insert("folders_at".into(), json(&now));
            for (key, folder) in &folders {
                if row.folders.get(key) != Some(folder) {
                    batch.set.insert(format!("{FOLDER_PREFIX}{key}"), json(folder));
                }
            }
            for key in row.folders.keys().filter(|key| !folders.contains_key(*key)) {
                batch
                    .set
                    .insert(format!("{FOLDER_PREFIX}{key}"), serde_json::Value::Null);
            }
            folders
        };
        for folder in folders.values_mut() {
            let due = folder.walked_at.is_none_or(|at| between(at, now) >= RECONCILE_AFTER);
            if folder.walk == Walk::Following && due {
                info!(folder = folder.name, "daily reconciliation: the folder is walked anew");
                folder.walk_anew();
            }
        }
        Ok((folders, start))
    }

    fn report(
        account: &str,
        run: &str,
        options: &RunOptions,
        started_at: Timestamp,
        outcome: Outcome,
        state: AccountState,
    ) -> RunReport {
        RunReport {
            run: run.to_owned(),
            account: account.to_owned(),
            trigger: options.trigger.clone(),
            started_at,
            ended_at: started_at,
            outcome,
            state,
            imported: 0,
            oldest: None,
            known: 0,
            filtered: 0,
            before_start: 0,
            quarantined: 0,
            gone: 0,
            owed: 0,
            set_aside: 0,
            pages: 0,
            requests: crate::graph::Requests::default(),
            requests_total: 0,
            bytes: 0,
            throttled: 0,
            waited_ms: 0,
            delivered: 0,
            undelivered: 0,
            acted: 0,
            actions_pending: 0,
            more: false,
            goes_on_at: None,
            error_type: None,
            problems: Vec::new(),
        }
    }
}
