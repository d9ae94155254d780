//! The accounts of a storm, and the admin who edits, removes and adds them, and deals with debts.

use std::{rc::Rc, sync::Arc, time::Duration};

use crate::world::DESK;
use rand::{Rng as _, seq::IndexedRandom as _};
use shared::{
    account::{Account, AfterImport, FolderName, Mailbox},
    import::debt::{Verb, admin},
    ports::{Clock as _, TokenNeed, Tokens as _},
    records::{accounts::Accounts, credentials::Credentials, debts::Debts},
};
use simulator::Rotation;

use super::{ADA, Size, Storm, plan::SIDE};

/// More than that, so that renewals of the day before count no more.
const A_DAY: Duration = Duration::from_hours(25);

impl Storm {
    fn accounts(&self) -> Accounts {
        Accounts::new(Arc::new(self.world.memory.store.clone()))
    }

    /// As the account is made at first.
    fn blank(&self, id: &str) -> Account {
        let mut account = self.world.account(id);
        let folder = match id {
            "side" => {
                account.mailbox = Mailbox::parse(SIDE).expect("an address");
                "inbox"
            }
            "orders" => "Orders",
            _ => "inbox",
        };
        account.folders = vec![FolderName::parse(folder).expect("a folder")];
        account
    }

    fn after_import(&self) -> AfterImport {
        let choices = ["none", "none", "mark-read", "move:archive", "delete"];
        let text = self.draw(|rng| *choices.choose(rng).unwrap_or(&"none"));
        AfterImport::parse(text).expect("an action")
    }

    /// Mailboxes, folders, the first mail, the accounts.
    pub(super) async fn found(&self) {
        let simulator = &self.world.simulator;
        simulator.add_mailbox(SIDE);
        for (mailbox, folder) in [
            (DESK, "Orders"),
            (SIDE, "Orders"),
            (DESK, "Elsewhere"),
            (SIDE, "Elsewhere"),
        ] {
            simulator.create_folder(mailbox, folder, false).expect("a folder");
        }
        for (mailbox, folder) in [(DESK, "inbox"), (DESK, "Orders"), (SIDE, "inbox")] {
            let count = self.draw(|rng| rng.random_range(0..40)) / if self.size == Size::Small { 3 } else { 1 };
            simulator.fill(mailbox, folder, count, 20).expect("filled");
        }
        if self.shape.person.is_some() {
            let scope = "Mail.ReadWrite.Shared User.Read offline_access";
            let credential = self.world.add_delegated("app", scope).await;
            self.world.sign_in(&credential, ADA).await.expect("signed in");
        } else {
            self.world.add_credential("app").await;
        }
        for id in self.ids() {
            let mut account = self.blank(id);
            account.after_import = self.after_import();
            account.subfolders = *id == "desk" && self.draw(|rng| rng.random_ratio(1, 4));
            if *id == "side" && self.draw(rand::Rng::random) {
                account.folders.push(FolderName::parse("Orders").expect("a folder"));
            }
            self.say(format!("{id}: {} {:?}", account.after_import, account.folders));
            self.world.add_account(&account).await;
        }
    }

    /// Whoever watches: renews the sign-in now and then; somebody signs in anew where that is asked for, or just so.
    pub(super) async fn renewing(self: Rc<Self>) {
        let process = self.process();
        while !self.over.get() {
            let pause = self.draw(|rng| rng.random_range(0..2_400_000));
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let (again, new) = self.draw(|rng| (rng.random_ratio(1, 5), rng.random()));
            if !self.happens() {
                continue;
            }
            if again {
                let done = self.sign_in_again().await;
                self.say(format!("signed in again: {done}"));
                continue;
            }
            process.crash.plan(self.bends());
            let need = if new { TokenNeed::New } else { TokenNeed::Usable };
            let token = process.tokens.access_token("app", need).await;
            process.crash.disarm();
            self.say(format!(
                "renewed: {:?}",
                token.map(|token| token.fresh).map_err(|error| error.what)
            ));
        }
    }

    /// A person who meets an error page leaves, and comes back another time.
    async fn sign_in_again(&self) -> bool {
        if self.world.simulator.faults().iter().any(simulator::ArmedFault::is_live) {
            return false;
        }
        let Ok(row) = Credentials::new(self.world.store()).get("app").await else {
            return false;
        };
        self.world.sign_in(&row.credential, ADA).await.is_ok()
    }

