//! The world of a test: a simulated Microsoft, an importer on memory adapters, mock time, one seed.
//!
//! On drop a world fails the test if a lease is held, a fault is left armed, or a secret's text stands in the logs.

mod altered;
mod audit;
mod bent;
mod counting;
mod crash;
mod forged;
mod kept;
mod ledger;
mod logs;
mod objects;
mod people;
mod process;
mod wire;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use object_store::ObjectStore;
use serde_json::Value;
use shared::{
    account::{Account, AfterImport, FolderName, MAX_MESSAGE, Mailbox, Start},
    archive::Archive,
    credential::{Credential, CredentialForm, GrantType},
    field::Id,
    import::{Importer, RunOptions, report::RunReport},
    memory::{Memory, PausedClock},
    message::Message,
    oauth::TokenService,
    origin::{Origin, TrustedOrigins},
    ports::{Clock, Http, Item, Ports, SecretName, Store},
    records::{
        accounts::{AccountRow, Accounts},
        credentials::Credentials,
        messages::Messages,
    },
    secret::Secret,
};
use simulator::{Fault, FaultSpec, Options, RequestKind, SimClock, Simulator};

pub use altered::Altered;
pub use audit::Audit;
pub use bent::crashing;
pub use counting::{Calls, Counting};
pub use crash::{Bend, Crash, Op, Point, Step};
pub use forged::{Forgery, forgeries};
pub use kept::Backend;
pub use logs::{Logs, forms_of};
pub use people::REDIRECT_URI;
pub use process::Process;
pub use wire::InProcess;

/// The mailbox most tests import.
pub const DESK: &str = "desk@harbour-homes.example";
/// Where the simulator stands in tests: nothing listens there, the router is called in process.
pub const ORIGIN: &str = "http://simulator.test";

/// A simulated Microsoft and an importer.
pub struct World {
    /// Microsoft.
    pub simulator: Simulator,
    /// What survives a restart.
    pub memory: Memory,
    /// Time.
    pub clock: PausedClock,
    /// The wire.
    pub wire: Arc<InProcess>,
    /// Where crashes happen.
    pub crash: Crash,
    kept: kept::Kept,
    ledger: ledger::Ledger,
    logs: Option<Logs>,
    lives: std::cell::Cell<u32>,
    hasty: std::cell::Cell<bool>,
}

