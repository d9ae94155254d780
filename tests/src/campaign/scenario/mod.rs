//! What a life may be in the middle of when something goes wrong: small scenes, each with a past, an act and a recovery.

mod act;
mod after;
mod past;

use std::cell::RefCell;

use shared::{
    account::Account,
    import::{RunOptions, report::Outcome},
    manage::{AccountForm, Manage},
    origin::TrustedOrigins,
    ports::{Ports, Redemption},
    records::accounts::AccountRow,
};
use simulator::{Delivery, Options, Rotation, User};

use crate::world::{Backend, DESK, World};

const ADA: &str = "ada@harbour-homes.example";
const NEW_SECRET: &str = "another-secret-of-the-same-app";

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
    /// Three lives died of a mail: it is set aside, so that the fourth lives.
    Deadly,
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
    /// An admin removes a credential that nothing applies any more, with all its secrets.
    Retirement,
    /// Schedules do not say what the accounts say: one was changed by hand, one is of an account that is no more.
    Schedules,
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
    ends: RefCell<Vec<Option<Outcome>>>,
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

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 26] = [
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
        Self::Deadly,
        Self::Shared,
        Self::Renewal,
        Self::Rotation,
        Self::LeftBehind,
        Self::Secret,
        Self::Redemption,
        Self::Edit,
        Self::Removal,
        Self::Retirement,
        Self::Schedules,
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
        if self.person() || self == Self::Retirement {
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
            ends: RefCell::default(),
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

    /// The mail of which lives die.
    fn deadly(&self) -> String {
        self.world.simulator.truth(None)[1].immutable_id.clone()
    }

    async fn usual(&self, change: impl FnOnce(&mut Account)) {
        self.world.usual(change).await;
    }

    async fn imported(&self, count: usize) {
        self.plain(0..count);
        self.usual(|_| {}).await;
        self.world.settle("desk", 2).await;
    }

    /// How the runs of the act ended; nothing where one did not begin.
    pub fn ends(&self) -> Vec<Option<Outcome>> {
        self.ends.borrow().clone()
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
        // What a bent run did is read at rest, from the records; how it ended is compared with how it ends unbent.
        let report = importer.run(account, &RunOptions::new("test")).await;
        self.ends.borrow_mut().push(report.ok().map(|report| report.outcome));
    }
}
