//! The truth: every message there ever was, where it is and was, to compare an import with.

use crate::clock::graph_time;
use crate::mailbox::ids::IdFormat;
use crate::mailbox::{ItemKey, Mailbox};
use crate::simulator::Simulator;
use crate::stats::Stats;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// One message as it really is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts of a message, as the JSON shows them"
)]
pub struct TrueMessage {
    /// Address of its mailbox.
    pub mailbox: String,
    /// The id that stays.
    pub immutable_id: String,
    /// The id that changes with moves; the last one for a message that is gone.
    pub default_id: String,
    /// Folder now (well-known name or path), `None` when it is gone for good.
    pub folder: Option<String>,
    /// Id of that folder.
    pub folder_id: Option<String>,
    /// Folders in the order it came to them.
    pub folder_history: Vec<String>,
    /// Gone for good.
    pub deleted: bool,
    /// Read.
    pub read: bool,
    /// An unsent draft.
    pub draft: bool,
    /// A damaged item, which cannot be read.
    pub corrupt: bool,
    /// Subject as Graph shows it.
    pub subject: String,
    /// Message-ID with angle brackets.
    pub message_id: Option<String>,
    /// `receivedDateTime`.
    pub received: String,
    /// The same in Unix milliseconds.
    pub received_ms: i64,
    /// Bytes of the canonical MIME.
    pub size: usize,
    /// SHA-256 of the canonical MIME, lower-case hex.
    pub sha256: String,
}

impl Simulator {
    /// Every message of a mailbox (or of all), in the order they came.
    pub fn truth(&self, mailbox: Option<&str>) -> Vec<TrueMessage> {
        let state = self.lock();
        let wanted =
            |m: &&Mailbox| mailbox.is_none_or(|n| m.address.eq_ignore_ascii_case(n) || m.guid.eq_ignore_ascii_case(n));
        state
            .mailboxes
            .iter()
            .filter(wanted)
            .flat_map(|m| (0..m.items.len()).filter_map(|key| one(m, key)))
            .collect()
    }

    /// The canonical MIME of a message by either id, also of one that is gone (by its immutable id).
    pub fn canonical_mime(&self, mailbox: &str, id: &str) -> Option<bytes::Bytes> {
        let state = self.lock();
        let m = state.mailbox_named(mailbox).and_then(|at| state.mailboxes.get(at))?;
        let key = m
            .item_by_id(id)
            .or_else(|| (0..m.items.len()).find(|k| m.id_of(*k, IdFormat::Immutable) == id))?;
        m.items.get(key).map(|item| item.mime.bytes())
    }

    /// The counts so far.
    pub fn stats(&self) -> Stats {
        let mut guard = self.lock();
        let state = &mut *guard;
        for (at, mailbox) in state.mailboxes.iter().enumerate() {
            let seen = state.gate.figures(at);
            let counts = state.stats.mailbox(&mailbox.address);
            (counts.running, counts.max_concurrent, counts.early) = (seen.running, seen.most_running, seen.early);
            counts.in_window = seen.in_window;
            counts.held_ms = u64::try_from(seen.held.as_millis()).unwrap_or(u64::MAX);
        }
        state.stats.clone()
    }

    /// Checks what must hold at rest: no slot taken, nobody came back early, no fault left that could still happen.
    /// Answers what does not hold.
    pub fn complaints(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (address, stats) in &self.stats().mailboxes {
            if stats.running > 0 {
                out.push(format!("{address}: {} requests are still running", stats.running));
            }
            if stats.early > 0 {
                out.push(format!(
                    "{address}: {} requests came before Retry-After had passed",
                    stats.early
                ));
            }
        }
        for armed in self
            .faults()
            .iter()
            .filter(|a| a.is_live() && a.spec.times != crate::faults::Times::Always)
        {
            out.push(format!("fault {} is still armed: {:?}", armed.id, armed.spec.fault));
        }
        out
    }
}

fn one(mailbox: &Mailbox, key: ItemKey) -> Option<TrueMessage> {
    let item = mailbox.items.get(key)?;
    let folder = if item.alive { Some(item.folder) } else { None };
    let sha256 = item.sha256.get_or_init(|| {
        let digest = Sha256::digest(item.mime.bytes());
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    });
    Some(TrueMessage {
        mailbox: mailbox.address.clone(),
        immutable_id: mailbox.id_of(key, IdFormat::Immutable),
        default_id: mailbox.id_of(key, IdFormat::Default),
        folder: folder.map(|f| mailbox.folder_label(f)),
        folder_id: folder.and_then(|f| mailbox.folders.get(f)).map(|f| f.id.clone()),
        folder_history: item.history.iter().map(|(f, _)| mailbox.folder_label(*f)).collect(),
        deleted: !item.alive,
        read: item.read,
        draft: item.draft,
        corrupt: item.corruption.is_some(),
        subject: item.facts.subject.clone(),
        message_id: item.facts.message_id.clone(),
        received: graph_time(item.received_ms),
        received_ms: item.received_ms,
        size: item.size,
        sha256: sha256.clone(),
    })
}
