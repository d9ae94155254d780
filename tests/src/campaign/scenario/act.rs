//! What goes on in each scene when something goes wrong.

use std::time::Duration;

use shared::{
    import::reconcile,
    ports::{Clock as _, Tokens as _},
    records::{accounts::Accounts, credentials::Credentials},
    watch::mend_schedules,
};

use super::{Scenario, Set};

impl Set {
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
            Scenario::Retirement => {
                let row = Credentials::new(world.ports().store).get("old").await;
                let manage = Self::manage(&world.ports());
                let admin = async {
                    if let Ok(row) = row {
                        let _ = manage.remove_credential(&row).await;
                    }
                };
                tokio::join!(self.run(&importer, "desk"), admin);
            }
            Scenario::Schedules => {
                let ports = world.ports();
                let _ = mend_schedules(&*ports.scheduler, &Accounts::new(ports.store)).await;
                self.run(&importer, "desk").await;
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
}
