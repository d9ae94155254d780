//! Why a command did not do it: a sentence, a kind for scripts, an exit code.

use serde_json::{Value, json};
use shared::{
    archive::ArchiveError,
    config::ConfigError,
    error::{Next, exit},
    field::FieldError,
    import::{RunError, reconcile::ReconcileError},
    manage::ManageError,
    oauth::TokenError,
    ports::{ScheduleError, StoreError, VaultError},
    records::RecordError,
};

use crate::adapters::OpenError;

/// Why a command did not do it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For scripts.
    pub(crate) kind: &'static str,
    /// What, why, where to mend it.
    pub(crate) what: String,
    /// One of [`exit`].
    pub(crate) exit: u8,
}

impl Failure {
    /// Something was typed wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new("usage", what, exit::USAGE)
    }

    /// It was refused as things stand.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::new("refused", what, exit::FAILED)
    }

    /// There is none.
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::new("missing", what, exit::FAILED)
    }

    /// Disk, store or vault.
    pub(crate) fn operator(what: impl Into<String>) -> Self {
        Self::new("operator", what, exit::OPERATOR)
    }

    pub(crate) fn new(kind: &'static str, what: impl Into<String>, exit: u8) -> Self {
        Self {
            kind,
            what: what.into(),
            exit,
        }
    }

    /// As `--json` shows it.
    pub(crate) fn json(&self) -> Value {
        json!({"error": {"what": self.what, "kind": self.kind}})
    }

    fn next(what: String, next: &Next) -> Self {
        let kind = match next {
            Next::Retry { .. } | Next::ResetCursor => "unavailable",
            Next::Reauthorize => "sign_in",
            Next::FixCredential => "credential",
            Next::FixAccount => "account",
            Next::Quarantine => "owed",
            Next::Operator => "operator",
            Next::Fail => "failed",
        };
        Self::new(kind, what, next.meaning().exit_code)
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::new("field", error.to_string(), exit::USAGE)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Field(error) => error.into(),
            RecordError::Missing { .. } => Self::missing(error.to_string()),
            RecordError::Taken { .. } => Self::new("taken", error.to_string(), exit::FAILED),
            RecordError::InUse(_) => Self::refused(error.to_string()),
            RecordError::Store(error) => error.into(),
            RecordError::Changed { .. } | RecordError::Unreadable { .. } => {
                Self::next(error.to_string(), &error.next())
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::next(error.to_string(), &error.next())
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::next(error.to_string(), &error.next())
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let trace = error
            .trace
            .as_ref()
            .map(|trace| format!(" [{trace}]"))
            .unwrap_or_default();
        Self::next(format!("{error}{trace}"), &error.next())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let what = error.to_string();
        match error {
            OpenError::Store(error) => Self::next(what, &error.next()),
            OpenError::Vault(error) => Self::next(what, &error.next()),
            OpenError::Serving { .. } => Self::refused(what),
            OpenError::NoHome(_) | OpenError::NotADirectory { .. } | OpenError::CaFile { .. } | OpenError::Tls(_) => {
                Self::usage(what)
            }
            OpenError::Io { .. } | OpenError::TooOpen { .. } | OpenError::Newer { .. } | OpenError::Foreign { .. } => {
                Self::operator(what)
            }
        }
    }
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        Self::operator(error.to_string())
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::operator(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Record(error) => error.into(),
        }
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Archive(error) => error.into(),
            ReconcileError::Record(error) => error.into(),
        }
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Field(error) => error.into(),
            ManageError::Record(error) => error.into(),
            ManageError::Vault(error) => error.into(),
            ManageError::Schedule(error) => error.into(),
            ManageError::Refused(what) => Self::refused(what),
        }
    }
}

impl From<crate::reconcile::Error> for Failure {
    fn from(error: crate::reconcile::Error) -> Self {
        match error {
            crate::reconcile::Error::Reconcile(error) => error.into(),
            directory @ crate::reconcile::Error::Directory { .. } => Self::operator(directory.to_string()),
        }
    }
}
