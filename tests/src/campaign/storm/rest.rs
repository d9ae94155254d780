//! The end of a storm: all is mended, and the accounts run until they are at rest.

use std::{rc::Rc, time::Duration};

use shared::import::{RunOptions, report::Outcome};
use simulator::Latency;

use super::Storm;
use crate::world::DESK;

/// After a storm the accounts run so far apart, and at least once more than so often: the folders are walked anew once a day.
const REST: Duration = Duration::from_secs(13 * 3600);
const RESTS: usize = 2;

impl Storm {
    /// All is mended, and everything has more than a day.
    pub(super) async fn settle(self: &Rc<Self>) {
        let frozen = self.frozen.take();
        for one in frozen {
            one.await.expect("a frozen run that woke up");
        }
        let (simulator, memory) = (&self.world.simulator, &self.world.memory);
        simulator.clear_faults();
        memory.store.faults().clear();
        memory.vault.faults().clear();
        memory.publisher.faults().clear();
        simulator.set_latency(Latency {
            service: Duration::ZERO,
            network: Duration::ZERO,
        });
        for mail in simulator.truth(None).iter().filter(|mail| mail.corrupt) {
            // A mail that is gone for good needs no repair.
            let _ = simulator.corrupt(&mail.mailbox, &mail.immutable_id, None);
        }
        if simulator.folder_id(DESK, "Orders").is_err()
            && simulator.rename_folder(DESK, "Orders of old", "Orders").is_err()
        {
            simulator.create_folder(DESK, "Orders", false).expect("a folder");
        }
        self.mend_accounts().await;
        self.mend_sign_in().await;
        self.say("the storm is over");
        let process = self.process();
        for round in 0.. {
            tokio::time::sleep(REST).await;
            let mut quiet = round >= RESTS;
            for id in self.ids() {
                self.runs.set(self.runs.get() + 1);
                let report = process.importer.run(id, &RunOptions::new("storm")).await;
                self.note(&report);
                let report = report.expect("a run");
                quiet &= report.outcome == Outcome::Done && report.actions_pending == 0;
                quiet &= self.retry_all(id).await == 0;
            }
            if quiet {
                return;
            }
            self.mend_late().await;
            assert!(round < 60, "not settled after {round} rounds");
        }
    }
}
