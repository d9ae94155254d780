//! What the simulator counted: for tests that bound the number of requests, and for people.

use crate::faults::RequestKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// A snapshot of the counts.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Requests of all kinds, parts of batches included.
    pub total: u64,
    /// By kind.
    pub by_kind: BTreeMap<RequestKind, u64>,
    /// By HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Tokens given out.
    pub tokens_issued: u64,
    /// Faults that happened.
    pub faults_met: u64,
    /// Requests below `/v1.0` without a token that serves.
    pub unauthorized: u64,
    /// Per mailbox (address).
    pub mailboxes: BTreeMap<String, MailboxStats>,
}

/// The counts of one mailbox.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxStats {
    /// Requests with a token that serves.
    pub requests: u64,
    /// By kind.
    pub by_kind: BTreeMap<RequestKind, u64>,
    /// Answers with 429.
    pub throttled: u64,
    /// Requests in flight now.
    pub running: u32,
    /// Most requests at once; the ones refused for it included.
    pub max_concurrent: u32,
    /// Requests that came before a `Retry-After` of at most an hour had passed.
    pub early: u64,
    /// Requests in the sliding window now.
    pub in_window: usize,
    /// For how long slots were taken, all together, in milliseconds: from the request to the last byte of the answer.
    pub held_ms: u64,
    /// Bytes of MIME handed out.
    pub value_bytes: u64,
}

impl Stats {
    pub(crate) fn request(&mut self, kind: RequestKind) {
        self.total += 1;
        *self.by_kind.entry(kind).or_default() += 1;
    }

    pub(crate) fn mailbox(&mut self, address: &str) -> &mut MailboxStats {
        self.mailboxes.entry(address.to_owned()).or_default()
    }

    /// Requests of a kind so far.
    pub fn count(&self, kind: RequestKind) -> u64 {
        self.by_kind.get(&kind).copied().unwrap_or(0)
    }
}