impl World {
    /// A tenant with the mailbox [`DESK`], and nothing in it.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Options::default())
    }

    /// The same, with other options; clock, seed and origin are the world's.
    pub fn with(seed: u64, options: Options) -> Self {
        Self::on(seed, options, Backend::Memory, Some(Logs::capture()))
    }

    /// The same on these stores. Without logs it is several times as fast, and no secret is looked for in them.
    pub fn on(seed: u64, options: Options, backend: Backend, logs: Option<Logs>) -> Self {
        let clock = PausedClock::default();
        let given = clock.clone();
        let simulator = Simulator::new(Options {
            clock: SimClock::given(Arc::new(move || given.now().as_millisecond())),
            seed,
            origin: Some(ORIGIN.to_owned()),
            ..options
        });
        simulator.add_mailbox(DESK);
        let crash = Crash::default();
        let wire = Arc::new(InProcess::new(simulator.clone(), crash.clone()));
        let memory = Memory::new(seed, Arc::new(clock.clone()));
        Self {
            kept: kept::Kept::open(backend, &memory),
            ledger: ledger::Ledger::default(),
            memory,
            simulator,
            clock,
            wire,
            crash,
            logs,
            lives: std::cell::Cell::new(0),
            hasty: std::cell::Cell::new(false),
        }
    }

    /// Requests before `Retry-After` are no defect here: whoever died knew of it, and nobody else does.
    pub fn forgive_haste(&self) {
        self.hasty.set(true);
    }

    /// The ports of the present life.
    pub fn ports(&self) -> Ports {
        let instance = format!("life-{}", self.lives.get());
        self.bend(self.kept_ports(&instance, self.wire.clone()), &self.crash)
    }

    /// Ports on what is kept, with nothing that could go wrong.
    fn kept_ports(&self, instance: &str, http: Arc<dyn Http>) -> Ports {
        let mut ports = self.memory.ports(instance, http);
        ports.store = self.kept.store();
        ports.vault = self.kept.vault();
        ports
    }

    fn bend(&self, ports: Ports, crash: &Crash) -> Ports {
        let memory = (self.kept.backend() == Backend::Memory).then_some(&self.memory);
        bent::bend(ports, memory, crash, &self.ledger)
    }

    /// What processes did was in order: commits under rising fences, events told of after they were recorded, objects
    /// written once.
    pub fn in_order(&self) {
        self.ledger.check();
    }

    /// The power fails: on disk, the bytes of what was written and not settled are gone.
    pub fn power_cut(&self) {
        self.kept.lose(self.ledger.take_unsettled());
    }

    /// The records, with nothing between.
    pub fn store(&self) -> Arc<dyn Store> {
        self.kept.store()
    }

    /// Every item there is.
    pub fn dump(&self) -> Vec<Item> {
        self.kept.dump(&self.memory)
    }

    /// Every object there is: its path.
    pub async fn objects(&self, account: &str) -> Vec<String> {
        use futures::TryStreamExt as _;
        let archive = Archive::new(self.kept.objects(), 64 * 1024);
        let account = Id::parse("id", account).expect("an id");
        archive.objects(&account).try_collect().await.expect("objects")
    }

    /// The store of the archive's objects.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.kept.objects()
    }

    /// The archive.
    pub fn archive(&self) -> Archive {
        self.archive_of(&self.crash)
    }

    fn archive_of(&self, crash: &Crash) -> Archive {
        let store = objects::BentObjects {
            store: self.kept.objects(),
            crash: crash.clone(),
            ledger: self.ledger.clone(),
        };
        let archive = Archive::new(Arc::new(store), 64 * 1024);
        let Some(settle) = self.kept.settle() else {
            return archive;
        };
        archive.settling(Arc::new(objects::BentSettle {
            settle,
            crash: crash.clone(),
            ledger: self.ledger.clone(),
        }))
    }

    /// An importer as a new process has it: no memory of anything but the stores.
    pub fn importer(&self) -> Importer {
        let ports = self.ports();
        let tokens = Arc::new(TokenService::new(ports.clone()));
        Importer::new(ports, tokens, self.archive())
    }

    /// The present process is dead; the next one is another instance.
    pub fn restart(&self) {
        self.reborn(true);
    }

    /// The same; whether the next one knows of the death, or has to wait for the lease.
    pub fn reborn(&self, known: bool) {
        if known {
            self.memory.bury(&format!("life-{}", self.lives.get()));
        }
        self.lives.set(self.lives.get() + 1);
        self.crash.disarm();
    }

    /// Adds a client credentials credential for the simulator's app.
    pub async fn add_credential(&self, id: &str) -> Credential {
        let registration = self.simulator.registration();
        self.store_credential(CredentialForm {
            id: id.to_owned(),
            description: "test".to_owned(),
            grant_type: Some(GrantType::ClientCredentials),
            token_url: format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id),
            client_id: registration.client_id.clone(),
            scope: "https://graph.microsoft.com/.default".to_owned(),
            graph_url: Some(format!("{ORIGIN}/v1.0")),
            ..CredentialForm::default()
        })
        .await
    }

    /// Checks a form and stores the credential with the simulator's client secret.
    pub async fn store_credential(&self, form: CredentialForm) -> Credential {
        let registration = self.simulator.registration();
        let trusted = TrustedOrigins::with(vec![Origin::parse(ORIGIN).expect("an origin")]);
        let settings = form.check(&trusted).expect("a good form").settings;
        let secret_name = SecretName(format!("client/{}", form.id));
        let credential =
            settings.into_credential(secret_name, SecretName(format!("access/{}", form.id)), self.clock.now());
        let secret = Secret::new(registration.client_secret.clone());
        self.kept
            .vault()
            .put(&credential.client_secret, &secret, None)
            .await
            .expect("a vault");
        Credentials::new(self.ports().store)
            .add(&credential)
            .await
            .expect("a store");
        credential
    }

    /// An account on [`DESK`]'s inbox that imports everything and changes nothing.
    pub fn account(&self, id: &str) -> Account {
        Account {
            id: Id::parse("id", id).expect("an id"),
            description: String::new(),
            mailbox: Mailbox::parse(DESK).expect("an address"),
            credential: Id::parse("id", "app").expect("an id"),
            folders: vec![FolderName::parse("inbox").expect("a folder")],
            subfolders: false,
            start: Start::Everything,
            after_import: AfterImport::Nothing,
            every: Duration::from_secs(300),
            enabled: true,
            max_message: MAX_MESSAGE,
        }
    }

    /// Adds an account.
    pub async fn add_account(&self, account: &Account) {
        let credentials = Credentials::new(self.ports().store);
        let credential = credentials
            .get(account.credential.as_str())
            .await
            .expect("its credential")
            .credential;
        let key = account.mailbox_key(&credential.graph_url);
        Accounts::new(self.ports().store)
            .add(account, &key, self.clock.now())
            .await
            .expect("an account");
    }

    /// The usual: credential `app`, account `desk`, changed as wanted.
    pub async fn usual(&self, change: impl FnOnce(&mut Account)) {
        self.add_credential("app").await;
        let mut account = self.account("desk");
        change(&mut account);
        self.add_account(&account).await;
    }

    /// Fills the inbox of [`DESK`] with the simulator's own varied mail.
    pub fn fill(&self, count: usize) {
        self.simulator.fill(DESK, "inbox", count, 30).expect("a mailbox");
    }

    /// From now on, until faults are cleared, the MIME of this message answers 500.
    pub fn refuse_mime(&self, id: &str) {
        let fault = Fault::Status {
            status: 500,
            code: None,
            message: String::new(),
        };
        self.simulator
            .arm(FaultSpec::once(RequestKind::Value, fault).message(id).always());
    }

    /// Imports the account `desk` while the MIME of its `at`th mail is refused: that one is owed. Its immutable id.
    pub async fn owe(&self, at: usize) -> String {
        let bad = self.simulator.truth(None)[at].immutable_id.clone();
        self.refuse_mime(&bad);
        assert_eq!(self.run("desk").await.owed, 1);
        self.simulator.clear_faults();
        bad
    }

    /// Runs an account once.
    pub async fn run(&self, account: &str) -> RunReport {
        self.run_with(account, &RunOptions::new("test")).await
    }

    /// Runs an account once, with options.
    pub async fn run_with(&self, account: &str, options: &RunOptions) -> RunReport {
        self.importer().run(account, options).await.expect("a run")
    }

    /// Runs an account until it is done, at most `runs` times, five minutes apart.
    pub async fn settle(&self, account: &str, runs: usize) -> RunReport {
        for _ in 0..runs {
            let report = self.run(account).await;
            if report.outcome == shared::import::report::Outcome::Done
                && report.owed == 0
                && report.actions_pending == 0
            {
                return report;
            }
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
        let report = self.run(account).await;
        panic!("not settled after {runs} runs: {report:#?}");
    }

    /// The account as it stands.
    pub async fn row(&self, account: &str) -> AccountRow {
        Accounts::new(self.store()).get(account).await.expect("an account")
    }

    /// Every message on record for the account's mailbox, by immutable id.
    pub async fn messages(&self, account: &str) -> BTreeMap<String, Message> {
        let row = self.row(account).await;
        let records = Messages::new(self.store());
        let mut found = BTreeMap::new();
        let mut after = None;
        loop {
            let page = records.page(&row.mailbox, 200, after).await.expect("a page");
            for listed in page.records {
                let message = records
                    .get(&row.mailbox, &listed.key)
                    .await
                    .expect("a record")
                    .expect("a record of what is listed");
                assert_eq!(message.disposition, listed.disposition, "list and record agree");
                found.insert(message.immutable_id.0.clone(), message);
            }
            match page.next {
                Some(mark) => after = Some(mark),
                None => return found,
            }
        }
    }

    /// Events as a receiver counts them: each id once, in the order they came.
    pub fn events(&self, account: &str) -> Vec<Value> {
        self.memory.publisher.in_effect(account)
    }

    /// Bytes of an object of an attempt.
    pub async fn object(&self, path: &str, name: &str) -> Vec<u8> {
        let archive = Archive::new(self.kept.objects(), 64 * 1024);
        archive.read(path, name).await.expect("an object").to_vec()
    }

    /// Where outside the vault this secret stands, in whatever form: log (at TRACE), records, events.
    pub fn betrays(&self, secret: &str) -> Vec<String> {
        let mut found = self.logs.iter().flat_map(|logs| logs.leaks(secret)).collect::<Vec<_>>();
        let events = serde_json::to_string(&self.memory.publisher.in_effect("desk")).unwrap_or_default();
        let rows = self.dump();
        let records = rows.iter().map(|item| {
            (
                item.key.to_string(),
                serde_json::to_string(&item.attributes).unwrap_or_default(),
            )
        });
        for (place, text) in records.chain([("the events".to_owned(), events)]) {
            for (name, form) in logs::forms_of(secret) {
                if text.contains(&form) || place.contains(&form) {
                    found.push(format!("a secret stands in {place} ({name})"));
                }
            }
        }
        found
    }

    /// Everything there must be, compared with everything there is.
    pub fn audit(&self) -> Audit<'_> {
        Audit::new(self)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut wrong = self.simulator.complaints();
        wrong.retain(|complaint| !(self.hasty.get() && complaint.contains("before Retry-After")));
        if self.memory.armed() > 0 {
            wrong.push(format!("{} faults of adapters are still armed", self.memory.armed()));
        }
        let now = self.clock.now().as_millisecond();
        for item in self.dump() {
            let until = item
                .attributes
                .get("lease_until")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            if until > now && !self.crash.happened() {
                wrong.push(format!("a lease is held on {}", item.key));
            }
        }
        let registration = self.simulator.registration();
        wrong.extend(
            self.logs
                .iter()
                .flat_map(|logs| logs.leaks(&registration.client_secret)),
        );
        for item in self.dump() {
            let text = serde_json::to_string(&item.attributes).unwrap_or_default();
            if text.contains(&registration.client_secret) || logs::TOKEN_BEGINS.iter().any(|begin| text.contains(begin))
            {
                wrong.push(format!("a secret stands in record {}", item.key));
            }
        }
        assert!(wrong.is_empty(), "the world is not in order:\n{}", wrong.join("\n"));
    }
}
