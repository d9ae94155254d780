//! After a storm: what must hold when all faults are over and everything had its time.

use std::collections::BTreeSet;

use crate::{campaign::Hits, world::DESK};
use sha2::{Digest as _, Sha256};
use shared::{
    message::{Disposition, Fidelity, Message},
    records::{accounts::Accounts, debts::Debts},
};

use super::{Storm, Told, plan::SIDE};

impl Storm {
    /// Everything there must be, compared with everything there is.
    pub(super) async fn check(&self) {
        let world = &self.world;
        for id in self.ids() {
            let mailbox = if *id == "side" { SIDE } else { DESK };
            world.audit().of(id, mailbox).consistent().await;
            self.check_row(id).await;
        }
        world.in_order();
        for id in ["desk", "side"] {
            let mailbox = if id == "side" { SIDE } else { DESK };
            let messages = world.messages(id).await;
            let watched = self.watched(mailbox).await;
            for truth in world.simulator.truth(Some(mailbox)) {
                let inside = truth.folder_id.as_ref().is_some_and(|folder| watched.contains(folder));
                let record = messages.get(&truth.immutable_id);
                if let (true, false) = (inside, truth.draft) {
                    let record = record.unwrap_or_else(|| panic!("{mailbox}: lost: {truth:?}"));
                    assert!(self.is_settled(record, true), "{mailbox}: {truth:?} is {record:?}");
                } else if let Some(record) = record {
                    assert!(self.is_settled(record, false), "{mailbox}: {truth:?} is {record:?}");
                }
                // The same bytes whenever they are asked for: what is archived is what there is.
                if let (Some(record), false, false) = (record, self.shape.vary_mime, truth.subject == "a draft")
                    && let (Some(archived), Some(Fidelity::Mime)) = (&record.archived, record.fidelity)
                {
                    assert_eq!(archived.sha256, truth.sha256, "bytes of {}", truth.subject);
                }
            }
        }
        let early_allowed = !self.shape.is_orderly();
        for (address, stats) in &world.simulator.stats().mailboxes {
            assert_eq!(stats.running, 0, "{address}: requests are still running");
            assert!(
                early_allowed || stats.early == 0,
                "{address}: {} requests came early",
                stats.early
            );
            let most = if self.shape.is_orderly() {
                4
            } else {
                // A clock that is ahead takes a lease over while requests of its holder are on their way.
                4 * (1 + self.deaths.get() + u32::from(self.shape.skew))
            };
            assert!(
                stats.max_concurrent <= most,
                "{address}: {} requests at once, {most} allowed",
                stats.max_concurrent
            );
        }
        for (host, path) in self.asked() {
            assert_eq!(host, "simulator.test", "asked {path} of a stranger");
        }
        let stats = world.simulator.stats();
        let mail = world.simulator.truth(None).len() as u64;
        // What is clean costs so much; a fault costs a page and a body more, and the walk anew it may bring.
        let most = 60 * u64::from(self.runs.get()) + 12 * mail + 400 + 3 * stats.faults_met;
        assert!(stats.total <= most, "{} requests, {most} allowed", stats.total);
    }

    /// Mail that lies where it arrived, in a folder that this account follows: immutable id and folder.
    pub(super) async fn at_rest(&self, id: &str) -> BTreeSet<(String, String)> {
        let accounts = Accounts::new(std::sync::Arc::new(self.world.memory.store.clone()));
        let Ok(row) = accounts.get(id).await else {
            return BTreeSet::new();
        };
        let followed: BTreeSet<String> = row.folders.into_values().map(|folder| folder.id).collect();
        let mailbox = if id == "side" { SIDE } else { DESK };
        let truth = self.world.simulator.truth(Some(mailbox));
        truth
            .into_iter()
            .filter(|mail| mail.folder_history.len() == 1 && !mail.draft)
            .filter_map(|mail| Some((mail.immutable_id, mail.folder_id?)))
            .filter(|(_, folder)| followed.contains(folder))
            .collect()
    }

    /// A run that says it is done is done: whatever lay at rest before and after it is on record.
    pub(super) async fn check_done(&self, id: &str, before: &BTreeSet<(String, String)>) {
        let after = self.at_rest(id).await;
        if after.is_empty() {
            return;
        }
        let messages = self.world.messages(id).await;
        for (mail, _) in before.intersection(&after) {
            let Some(record) = messages.get(mail) else {
                panic!("{id} is done, but nothing is known of {mail}");
            };
            assert!(
                record.disposition != Disposition::Gone,
                "{id}: {mail} lies where it arrived, and is said to have left: {:?}",
                record.reason
            );
        }
    }

    fn is_settled(&self, record: &Message, inside: bool) -> bool {
        match record.disposition {
            Disposition::Imported => true,
            Disposition::Filtered => {
                self.dismissed.borrow().contains(&record.key.0)
                    || !inside
                    || record.reason.as_deref() == Some("a copy of a Teams chat")
            }
            Disposition::Gone => !inside,
            Disposition::Owed | Disposition::Quarantined => false,
        }
    }

    async fn check_row(&self, id: &str) {
        let row = self.world.row(id).await;
        assert!(
            row.in_flight.is_empty(),
            "{id}: a strike marker is left: {:?}",
            row.in_flight
        );
        let debts = Debts::new(std::sync::Arc::new(self.world.memory.store.clone()));
        let owed = debts.page(id, 1000, None).await.expect("debts").records;
        let aside = counted(owed.iter().filter(|debt| debt.quarantined).count());
        assert_eq!(
            (counted(owed.len()) - aside, aside),
            (row.owed, row.quarantined),
            "{id}: debts and counters"
        );
        let actions = debts.actions(id, 1000, None).await.expect("actions").records;
        assert_eq!(counted(actions.len()), row.actions, "{id}: actions and counter");
        assert_eq!(row.actions, 0, "{id}: actions are left: {actions:?}");
    }

    /// Ids of the folders that some account follows.
    async fn watched(&self, mailbox: &str) -> BTreeSet<String> {
        let mut watched = BTreeSet::new();
        for id in self.ids() {
            if (*id == "side") == (mailbox == SIDE) {
                watched.extend(self.world.row(id).await.folders.into_values().map(|folder| folder.id));
            }
        }
        watched
    }

    /// What it came to.
    pub(super) fn told(&self) -> Told {
        let mut hits = Hits::default();
        for crash in self.crashes.borrow().iter() {
            for (_, op, bend) in crash.met() {
                hits.add(op, bend);
            }
        }
        Told {
            digest: self.digest(),
            happenings: self.happenings.get(),
            faults: hits.total() + self.world.simulator.stats().faults_met,
            hits,
        }
    }

    /// The trace and the end state in one digest: the same seed gives the same.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for line in self.trace.borrow().iter() {
            digest.update(line);
            digest.update("\n");
        }
        for item in self.world.memory.store.dump() {
            let item = (&item.key.partition, &item.key.sort, &item.attributes);
            serde_json::to_writer(&mut digest, &item).expect("an item is JSON");
        }
        shared::import::fetch::hex(&digest.finalize())
    }
}

fn counted(rows: usize) -> i64 {
    i64::try_from(rows).expect("a few")
}
