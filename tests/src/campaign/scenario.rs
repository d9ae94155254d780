//! What a life may be in the middle of when something goes wrong: small scenes, each with a past, an act and a recovery.

use std::time::Duration;

use shared::{
    account::{Account, AfterImport, FolderName, Mailbox, Start},
    import::{RunOptions, debt, reconcile},
    manage::{AccountForm, Manage},
    memory::PublisherFault,
    message::Disposition,
    origin::TrustedOrigins,
    ports::{Clock as _, Ports, Redemption, Stage, Tokens as _},
    records::{
        accounts::{AccountRow, Accounts},
        credentials::Credentials,
        debts::Debts,
    },
    secret::Secret,
};
use simulator::{Corruption, Delivery, Fault, FaultSpec, Options, RequestKind, RetryAfter, Rotation, User, Wording};

use crate::world::{Backend, DESK, Point, World};

const ADA: &str = "ada@harbour-homes.example";
const NEW_SECRET: &str = "another-secret-of-the-same-app";
const SCOPE: &str = "Mail.ReadWrite offline_access";

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// The first import of a mailbox: a plain mail, one with an attachment, one that is uploaded in parts.
    FirstImport,
    /// There is nothing to do.
    Idle,
    /// More mail than a page holds.
    Backlog,
    /// Microsoft forgot how far the folder was read.
    Reset,
    /// Mail was moved, moved away and back, deleted, and moved in, since it was read.
    Changes,
    /// Mail is marked read after import.
    Marks,
    /// Mail is moved after import.
    Moves,
    /// Mail is deleted after import.
    Deletes,
    /// A mail is owed, and due.
    Debts,
    /// A mail that cannot be read is tried until it is set aside.
    Poison,
    /// Two lives died of a mail.
    Strikes,
    /// Two accounts take turns on a mailbox.
    Shared,
    /// The token of a person has to be renewed before anything can be read.
    Renewal,
    /// The same at a server at which a refresh token is good for one use.
    Rotation,
    /// The same, and a refresh token of long ago lies about, staged and never promoted.
    LeftBehind,
    /// The same, and the app's secret is not good any more: nobody has to sign in for that.
    Secret,
    /// A person signs in.
    Redemption,
    /// An admin pauses the account and lets it go on, while it runs.
    Edit,
    /// An admin removes the account while it runs, and adds it again.
    Removal,
    /// Events wait that could not be sent.
    Outbox,
    /// The archive is freed of what dead runs left.
    CleanUp,
    /// Microsoft asks for a wait that is longer than a run has patience.
    Throttled,
    /// The account starts now: what lies there already is counted, not imported.
    Start,
}

/// A scene that is set.
pub struct Set {
    /// Where it is.
    pub world: World,
    scenario: Scenario,
    redemption: Option<Redemption>,
    row: Option<AccountRow>,
}

fn trusted() -> TrustedOrigins {
    TrustedOrigins::with(vec![
        shared::origin::Origin::parse(crate::world::ORIGIN).expect("an origin"),
    ])
}

fn mail(number: usize, body: &str) -> String {
    format!(
        "From: a@b.example\r\nTo: desk@harbour-homes.example\r\nSubject: mail {number}\r\nMessage-ID: <same@b.example>\r\n\r\n{body}\r\n"
    )
}

