//! What each failure means and what happens next: one table.
//!
//! Every room has its own error enum and decides, where the wire is seen, what a failure means. Upward, code asks one
//! question only: what next?

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing is wrong with us or the admin: try again by itself, not before the given time if there is one.
    Retry {
        /// Microsoft's wish, if it stated one.
        after: Option<Duration>,
    },
    /// Somebody must sign in again.
    Reauthorize,
    /// An admin must change the credential or the permissions of the app.
    FixCredential,
    /// An admin must change the account: mailbox, folder.
    FixAccount,
    /// The folder is walked anew.
    ResetCursor,
    /// This one message is set aside.
    Quarantine,
    /// An operator must look at the machine: disk, store, vault.
    Operator,
    /// A defect of ours or an answer nobody foresaw.
    Fail,
}

/// How one failure looks from every side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// State of the account in the console and on the command line.
    pub account: AccountState,
    /// HTTP status where a request asked for it.
    pub http_status: u16,
    /// Error type that reaches Lambda, so that alarms can count it.
    pub error_type: &'static str,
    /// Exit code of the command line.
    pub exit_code: u8,
}

/// How an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Nothing to do for anybody.
    Healthy,
    /// It goes on by itself.
    Waiting,
    /// Somebody must sign in.
    NeedsSignIn,
    /// An admin must act.
    NeedsAdmin,
    /// An operator must act.
    NeedsOperator,
}

/// Exit codes of the command line; scripts rely on them.
pub mod exit {
    /// Done, nothing owed.
    pub const OK: u8 = 0;
    /// It failed; the message says why.
    pub const FAILED: u8 = 1;
    /// The command was typed wrong, or a field cannot be taken.
    pub const USAGE: u8 = 2;
    /// It ran, but something is owed or there is more to do.
    pub const OWED: u8 = 3;
    /// Somebody must sign in, or change the credential or account.
    pub const ADMIN: u8 = 4;
    /// Microsoft or the network was not available; trying again later helps.
    pub const UNAVAILABLE: u8 = 5;
    /// Disk, store or vault need an operator.
    pub const OPERATOR: u8 = 6;
}

impl Next {
    /// The table.
    pub fn meaning(&self) -> Meaning {
        use AccountState::{NeedsAdmin, NeedsOperator, NeedsSignIn, Waiting};
        let (account, http_status, error_type, exit_code) = match self {
            Self::Retry { .. } => (Waiting, 503, "Transient", exit::UNAVAILABLE),
            Self::Reauthorize => (NeedsSignIn, 409, "Reauthorize", exit::ADMIN),
            Self::FixCredential => (NeedsAdmin, 409, "FixCredential", exit::ADMIN),
            Self::FixAccount => (NeedsAdmin, 409, "FixAccount", exit::ADMIN),
            Self::ResetCursor => (Waiting, 503, "ResetCursor", exit::OWED),
            Self::Quarantine => (Waiting, 422, "Quarantine", exit::OWED),
            Self::Operator => (NeedsOperator, 500, "Operator", exit::OPERATOR),
            Self::Fail => (NeedsOperator, 500, "Defect", exit::FAILED),
        };
        Meaning {
            account,
            http_status,
            error_type,
            exit_code,
        }
    }
}

impl crate::ports::StoreError {
    /// What next?
    pub fn next(&self) -> Next {
        match self {
            Self::ConditionFailed { .. } | Self::Conflict | Self::Unavailable(_) => Next::Retry { after: None },
            Self::CannotWrite(_) | Self::Damaged(_) => Next::Operator,
            Self::Contract(_) => Next::Fail,
        }
    }
}

impl crate::ports::VaultError {
    /// What next?
    pub fn next(&self) -> Next {
        match self {
            Self::Conflict { .. } | Self::Unavailable(_) => Next::Retry { after: None },
            Self::Denied(_) | Self::Damaged(_) | Self::Budget { .. } => Next::Operator,
        }
    }
}

impl crate::records::RecordError {
    /// What next?
    pub fn next(&self) -> Next {
        match self {
            Self::Store(error) => error.next(),
            Self::Missing { .. } | Self::Taken { .. } | Self::Field(_) | Self::InUse(_) => Next::FixAccount,
            Self::Changed { .. } => Next::Retry { after: None },
            Self::Unreadable { .. } => Next::Operator,
        }
    }
}
