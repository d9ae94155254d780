//! The memory vault: versions, stages, compare-and-set and the daily budget, as fussy as Secrets Manager.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::Faults;
use crate::{
    ports::{Clock, SecretName, SecretVersion, Stage, Vault, VaultEntry, VaultError},
    secret::Secret,
};

/// How many versions a secret may get within [`BUDGET_WINDOW`].
const BUDGET: usize = 30;
const BUDGET_WINDOW: Duration = Duration::from_hours(24);
/// The most bytes of one value: 64 KiB, as in Secrets Manager.
const VALUE_BYTES: usize = 64 * 1024;

/// The calls of a vault, for arming faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultCall {
    /// [`Vault::read`]
    Read,
    /// [`Vault::version`]
    Version,
    /// [`Vault::put`]
    Put,
    /// [`Vault::stage`]
    Stage,
    /// [`Vault::promote`]
    Promote,
    /// [`Vault::remove`]
    Remove,
}

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultFault {
    /// A write answers *conflict*; nothing was written. A read passes.
    Conflict,
    /// The write is applied and the answer is lost: *unavailable*.
    AcknowledgementLost,
    /// Answers *unavailable*; nothing was written or read.
    Unavailable,
    /// Answers *denied*.
    Denied,
    /// A read of the current version shows the one before it; other calls pass.
    Stale,
}

/// Secrets in memory. A clone is a second handle to the same secrets.
#[derive(Clone)]
pub struct MemoryVault {
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
    faults: Faults<VaultCall, VaultFault>,
}

#[derive(Default)]
struct Kept {
    secrets: BTreeMap<SecretName, Stages>,
    counter: u64,
}

#[derive(Default)]
struct Stages {
    current: Option<VaultEntry>,
    previous: Option<VaultEntry>,
    pending: Option<VaultEntry>,
    written: Vec<Timestamp>,
}

impl MemoryVault {
    /// An empty vault whose days pass by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            kept: Arc::default(),
            clock,
            faults: Faults::default(),
        }
    }

    /// The faults to arm.
    pub fn faults(&self) -> &Faults<VaultCall, VaultFault> {
        &self.faults
    }

    /// The names of all secrets.
    pub fn names(&self) -> Vec<SecretName> {
        self.kept().secrets.keys().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens before a call; answers whether its acknowledgement is to be lost, or its read to be stale.
    fn meet(&self, call: VaultCall, name: &SecretName) -> Result<Option<VaultFault>, VaultError> {
        check_name(name)?;
        let write = !matches!(call, VaultCall::Read | VaultCall::Version);
        match self.faults.meet(call) {
            Some(VaultFault::Unavailable) => Err(VaultError::Unavailable("armed fault".into())),
            Some(VaultFault::Denied) => Err(VaultError::Denied("armed fault".into())),
            Some(VaultFault::Conflict) if write => Err(VaultError::Conflict { name: name.clone() }),
            other => Ok(other),
        }
    }
}

/// A lost acknowledgement turns the answer into *unavailable*.
fn acknowledge<T>(fault: Option<VaultFault>, answer: T) -> Result<T, VaultError> {
    if fault == Some(VaultFault::AcknowledgementLost) {
        Err(VaultError::Unavailable("the answer was lost".into()))
    } else {
        Ok(answer)
    }
}

impl Kept {
    fn new_version(&mut self, name: &SecretName, value: &Secret, now: Timestamp) -> Result<VaultEntry, VaultError> {
        let secret = self.secrets.entry(name.clone()).or_default();
        // Either way: a clock that was wrong for a while must not use up the budget of years.
        secret
            .written
            .retain(|written| now.duration_since(*written).unsigned_abs() < BUDGET_WINDOW);
        if secret.written.len() >= BUDGET {
            return Err(VaultError::Budget { name: name.clone() });
        }
        secret.written.push(now);
        self.counter += 1;
        Ok(VaultEntry {
            version: SecretVersion(format!("v{}", self.counter)),
            value: value.clone(),
        })
    }

    fn expect(&self, name: &SecretName, expected: Option<&SecretVersion>) -> Result<(), VaultError> {
        let current = self
            .secrets
            .get(name)
            .and_then(|secret| secret.current.as_ref())
            .map(|entry| &entry.version);
        if current == expected {
            Ok(())
        } else {
            Err(VaultError::Conflict { name: name.clone() })
        }
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        let fault = self.meet(VaultCall::Read, name)?;
        let kept = self.kept();
        let Some(secret) = kept.secrets.get(name) else {
            return Ok(None);
        };
        Ok(match stage {
            Stage::Current if fault == Some(VaultFault::Stale) && secret.previous.is_some() => secret.previous.clone(),
            Stage::Current => secret.current.clone(),
            Stage::Previous => secret.previous.clone(),
            Stage::Pending => secret.pending.clone(),
        })
    }

    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        self.meet(VaultCall::Version, name)?;
        Ok(self
            .kept()
            .secrets
            .get(name)
            .and_then(|secret| secret.current.as_ref())
            .map(|entry| entry.version.clone()))
    }

    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        check_value(name, value)?;
        let fault = self.meet(VaultCall::Put, name)?;
        let mut kept = self.kept();
        kept.expect(name, expected)?;
        let entry = kept.new_version(name, value, self.clock.now())?;
        let version = entry.version.clone();
        let secret = kept.secrets.entry(name.clone()).or_default();
        secret.previous = secret.current.replace(entry);
        secret.pending = None;
        acknowledge(fault, version)
    }

    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        check_value(name, value)?;
        let fault = self.meet(VaultCall::Stage, name)?;
        let mut kept = self.kept();
        let entry = kept.new_version(name, value, self.clock.now())?;
        let version = entry.version.clone();
        kept.secrets.entry(name.clone()).or_default().pending = Some(entry);
        acknowledge(fault, version)
    }

    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        let fault = self.meet(VaultCall::Promote, name)?;
        let mut kept = self.kept();
        kept.expect(name, expected)?;
        let conflict = || VaultError::Conflict { name: name.clone() };
        let secret = kept.secrets.get_mut(name).ok_or_else(conflict)?;
        let pending = secret
            .pending
            .take_if(|pending| pending.version == *version)
            .ok_or_else(conflict)?;
        secret.previous = secret.current.replace(pending);
        acknowledge(fault, ())
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        let fault = self.meet(VaultCall::Remove, name)?;
        self.kept().secrets.remove(name);
        acknowledge(fault, ())
    }
}

/// What every vault refuses: a name that is not `client/`, `grant/`, `access/` or `sign-in/` and 1 to 128 of `a-z A-Z 0-9 - _`.
pub fn check_name(name: &SecretName) -> Result<(), VaultError> {
    let id = ["client/", "grant/", "access/", "sign-in/"]
        .iter()
        .find_map(|kind| name.0.strip_prefix(kind));
    let good = id.is_some_and(|id| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    if good {
        Ok(())
    } else {
        Err(VaultError::Denied(format!(
            "the name {name:?} is not client|grant|access|sign-in / id"
        )))
    }
}

/// What every vault refuses: an empty value, and one over 64 KiB.
pub fn check_value(name: &SecretName, value: &Secret) -> Result<(), VaultError> {
    let bytes = value.expose().len();
    if (1..=VALUE_BYTES).contains(&bytes) {
        Ok(())
    } else {
        Err(VaultError::Denied(format!(
            "the value of {name} has {bytes} bytes; it must have 1 to {VALUE_BYTES}"
        )))
    }
}
