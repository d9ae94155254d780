//! The port of secrets: versions, stages, compare-and-set.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// The name of a secret: `{client|grant|access}/{random id}`, or `sign-in/console`; never an admin's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(pub String);

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One version of a secret. Opaque; carries no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretVersion(pub String);

/// A secret as read, with the version it is.
#[derive(Clone)]
pub struct VaultEntry {
    /// The version read.
    pub version: SecretVersion,
    /// Its text.
    pub value: Secret,
}

/// Which version to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The one that counts (`AWSCURRENT`).
    Current,
    /// The one before it (`AWSPREVIOUS`).
    Previous,
    /// Written, not yet the one that counts (`AWSPENDING`).
    Pending,
}

/// Why the vault did not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The current version is not the expected one: somebody else wrote. Nothing changed.
    #[error("the secret {name} was changed by somebody else")]
    Conflict {
        /// The secret.
        name: SecretName,
    },
    /// The right is missing or the key is disabled.
    #[error("the vault refuses: {0}")]
    Denied(String),
    /// Not reachable just now.
    #[error("the vault is not available: {0}")]
    Unavailable(String),
    /// The key is missing or does not open it, or what was read is not what was written: an operator must act.
    #[error("the vault cannot be opened: {0}")]
    Damaged(String),
    /// The daily budget of versions of this secret is used up (AWS: 100 versions in 24 hours; ours: 30 a day).
    #[error("the secret {name} has used up its versions for today")]
    Budget {
        /// The secret.
        name: SecretName,
    },
}

/// Secrets. AWS: Secrets Manager. One machine: a sealed file.
///
/// - Versioned: a put makes a new current version; the one before stays readable as [`Stage::Previous`].
/// - `put` with `expected: Some(v)` succeeds only if the current version is `v`; with `None` only if there is no
///   current version. Otherwise [`VaultError::Conflict`]: this is the compare-and-set that refreshing stands on.
///   A put that succeeds takes an earlier pending version away, a refused one changes nothing.
/// - `stage` writes a [`Stage::Pending`] version without touching the current one; `promote` makes it current under the
///   same compare-and-set, and the label *pending* is gone afterwards.
///   Promoting a version that is not the pending one is [`VaultError::Conflict`].
/// - Values of 1 byte to 64 KiB are kept to the byte; others, and names of another shape, are [`VaultError::Denied`].
/// - Every `put` and `stage` that succeeds counts towards the daily budget, `promote` does not.
/// - Nothing is removed but by `remove`, which takes all versions and is fine with an absent secret.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads one version; `None` if there is none.
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError>;
    /// The version that is current, without reading the value.
    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError>;
    /// Writes a new current version.
    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError>;
    /// Writes a pending version (replaces an earlier pending one).
    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError>;
    /// Makes the pending version `version` current if the current one still is `expected`.
    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError>;
    /// Removes the secret with all versions.
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError>;
}
