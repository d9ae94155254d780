//! What a run did, for people, scripts and alarms.

use std::sync::{Mutex, PoisonError, atomic::AtomicU64};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::{AccountState, exit},
    graph::Requests,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything there was to do is done.
    Done,
    /// It went well, but there is more to do or something is owed.
    Incomplete,
    /// Another run has the lease of this mailbox; nothing was done.
    Busy,
    /// It stopped and goes on by itself later.
    Waiting,
    /// It stopped and somebody must act.
    Failed,
}

/// Something an admin should read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The folder, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// What happened, why, where to mend it.
    pub what: String,
    /// Microsoft's request id, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// Its id.
    pub run: String,
    /// The account.
    pub account: String,
    /// What started it: `schedule`, `command line`, `watch`.
    pub trigger: String,
    /// When it began, by our clock.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// How the account is now.
    pub state: AccountState,
    /// Messages recorded with an event.
    pub imported: u64,
    /// When the oldest of these came in, by the server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Messages on pages that were on record already.
    pub known: u64,
    /// Messages that a rule keeps out.
    pub filtered: u64,
    /// Messages from before the start.
    pub before_start: u64,
    /// Messages set aside in this run.
    pub quarantined: u64,
    /// Messages that left before they could be imported.
    pub gone: u64,
    /// Messages owed now, over all runs.
    pub owed: u64,
    /// Messages set aside now, over all runs.
    #[serde(default)]
    pub set_aside: u64,
    /// Pages read.
    pub pages: u64,
    /// Requests sent, by kind.
    pub requests: Requests,
    /// Requests sent in all.
    pub requests_total: u64,
    /// Bytes of mail received.
    pub bytes: u64,
    /// Answers of 429.
    pub throttled: u64,
    /// Milliseconds waited because Microsoft asked for it.
    pub waited_ms: u64,
    /// Events delivered.
    pub delivered: u64,
    /// Events recorded and not delivered yet.
    pub undelivered: u64,
    /// Actions done in the mailbox.
    pub acted: u64,
    /// Actions still wanted.
    pub actions_pending: u64,
    /// There is more to do than this run could.
    pub more: bool,
    /// It goes on by itself, not before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on_at: Option<Timestamp>,
    /// What stopped it, by the name of the table in [`crate::error`]; none if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// What an admin should read.
    pub problems: Vec<Problem>,
}

impl RunReport {
    /// Whether it did or found anything worth a row.
    pub fn is_idle(&self) -> bool {
        self.outcome == Outcome::Done
            && self.imported
                + self.filtered
                + self.quarantined
                + self.gone
                + self.before_start
                + self.acted
                + self.delivered
                == 0
            && self.problems.is_empty()
    }

    /// The exit code for a script: 0 only if nothing is owed and nothing is set aside.
    pub fn exit_code(&self) -> u8 {
        match (self.outcome, self.state) {
            (Outcome::Done, _) if self.owed + self.set_aside == 0 => exit::OK,
            (Outcome::Done | Outcome::Incomplete | Outcome::Busy, _) => exit::OWED,
            (Outcome::Waiting, _) => exit::UNAVAILABLE,
            (Outcome::Failed, AccountState::NeedsSignIn | AccountState::NeedsAdmin) => exit::ADMIN,
            (Outcome::Failed, AccountState::NeedsOperator) => exit::OPERATOR,
            (Outcome::Failed, _) => exit::FAILED,
        }
    }
}

/// The last run, as the account remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its id.
    pub run: String,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// How the account is.
    pub state: AccountState,
    /// The first problem, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Live numbers of a run, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages recorded.
    pub imported: AtomicU64,
    /// Messages on record already.
    pub known: AtomicU64,
    /// Messages waiting to be fetched.
    pub queued: AtomicU64,
    /// Bytes of mail.
    pub bytes: AtomicU64,
    phase: Mutex<String>,
}

impl Progress {
    /// What it is doing, in words.
    pub fn phase(&self) -> String {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_phase(&self, phase: impl Into<String>) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase.into();
    }
}
