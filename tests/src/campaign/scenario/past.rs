//! What each scene has behind it: mail, accounts, people, dead lives.

use std::time::Duration;

use shared::{
    account::{AfterImport, FolderName, Mailbox, Start},
    manage::schedule_of,
    memory::PublisherFault,
    ports::Stage,
};
use simulator::{Corruption, Fault, FaultSpec, RequestKind, RetryAfter, Wording};

use super::{ADA, NEW_SECRET, Scenario, Set, mail};
use crate::world::{DESK, Point};

const SCOPE: &str = "Mail.ReadWrite offline_access";

fn with_attachment() -> String {
    "From: a@b.example\r\nSubject: with a file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
     --b\r\nContent-Type: text/plain\r\n\r\nsee the file\r\n--b\r\nContent-Type: application/pdf\r\n\
     Content-Disposition: attachment; filename=report.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n"
        .to_owned()
}

impl Set {
    #[expect(clippy::too_many_lines, reason = "one table: a few lines for the past of each scene")]
    pub(super) async fn past(&mut self) {
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
                // Twice, so that what is owed was noted once more.
                for pause in [90, 600] {
                    world.owe(1).await;
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                }
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
            Scenario::Strikes => self.die_of_a_mail(2).await,
            Scenario::Deadly => self.die_of_a_mail(3).await,
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
            Scenario::Retirement => {
                self.imported(2).await;
                let old = world.add_delegated("old", SCOPE).await;
                world.sign_in(&old, ADA).await.expect("signed in");
            }
            Scenario::Schedules => {
                self.plain(0..2);
                world.add_credential("app").await;
                self.add().await;
                let scheduler = world.ports().scheduler;
                let mut wrong = schedule_of(&world.row("desk").await.account);
                wrong.every += Duration::from_secs(600);
                scheduler.put(&wrong).await.expect("changed by hand");
                wrong.account = "ghost".into();
                scheduler.put(&wrong).await.expect("left behind");
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

    /// So many lives end while they read the second of three mails.
    async fn die_of_a_mail(&self, lives: usize) {
        let world = &self.world;
        self.plain(0..3);
        self.usual(|_| {}).await;
        world.wire.kill_on(&self.deadly());
        for _ in 0..lives {
            let died = world.crash.or(self.run(&world.importer(), "desk")).await.is_none();
            assert!(died, "it was to die of that mail");
            world.restart();
        }
        world.wire.spare();
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
        // Never seen, and what is told of it is that it left.
        let unseen = self.deliver("inbox", mail(5, "away and back"));
        simulator.move_message(DESK, &unseen, "archive").expect("moved");
        simulator.move_message(DESK, &unseen, "inbox").expect("moved");
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
}