fn with_attachment() -> String {
    "From: a@b.example\r\nSubject: with a file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
     --b\r\nContent-Type: text/plain\r\n\r\nsee the file\r\n--b\r\nContent-Type: application/pdf\r\n\
     Content-Disposition: attachment; filename=report.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n"
        .to_owned()
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::FirstImport,
        Self::Idle,
        Self::Backlog,
        Self::Reset,
        Self::Changes,
        Self::Marks,
        Self::Moves,
        Self::Deletes,
        Self::Debts,
        Self::Poison,
        Self::Strikes,
        Self::Shared,
        Self::Renewal,
        Self::Rotation,
        Self::LeftBehind,
        Self::Secret,
        Self::Redemption,
        Self::Edit,
        Self::Removal,
        Self::Outbox,
        Self::CleanUp,
        Self::Throttled,
        Self::Start,
    ];

    /// The accounts in it, with their mailboxes.
    pub fn accounts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Shared => &[("desk", DESK), ("orders", DESK)],
            _ if self.person() => &[("desk", ADA)],
            _ => &[("desk", DESK)],
        }
    }

    /// How many mails lay there before the account began.
    pub fn before_start(self) -> usize {
        if self == Self::Start { 3 } else { 0 }
    }

    /// Whether everything at rest is imported. Mail that is deleted by a person or counted before the start is not.
    pub fn imports_all(self) -> bool {
        !matches!(self, Self::Start | Self::Shared)
    }

    fn person(self) -> bool {
        matches!(
            self,
            Self::Renewal | Self::Rotation | Self::LeftBehind | Self::Secret | Self::Redemption
        )
    }

    /// The scene with its past, in which nothing went wrong but what it says.
    pub async fn set(self, backend: Backend) -> Set {
        let mut options = Options {
            largest_page: if self == Self::Backlog { 2 } else { 1000 },
            light_tokens: true,
            ..Options::default()
        };
        if self.person() {
            options.users = vec![User::new(ADA, "Ada Moor")];
            if self == Self::Rotation {
                options.rotation = Rotation::Strict;
            }
            options.permissions = ["Mail.ReadWrite", "Mail.Read", "User.Read"].map(str::to_owned).to_vec();
        }
        let world = World::on(self as u64 + 1, options, backend, None);
        let mut set = Set {
            world,
            scenario: self,
            redemption: None,
            row: None,
        };
        Box::pin(set.past()).await;
        set
    }
}

impl Set {
    fn deliver(&self, folder: &str, text: String) -> String {
        let mailbox = self.scenario.accounts()[0].1;
        let delivery = Delivery::inbox(text.into_bytes()).folder(folder);
        self.world.simulator.deliver(mailbox, delivery).expect("delivered")
    }

