//! The audit: ground truth against records, archive and events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shared::message::{Disposition, Fidelity, Message};

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
}

fn hex(bytes: &[u8]) -> String {
    shared::import::fetch::hex(bytes)
}
