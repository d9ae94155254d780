//! What an admin does, whatever they do it with: credentials and accounts made, changed, removed.
//!
//! The command line and the console call the same functions, so that both refuse the same and note the same.

mod account_changes;
mod accounts;
mod credentials;
mod reach;
pub mod shown;

use std::sync::Arc;

use crate::{
    error::Next,
    field::FieldError,
    origin::TrustedOrigins,
    ports::{Ports, ScheduleError, VaultError},
    records::{RecordError, accounts::Accounts, audit::Audit, credentials::Credentials},
};

pub use account_changes::AccountChanges;
pub use accounts::{AccountForm, needs_sign_in, not_in_the_future, same_cloud, schedule_of};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// A field cannot be taken as typed.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A record is missing, taken, or changed by somebody else.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The vault did not take the secret.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The schedule was not put.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// It is refused as things stand.
    #[error("{0}")]
    Refused(String),
}

impl ManageError {
    /// What next?
    pub fn next(&self) -> Next {
        match self {
            Self::Field(_) | Self::Refused(_) => Next::FixAccount,
            Self::Record(error) => error.next(),
            Self::Vault(error) => error.next(),
            Self::Schedule(_) => Next::Operator,
        }
    }

    /// The field and its reason, if one field is wrong.
    pub fn field(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Field(error) | Self::Record(RecordError::Field(error)) => Some((error.field, error.reason.clone())),
            Self::Record(error @ RecordError::Taken { .. }) => Some(("id", error.to_string())),
            _ => None,
        }
    }
}

/// An admin at work.
#[derive(Clone)]
pub struct Manage {
    ports: Ports,
    trusted: TrustedOrigins,
    by: String,
    credentials: Credentials,
    accounts: Accounts,
    audit: Audit,
}

impl Manage {
    /// Over these ports; `by` is who the admin is or what they use, as the audit tells it.
    pub fn new(ports: &Ports, trusted: &TrustedOrigins, by: &str) -> Self {
        let store = &ports.store;
        Self {
            credentials: Credentials::new(Arc::clone(store)),
            accounts: Accounts::new(Arc::clone(store)),
            audit: Audit::new(Arc::clone(store), Arc::clone(&ports.rng)),
            ports: ports.clone(),
            trusted: trusted.clone(),
            by: by.to_owned(),
        }
    }

    /// Notes an act.
    pub async fn note(&self, what: &str) -> Result<(), RecordError> {
        self.audit.note(self.ports.clock.now(), &self.by, what).await
    }
}