    fn plain(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.deliver("inbox", mail(number, "hello"));
        }
    }

    async fn usual(&self, change: impl FnOnce(&mut Account)) {
        self.world.usual(change).await;
    }

    async fn imported(&self, count: usize) {
        self.plain(0..count);
        self.usual(|_| {}).await;
        self.world.settle("desk", 2).await;
    }

    #[expect(clippy::too_many_lines, reason = "one table: a few lines for the past of each scene")]
    async fn past(&mut self) {
        let world = &self.world;
        match self.scenario {
            Scenario::FirstImport => {
                self.plain(0..1);
                self.deliver("inbox", with_attachment());
                self.deliver(
                    "inbox",
                    mail(
                        2,
                        &"a line of sixty-two characters, so that it takes a few parts.\r\n".repeat(2_300),
                    ),
                );
                self.usual(|_| {}).await;
            }
            Scenario::Idle => self.imported(2).await,
            Scenario::Backlog => {
                self.plain(0..5);
                self.usual(|_| {}).await;
            }
            Scenario::Reset => {
                self.imported(3).await;
                world.simulator.evict_delta_state(DESK, "inbox").expect("a folder");
                self.plain(3..4);
            }
            Scenario::Changes => self.changes().await,
            Scenario::Marks => self.acting("mark-read").await,
            Scenario::Moves => self.acting("move:archive").await,
            Scenario::Deletes => self.acting("delete").await,
            Scenario::Debts => {
                self.plain(0..3);
                self.usual(|_| {}).await;
                world.owe(1).await;
                tokio::time::sleep(Duration::from_secs(600)).await;
            }
            Scenario::Poison => {
                self.plain(0..2);
                let id = world.simulator.truth(None)[0].immutable_id.clone();
                world
                    .simulator
                    .corrupt(DESK, &id, Some(Corruption::Always))
                    .expect("damaged");
                self.usual(|_| {}).await;
            }
            Scenario::Strikes => {
                self.plain(0..3);
                self.usual(|_| {}).await;
                world.wire.kill_on(&world.simulator.truth(None)[1].immutable_id);
                for _ in 0..2 {
                    let died = world.crash.or(self.run(&world.importer(), "desk")).await.is_none();
                    assert!(died, "it was to die of that mail");
                    world.restart();
                }
                world.wire.spare();
            }
            Scenario::Shared => {
                world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
                self.plain(0..2);
                self.deliver("Orders", mail(2, "an order"));
                self.usual(|_| {}).await;
                let mut orders = world.account("orders");
                orders.folders = vec![FolderName::parse("Orders").expect("a folder")];
                world.add_account(&orders).await;
            }
            Scenario::Renewal | Scenario::Rotation | Scenario::LeftBehind | Scenario::Secret | Scenario::Redemption => {
                self.people().await;
            }
            Scenario::Edit | Scenario::Removal => {
                self.plain(0..2);
                world.add_credential("app").await;
                self.add().await;
                self.row = Some(world.row("desk").await);
            }
            Scenario::Outbox => {
                self.plain(0..3);
                self.usual(|_| {}).await;
                let faults = world.memory.publisher.faults();
                faults.arm(None, PublisherFault::Refused, 1);
                world.run("desk").await;
            }
            Scenario::CleanUp => {
                self.plain(0..3);
                self.usual(|_| {}).await;
                for step in [18, 22, 26] {
                    world.crash.arm(Point::After(step));
                    let died = world.crash.or(self.run(&world.importer(), "desk")).await.is_none();
                    assert!(died, "nothing is to be cleaned up: it did not die at step {step}");
                    world.restart();
                }
                world.settle("desk", 2).await;
                let objects = world.objects("desk").await;
                assert!(objects.len() > 2 * 3, "nothing is to be cleaned up: {objects:?}");
            }
            Scenario::Throttled => {
                self.imported(1).await;
                self.plain(1..4);
                let fault = Fault::TooManyRequests {
                    retry_after: RetryAfter::Seconds(400),
                    wording: Wording::Json,
                };
                world.simulator.arm(FaultSpec::once(RequestKind::Value, fault).after(1));
            }
            Scenario::Start => {
                self.plain(0..3);
                tokio::time::sleep(Duration::from_secs(60)).await;
                self.usual(|account| account.start = Start::Now).await;
            }
        }
    }

    async fn acting(&self, what: &str) {
        self.plain(0..3);
        let after = AfterImport::parse(what).expect("an action");
        self.usual(|account| account.after_import = after).await;
    }

    async fn changes(&self) {
        let simulator = &self.world.simulator;
        let elsewhere = self.deliver("archive", mail(9, "from elsewhere"));
        self.imported(4).await;
        let ids: Vec<String> = simulator
            .truth(None)
            .into_iter()
            .map(|mail| mail.immutable_id)
            .collect();
        let of: Vec<&String> = ids.iter().filter(|id| **id != elsewhere).collect();
        simulator.move_message(DESK, of[0], "archive").expect("moved");
        simulator.move_message(DESK, of[1], "archive").expect("moved");
        simulator.move_message(DESK, of[1], "inbox").expect("moved");
        simulator.delete_message(DESK, of[2]).expect("deleted");
        simulator.mark(DESK, of[3], true).expect("marked");
        simulator.move_message(DESK, &elsewhere, "inbox").expect("moved");
        self.plain(4..5);
    }

    async fn people(&mut self) {
        let world = &self.world;
        self.plain(0..2);
        let credential = world.add_delegated("app", SCOPE).await;
        let mut account = world.account("desk");
        account.mailbox = Mailbox::Me;
        world.add_account(&account).await;
        if self.scenario == Scenario::Redemption {
            self.redemption = Some(world.redemption(&credential, ADA).await);
            return;
        }
        world.sign_in(&credential, ADA).await.expect("signed in");
        world.settle("desk", 1).await;
        if self.scenario == Scenario::LeftBehind {
            let vault = world.ports().vault;
            let old = vault.read(&credential.grant(), Stage::Current).await.expect("a vault");
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_hours(2)).await;
                world.settle("desk", 1).await;
            }
            let old = old.expect("a grant").value;
            vault.stage(&credential.grant(), &old).await.expect("staged");
        }
        tokio::time::sleep(Duration::from_hours(2)).await;
        self.plain(2..3);
        if self.scenario == Scenario::Secret {
            let app = world.simulator.registration().client_id;
            world.simulator.rotate_secret(&app, NEW_SECRET, true).expect("an app");
        }
    }

    fn manage(ports: &Ports) -> Manage {
        Manage::new(ports, &trusted(), "test")
    }

    async fn add(&self) {
        let form = AccountForm {
            id: "desk".into(),
            mailbox: DESK.into(),
            credential: "app".into(),
            start: "everything".into(),
            enabled: true,
            ..AccountForm::default()
        };
        let manage = Self::manage(&self.world.ports());
        manage.add_account(&form).await.expect("an account");
    }

    async fn run(&self, importer: &shared::import::Importer, account: &str) {
        // What a bent run says of itself is read at rest, from the records.
        let _ = importer.run(account, &RunOptions::new("test")).await;
    }

    /// What goes on when something goes wrong.
    pub async fn act(&self) {
        let (world, importer) = (&self.world, self.world.importer());
        match self.scenario {
            Scenario::Poison => {
                for pause in [0, 90, 400] {
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                    self.run(&importer, "desk").await;
                }
            }
            Scenario::Shared => {
                tokio::join!(self.run(&importer, "desk"), self.run(&importer, "orders"));
                self.run(&importer, "orders").await;
            }
            Scenario::Redemption => {
                if let Some(redemption) = self.redemption.clone() {
                    let _ = world.tokens().redeem(redemption).await;
                }
            }
            Scenario::Edit | Scenario::Removal => {
                let manage = Self::manage(&world.ports());
                let admin = async {
                    // After the run took its lease, and before it is over.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let Some(row) = &self.row else { return };
                    if self.scenario == Scenario::Edit {
                        let _ = manage.switch_account(row, false).await;
                    } else if let Ok(row) = Accounts::new(world.ports().store).get("desk").await {
                        let _ = manage.remove_account(&row, "").await;
                    }
                };
                tokio::join!(self.run(&importer, "desk"), admin);
            }
            Scenario::CleanUp => {
                if let Ok(row) = Accounts::new(world.ports().store).get("desk").await {
                    let _ = reconcile::orphans(&world.ports(), &world.archive(), &row).await;
                }
            }
            Scenario::Throttled => {
                let begun = world.clock.now();
                self.run(&importer, "desk").await;
                let took = shared::time::between(begun, world.clock.now());
                let bent = !world.crash.met().is_empty();
                assert!(
                    bent || took < Duration::from_secs(60),
                    "it slept through a wait of {took:?}"
                );
                let early: u64 = world.simulator.stats().mailboxes.values().map(|one| one.early).sum();
                assert!(bent || early == 0, "INV-11: {early} requests before their time");
            }
            _ => self.run(&importer, "desk").await,
        }
    }

    /// What a person, or the next tick, does afterwards. Nothing goes wrong any more.
    pub async fn recover(&self) {
        let world = &self.world;
        match self.scenario {
            Scenario::Poison => {
                let id = &world.simulator.truth(None)[0].immutable_id;
                world.simulator.corrupt(DESK, id, None).expect("mended");
                world.run("desk").await;
                for debt in Debts::new(world.store())
                    .page("desk", 100, None)
                    .await
                    .expect("debts")
                    .records
                {
                    let verb = debt::Verb::Retry;
                    debt::admin(&world.ports(), "desk", &debt.key, verb)
                        .await
                        .expect("tried again");
                }
            }
            Scenario::Secret => {
                let credentials = Credentials::new(world.store());
                let row = credentials.get("app").await.expect("a credential");
                assert!(!row.needs_sign_in, "a secret is the app's trouble, not the person's");
                let (vault, name) = (world.ports().vault, row.credential.client_secret);
                let version = vault.version(&name).await.expect("a vault");
                let secret = Secret::new(NEW_SECRET);
                vault.put(&name, &secret, version.as_ref()).await.expect("kept");
            }
            Scenario::Rotation => {
                for _ in 0..4 {
                    world.run("desk").await;
                    tokio::time::sleep(Duration::from_secs(301)).await;
                }
                let row = Credentials::new(world.store()).get("app").await.expect("a credential");
                // The one window: the server gave a new token and nobody kept it. Somebody has to sign in again.
                if row.needs_sign_in && !world.crash.met().is_empty() {
                    world.sign_in(&row.credential, ADA).await.expect("signed in again");
                }
                tokio::time::sleep(Duration::from_hours(2)).await;
            }
            Scenario::Redemption => {
                let row = Credentials::new(world.store()).get("app").await.expect("a credential");
                if row.sign_in.is_none() || row.needs_sign_in {
                    world.sign_in(&row.credential, ADA).await.expect("signed in again");
                }
            }
            Scenario::Edit => {
                let row = world.row("desk").await;
                let manage = Self::manage(&world.ports());
                manage.switch_account(&row, true).await.expect("enabled");
            }
            Scenario::Removal => {
                let manage = Self::manage(&world.ports());
                if let Ok(row) = Accounts::new(world.store()).get("desk").await {
                    manage.remove_account(&row, "").await.expect("removed");
                }
                self.add().await;
            }
            Scenario::Start => {
                world.run("desk").await;
                tokio::time::sleep(Duration::from_secs(60)).await;
                let old = &world.simulator.truth(None)[0].immutable_id;
                world.simulator.mark(DESK, old, true).expect("marked");
                self.plain(3..4);
            }
            _ => {}
        }
    }

    /// What holds of this scene and no other.
    pub async fn check(&self) {
        let world = &self.world;
        match self.scenario {
            Scenario::Start => {
                let messages = world.messages("desk").await;
                assert_eq!(messages.len(), 1, "only what came after the start: {messages:#?}");
            }
            Scenario::Shared => {
                let messages = world.messages("desk").await;
                let imported = messages.values().filter(|one| one.disposition == Disposition::Imported);
                assert_eq!(imported.count(), 3, "of both accounts");
            }
            Scenario::Marks | Scenario::Moves | Scenario::Deletes => {
                for one in world.simulator.truth(None) {
                    let done = match self.scenario {
                        Scenario::Marks => one.read,
                        Scenario::Moves => one.folder.as_deref() == Some("archive"),
                        _ => one.folder.as_deref() != Some("inbox"),
                    };
                    assert!(done, "not acted on: {one:?}");
                }
            }
            Scenario::Edit | Scenario::Removal => {
                let schedules = world.ports().scheduler.list().await.expect("schedules");
                let wanted = shared::manage::schedule_of(&world.row("desk").await.account);
                assert_eq!(schedules, [wanted], "the schedule says what the account says");
            }
            Scenario::LeftBehind => {
                let row = Credentials::new(world.store()).get("app").await.expect("a credential");
                assert!(
                    row.generation > 3,
                    "the sign-in went back to generation {}",
                    row.generation
                );
            }
            Scenario::CleanUp => {
                let now = world.clock.now();
                assert!(world.row("desk").await.last_success.is_some_and(|at| at <= now));
            }
            _ => {}
        }
    }
}
