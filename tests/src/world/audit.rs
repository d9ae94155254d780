//! The audit: ground truth against records, archive and events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shared::{
    message::{Disposition, Fidelity, Message},
    records::debts::Debts,
};

use super::{DESK, World};

/// Compares what there must be with what there is.
pub struct Audit<'w> {
    world: &'w World,
    account: String,
    mailbox: String,
    bytes: bool,
}

impl<'w> Audit<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            account: "desk".into(),
            mailbox: DESK.into(),
            bytes: true,
        }
    }

    /// Of another account and mailbox.
    #[must_use]
    pub fn of(mut self, account: &str, mailbox: &str) -> Self {
        account.clone_into(&mut self.account);
        mailbox.clone_into(&mut self.mailbox);
        self
    }

    /// The mailbox makes MIME anew at every call: bytes are compared with the record only.
    #[must_use]
    pub fn varying(mut self) -> Self {
        self.bytes = false;
        self
    }

    /// Every message that ever was in the inbox and is no draft is imported, once: record, bytes, event.
    pub async fn all_imported(self) -> BTreeMap<String, Message> {
        let messages = self.consistent().await;
        for truth in self.world.simulator.truth(Some(&self.mailbox)) {
            if truth.draft
                || !truth
                    .folder_history
                    .iter()
                    .any(|folder| folder.eq_ignore_ascii_case("inbox"))
            {
                continue;
            }
            let message = messages
                .get(&truth.immutable_id)
                .unwrap_or_else(|| panic!("lost: {} ({})", truth.subject, truth.immutable_id));
            assert_eq!(
                message.disposition,
                Disposition::Imported,
                "{}: {:?}",
                truth.subject,
                message.reason
            );
            // What Exchange could not give as MIME was put together from its parts, and says so.
            if self.bytes && message.fidelity != Some(Fidelity::Reconstructed) {
                let archived = message.archived.as_ref().expect("bytes");
                assert_eq!(archived.sha256, truth.sha256, "bytes of {}", truth.subject);
            }
        }
        messages
    }

    /// Whatever is imported has bytes that match its record and exactly one event; numbers have no gap; counters and
    /// debts agree; every message of the truth that was in the inbox is accounted for.
    pub async fn consistent(&self) -> BTreeMap<String, Message> {
        let world = self.world;
        let mut messages = world.messages(&self.account).await;
        // Other accounts of the same mailbox have counters and numbers of their own.
        messages.retain(|_, message| message.account == self.account);
        let row = world.row(&self.account).await;
        let events = world.events(&self.account);
        let mut numbers = BTreeMap::new();
        for event in &events {
            let number = event["sequence"].as_u64().expect("a number");
            let before = numbers.insert(number, event["message"].as_str().expect("a key").to_owned());
            assert!(before.is_none(), "number {number} twice");
        }
        let gapless: Vec<u64> = (1..=events.len() as u64).collect();
        assert_eq!(
            numbers.keys().copied().collect::<Vec<_>>(),
            gapless,
            "numbers without a gap"
        );
        let order: Vec<u64> = events.iter().filter_map(|event| event["sequence"].as_u64()).collect();
        assert!(order.is_sorted(), "events in order");
        let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(ids.len(), events.len(), "event ids are distinct");
        let imported: Vec<&Message> = messages
            .values()
            .filter(|message| message.disposition == Disposition::Imported)
            .collect();
        assert_eq!(imported.len(), events.len(), "one event per imported message");
        assert_eq!(row.unsent(), 0, "nothing unsent");
        for message in &imported {
            let number = message.sequence.expect("a number");
            assert_eq!(numbers.get(&number), Some(&message.key.0), "event {number}");
            let archived = message.archived.as_ref().expect("bytes");
            let bytes = world.object(&archived.path, "message.eml").await;
            assert_eq!(hex(&Sha256::digest(&bytes)), archived.sha256, "bytes as recorded");
            let parsed: Value =
                serde_json::from_slice(&world.object(&archived.path, "message.json").await).expect("JSON");
            assert_eq!(parsed["size"].as_u64(), Some(archived.size));
            for attachment in parsed["attachments"].as_array().expect("attachments") {
                let name = attachment["file_name"].as_str().expect("a name");
                let bytes = world.object(&archived.path, &format!("attachments/{name}")).await;
                assert_eq!(
                    attachment["sha256"].as_str(),
                    Some(hex(&Sha256::digest(&bytes)).as_str()),
                    "attachment {name}"
                );
            }
        }
        let count = |wanted| {
            messages
                .values()
                .filter(|message| message.disposition == wanted)
                .count()
        };
        assert_eq!(
            i64::try_from(count(Disposition::Imported)).ok(),
            Some(row.recorded),
            "recorded"
        );
        assert_eq!(i64::try_from(count(Disposition::Owed)).ok(), Some(row.owed), "owed");
        assert_eq!(
            i64::try_from(count(Disposition::Quarantined)).ok(),
            Some(row.quarantined),
            "quarantined"
        );
        messages
    }

    /// The equation: every message of the truth that lies in a folder of the account is recorded, owed, set aside with a
    /// reason, or was there before the start; what is gone is not there. Debts and records agree, no strike is left.
    pub async fn accounted(&self, before_start: usize) {
        let world = self.world;
        let row = world.row(&self.account).await;
        assert!(
            row.in_flight.is_empty(),
            "a strike marker is left at rest: {:?}",
            row.in_flight
        );
        let mut messages = world.messages(&self.account).await;
        let debts = Debts::new(world.store());
        let owed = debts.page(&self.account, 1000, None).await.expect("debts").records;
        for debt in &owed {
            let record = messages.get(&debt.immutable_id.0);
            let wanted = if debt.quarantined {
                Disposition::Quarantined
            } else {
                Disposition::Owed
            };
            assert_eq!(record.map(|record| record.disposition), Some(wanted), "{debt:?}");
            assert!(!debt.reason.is_empty(), "INV-12: {debt:?}");
        }
        let aside = owed.iter().filter(|debt| debt.quarantined).count();
        let counted = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        assert_eq!(
            (counted(owed.len() - aside), counted(aside)),
            (row.owed, row.quarantined),
            "debts and counters"
        );
        let actions = debts.actions(&self.account, 1000, None).await.expect("actions").records;
        assert_eq!(counted(actions.len()), row.actions, "actions and their counter");
        let followed: BTreeSet<&String> = row.folders.values().map(|folder| &folder.id).collect();
        let mut unknown = 0;
        for truth in world.simulator.truth(Some(&self.mailbox)) {
            let inside = truth.folder_id.as_ref().is_some_and(|folder| followed.contains(folder));
            match messages.remove(&truth.immutable_id) {
                Some(record) => match record.disposition {
                    Disposition::Imported => {}
                    Disposition::Gone => assert!(!inside, "said to be gone: {truth:?}"),
                    _ => assert!(
                        record.reason.as_ref().is_some_and(|reason| !reason.is_empty()),
                        "INV-12: nobody knows why: {record:?}"
                    ),
                },
                None => unknown += usize::from(inside && !truth.draft),
            }
        }
        assert!(messages.is_empty(), "records of what never was: {messages:#?}");
        assert_eq!(unknown, before_start, "neither recorded nor owed nor before the start");
    }

    /// Every object in the archive belongs to an attempt that a record names. To be asked after reconciliation.
    pub async fn archive_is_named(&self) {
        let messages = self.world.messages(&self.account).await;
        let named: BTreeSet<&str> = messages
            .values()
            .filter_map(|message| Some(message.archived.as_ref()?.path.as_str()))
            .collect();
        let fence = self.world.row(&self.account).await.fence;
        for object in self.world.objects(&self.account).await {
            let attempt: Vec<&str> = object.splitn(4, '/').take(3).collect();
            let of = attempt
                .get(2)
                .and_then(|name| shared::import::reconcile::fence_of(name));
            // What was written under the last fence may still be somebody's.
            let may_be_written = of.is_some_and(|of| of >= fence);
            assert!(
                may_be_written || named.contains(attempt.join("/").as_str()),
                "INV-7: {object} is nobody's"
            );
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    shared::import::fetch::hex(bytes)
}