    /// A strictly rotating server and a death in one window end a sign-in: somebody has to sign in again, and does.
    pub(super) async fn mend_sign_in(&self) {
        let Some(rotation) = self.shape.person else { return };
        let row = Credentials::new(self.world.store())
            .get("app")
            .await
            .expect("a credential");
        let lost = row.needs_sign_in || row.refused_at.is_some() || row.interrupted;
        self.say(format!("needs sign-in: {} {rotation:?}", row.needs_sign_in));
        if lost && !self.sign_in_again().await {
            // So many renewals in one day are taken no more; on the next day they are.
            tokio::time::sleep(A_DAY).await;
            assert!(self.sign_in_again().await, "nobody can sign in again");
        }
    }

    /// What such a window cost may show only with the next renewal.
    pub(super) async fn mend_late(&self) {
        if self.shape.person == Some(Rotation::Strict) {
            let row = Credentials::new(self.world.store()).get("app").await;
            if row.expect("a credential").needs_sign_in {
                self.mend_sign_in().await;
            }
        }
    }

    async fn add(&self, account: &Account) -> bool {
        let graph = url::Url::parse(&format!("{}/v1.0", crate::world::ORIGIN)).expect("a URL");
        let key = account.mailbox_key(&graph);
        self.accounts().add(account, &key, self.world.clock.now()).await.is_ok()
    }

    /// An admin at work until the storm is over. What the store refuses, he leaves.
    pub(super) async fn administer(self: Rc<Self>) {
        while !self.over.get() {
            let pause = self.draw(|rng| rng.random_range(0..900_000));
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let id = self.draw(|rng| self.ids()[rng.random_range(0..self.ids().len())]);
            if !self.happens() {
                continue;
            }
            let Ok(row) = self.accounts().get(id).await else {
                if self.accounts().get(id).await.is_err() {
                    let done = self.add(&self.blank(id)).await;
                    self.say(format!("{id} added again: {done}"));
                }
                continue;
            };
            let mut account = row.account.clone();
            match self.draw(|rng| rng.random_range(0..10)) {
                0 | 1 => account.after_import = self.after_import(),
                2 => account.description.push('x'),
                3 => {
                    account.enabled = !account.enabled;
                    // Whatever the store says: a schedule may fire late, and none may fire at all.
                    let mut off = self.disabled.borrow_mut();
                    let _ = if account.enabled {
                        off.remove(id)
                    } else {
                        off.insert(id)
                    };
                }
                4 if id == "side" => {
                    let orders = FolderName::parse("Orders").expect("a folder");
                    let had = account.folders.len();
                    account.folders.retain(|folder| *folder != orders);
                    if account.folders.len() == had {
                        account.folders.push(orders);
                    }
                }
                5 => {
                    let done = self.accounts().remove(&row).await;
                    self.say(format!("{id} removed: {done:?}"));
                    continue;
                }
                _ => {
                    self.deal_with_a_debt(id).await;
                    continue;
                }
            }
            let done = self.accounts().edit(&account, &row).await.is_ok();
            self.say(format!("{id} edited: {done}"));
        }
    }

    async fn deal_with_a_debt(&self, id: &str) {
        let ports = self.world.ports();
        let Ok(page) = Debts::new(ports.store.clone()).page(id, 50, None).await else {
            return;
        };
        let Some(debt) = self.draw(|rng| page.records.choose(rng).cloned()) else {
            return;
        };
        let verb = self.draw(|rng| {
            if rng.random_ratio(1, 3) {
                Verb::Dismiss
            } else {
                Verb::Retry
            }
        });
        if verb == Verb::Dismiss {
            // Even an answer that was lost may have dismissed it.
            self.dismissed.borrow_mut().insert(debt.key.0.clone());
        }
        let done = admin(&ports, id, &debt.key, verb).await.is_ok();
        self.say(format!("{id}: {verb:?} {}: {done}", debt.key));
    }

    /// Every account is there and enabled.
    pub(super) async fn mend_accounts(&self) {
        for id in self.ids() {
            match self.accounts().get(id).await {
                Ok(row) if row.account.enabled => {}
                Ok(row) => {
                    let mut account = row.account.clone();
                    account.enabled = true;
                    self.accounts().edit(&account, &row).await.expect("edited");
                }
                Err(_) => assert!(self.add(&self.blank(id)).await, "{id} cannot be added"),
            }
        }
    }

    /// Whatever was set aside is tried again; how many there are.
    pub(super) async fn retry_all(&self, id: &str) -> usize {
        let ports = self.world.ports();
        let debts = Debts::new(ports.store.clone())
            .page(id, 1000, None)
            .await
            .expect("debts")
            .records;
        for debt in debts.iter().filter(|debt| debt.quarantined) {
            admin(&ports, id, &debt.key, Verb::Retry).await.expect("tried again");
        }
        debts.len()
    }
}
