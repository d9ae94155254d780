//! What each scene needs afterwards, from a person or the next tick, and what holds of it and no other.

use std::time::Duration;

use shared::{
    import::debt,
    message::Disposition,
    ports::{Clock as _, TokenNeed, Tokens as _},
    records::{accounts::Accounts, credentials::Credentials, debts::Debts},
    secret::Secret,
    watch::mend_schedules,
};

use simulator::TrueMessage;

use super::{ADA, NEW_SECRET, Scenario, Set};
use crate::world::{Bend, DESK};

/// After that a mail that was set aside for the first time is tried again.
const A_QUARTER: Duration = Duration::from_secs(1_000);

impl Set {
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
            Scenario::Deadly => {
                world.run("desk").await;
                let jumped = world.crash.met().iter().any(|(_, _, bend)| *bend == Bend::Jump);
                let record = &world.messages("desk").await[&self.deadly()];
                assert!(
                    jumped || (record.disposition == Disposition::Owed && record.archived.is_some()),
                    "a fourth life took a mail of which three had died: {record:?}"
                );
                tokio::time::sleep(A_QUARTER).await;
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
            Scenario::Retirement => {
                let manage = Self::manage(&world.ports());
                if let Ok(row) = Credentials::new(world.store()).get("old").await {
                    manage.remove_credential(&row).await.expect("removed");
                }
            }
            Scenario::Schedules => {
                let (scheduler, accounts) = (world.ports().scheduler, Accounts::new(world.store()));
                mend_schedules(&*scheduler, &accounts).await.expect("mended");
                let (_, again) = mend_schedules(&*scheduler, &accounts).await.expect("nothing to mend");
                assert_eq!(again, 0, "what is right is put right again");
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

    /// What holds at any moment: nothing is done to a mail before it is on record.
    pub async fn in_order(&self) {
        let acts = matches!(self.scenario, Scenario::Marks | Scenario::Moves | Scenario::Deletes);
        if !acts {
            return;
        }
        let messages = self.world.messages("desk").await;
        for one in self.world.simulator.truth(None).iter().filter(|one| self.is_done(one)) {
            let record = messages.get(&one.immutable_id);
            assert!(
                record.is_some_and(|record| record.disposition == Disposition::Imported),
                "acted on before it was on record: {one:?}"
            );
        }
    }

    fn is_done(&self, mail: &TrueMessage) -> bool {
        match self.scenario {
            Scenario::Marks => mail.read,
            Scenario::Moves => mail.folder.as_deref() == Some("archive"),
            _ => mail.folder.as_deref() != Some("inbox"),
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
                    assert!(self.is_done(&one), "not acted on: {one:?}");
                }
            }
            Scenario::Edit | Scenario::Removal | Scenario::Schedules => {
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
            Scenario::Retirement => {
                let row = Credentials::new(world.store()).get("old").await;
                assert!(row.is_err(), "it is there again: {row:?}");
                let need = TokenNeed::Usable;
                let token = world.tokens().access_token("old", need).await;
                assert!(token.is_err(), "a credential that is no more gives tokens");
            }
            Scenario::CleanUp => {
                let now = world.clock.now();
                assert!(world.row("desk").await.last_success.is_some_and(|at| at <= now));
            }
            _ => {}
        }
    }
}
