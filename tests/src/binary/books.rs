//! The books of a data directory, read while no program is at work in it, and compared with the tenant's truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use local::adapters::{DataDir, OpenOptions, Opened, open};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shared::{
    message::{Disposition, Message},
    records::{
        accounts::{AccountRow, Accounts},
        messages::Messages,
    },
};
use simulator::TrueMessage;

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An opened data directory.
pub struct Books {
    root: PathBuf,
    opened: Opened,
}

impl Books {
    /// Opens them as the binary does.
    pub fn open(root: &Path) -> Self {
        let directory = DataDir::open(root).expect("a data directory");
        Self {
            root: root.to_owned(),
            opened: open(directory, &OpenOptions::default()).expect("books that open"),
        }
    }

    /// The account as it stands.
    pub async fn account(&self, id: &str) -> AccountRow {
        let accounts = Accounts::new(Arc::clone(&self.opened.ports.store));
        accounts.get(id).await.expect("the account")
    }

    /// Every message on record for an account's mailbox, by immutable id.
    pub async fn messages(&self, account: &str) -> BTreeMap<String, Message> {
        let row = self.account(account).await;
        let listing = Messages::new(Arc::clone(&self.opened.ports.store));
        let (mut found, mut after) = (BTreeMap::new(), None);
        loop {
            let page = listing
                .page(&row.mailbox, 200, after)
                .await
                .expect("a page of the list");
            let keys: Vec<_> = page.records.iter().map(|listed| listed.key.clone()).collect();
            let records = listing.known(&row.mailbox, &keys).await.expect("records");
            assert_eq!(records.len(), keys.len(), "what is listed is on record, once");
            for record in records {
                let twice = found.insert(record.immutable_id.0.clone(), record);
                assert!(twice.is_none(), "listed twice: {twice:?}");
            }
            match page.next {
                Some(mark) => after = Some(mark),
                None => return found,
            }
        }
    }

    /// The event log as it stands in the file: every line must be an event.
    pub fn events(&self, account: &str) -> Vec<Value> {
        let path = self.root.join("events").join(format!("{account}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "the last event is whole");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line that is an event"))
            .collect()
    }

    /// A file of an attempt.
    pub fn file(&self, attempt: &str, name: &str) -> Vec<u8> {
        let path = self.root.join("archive").join(attempt).join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The files that lie in the archive of an account, each as `account/key/attempt/..`.
    pub fn archived_files(&self, account: &str) -> Vec<String> {
        let archive = self.root.join("archive");
        let mut found = Vec::new();
        let mut open = vec![archive.join(account)];
        while let Some(directory) = open.pop() {
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
                match path.strip_prefix(&archive) {
                    Ok(_) if path.is_dir() => open.push(path),
                    Ok(inside) => found.push(inside.to_string_lossy().into_owned()),
                    Err(_) => {}
                }
            }
        }
        found.sort();
        found
    }

    /// Checks an account at rest against the truth of its mailbox: every message that was ever in `folder` and is no
    /// draft is imported, with bytes that match, and with exactly one event; nothing is owed, set aside or unsent.
    /// `same_bytes`: the tenant gives the same MIME at every call. Answers how many messages there are.
    pub async fn check(&self, account: &str, folder: &str, truth: &[TrueMessage], same_bytes: bool) -> usize {
        let messages = self.messages(account).await;
        let wanted: Vec<&TrueMessage> = truth
            .iter()
            .filter(|one| !one.draft && one.folder_history.iter().any(|was| was.eq_ignore_ascii_case(folder)))
            .collect();
        for one in &wanted {
            let message = messages
                .get(&one.immutable_id)
                .unwrap_or_else(|| panic!("{account}: lost: {} ({})", one.subject, one.immutable_id));
            assert_eq!(
                message.disposition,
                Disposition::Imported,
                "{account}: {}: {:?} {:#?}",
                one.subject,
                message.reason,
                message.story
            );
            let archived = message.archived.as_ref().expect("imported with bytes");
            let bytes = self.file(&archived.path, "message.eml");
            assert_eq!(sha256(&bytes), archived.sha256, "bytes as recorded: {}", one.subject);
            assert_eq!(bytes.len() as u64, archived.size, "size as recorded: {}", one.subject);
            if same_bytes {
                assert_eq!(archived.sha256, one.sha256, "bytes as in the mailbox: {}", one.subject);
            }
            self.check_parts(&archived.path, archived.size, archived.attachments);
        }
        assert_eq!(messages.len(), wanted.len(), "{account}: nothing that never was");
        self.check_events(account, &messages);
        let row = self.account(account).await;
        assert_eq!(
            (row.owed, row.quarantined, row.unsent()),
            (0, 0, 0),
            "{account}: at rest"
        );
        wanted.len()
    }

    fn check_parts(&self, attempt: &str, size: u64, attachments: u32) {
        let parsed: Value = serde_json::from_slice(&self.file(attempt, "message.json")).expect("message.json");
        assert_eq!(parsed["size"].as_u64(), Some(size), "{attempt}: size in message.json");
        let listed = parsed["attachments"].as_array().expect("attachments");
        assert_eq!(listed.len(), attachments as usize, "{attempt}: attachments");
        for attachment in listed {
            let name = attachment["file_name"].as_str().expect("a file name");
            let bytes = self.file(attempt, &format!("attachments/{name}"));
            assert_eq!(
                attachment["sha256"].as_str(),
                Some(sha256(&bytes).as_str()),
                "{attempt}: {name}"
            );
        }
    }

    /// Exactly one event per message: numbers without a gap and in order, ids that differ, keys that differ.
    fn check_events(&self, account: &str, messages: &BTreeMap<String, Message>) {
        let events = self.events(account);
        let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence"].as_u64()).collect();
        let counted: Vec<u64> = (1..=events.len() as u64).collect();
        assert_eq!(
            numbers, counted,
            "{account}: sequence numbers in the order of the log, without a gap"
        );
        let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(ids.len(), events.len(), "{account}: event ids differ");
        let told: BTreeMap<&str, u64> = events
            .iter()
            .filter_map(|event| Some((event["message"].as_str()?, event["sequence"].as_u64()?)))
            .collect();
        assert_eq!(told.len(), events.len(), "{account}: no message is told of twice");
        let recorded: BTreeMap<&str, u64> = messages
            .values()
            .filter(|message| message.disposition == Disposition::Imported)
            .map(|message| (message.key.0.as_str(), message.sequence.expect("a sequence number")))
            .collect();
        assert_eq!(
            told, recorded,
            "{account}: one event per imported message, with its number"
        );
    }
}
