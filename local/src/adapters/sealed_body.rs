//! What is under the seal: the versions of every secret, and the rules by which they change.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    ports::{Rng, SecretName, SecretVersion, Stage, VaultEntry, VaultError},
    secret::Secret,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many versions a secret may get within [`BUDGET_WINDOW`].
const BUDGET: usize = 30;
const BUDGET_WINDOW: Duration = Duration::from_hours(24);

/// All secrets, as they are sealed.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Body {
    secrets: BTreeMap<SecretName, Stages>,
}

#[derive(Default, Serialize, Deserialize)]
struct Stages {
    current: Option<Kept>,
    previous: Option<Kept>,
    pending: Option<Kept>,
    /// When versions were written, for the budget.
    written: Vec<Timestamp>,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Kept {
    version: String,
    value: String,
}

/// What a new version needs from outside.
pub(super) struct Now<'a> {
    /// The moment, for the budget.
    pub(super) time: Timestamp,
    /// Chance, for the version's name.
    pub(super) rng: &'a dyn Rng,
}

impl Body {
    /// One version.
    pub(super) fn read(&self, name: &SecretName, stage: Stage) -> Option<VaultEntry> {
        let stages = self.secrets.get(name)?;
        let kept = match stage {
            Stage::Current => &stages.current,
            Stage::Previous => &stages.previous,
            Stage::Pending => &stages.pending,
        };
        kept.as_ref().map(|kept| VaultEntry {
            version: SecretVersion(kept.version.clone()),
            value: Secret::new(kept.value.clone()),
        })
    }

    /// A new current version. After an error the body is not to be saved.
    pub(super) fn put(
        &mut self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
        now: &Now<'_>,
    ) -> Result<SecretVersion, VaultError> {
        let stages = self.secrets.entry(name.clone()).or_default();
        stages.expect(name, expected)?;
        let kept = stages.new_version(name, value, now)?;
        let version = SecretVersion(kept.version.clone());
        stages.previous = stages.current.replace(kept);
        stages.pending = None;
        Ok(version)
    }

    /// A new pending version. After an error the body is not to be saved.
    pub(super) fn stage(
        &mut self,
        name: &SecretName,
        value: &Secret,
        now: &Now<'_>,
    ) -> Result<SecretVersion, VaultError> {
        let stages = self.secrets.entry(name.clone()).or_default();
        let kept = stages.new_version(name, value, now)?;
        let version = SecretVersion(kept.version.clone());
        stages.pending = Some(kept);
        Ok(version)
    }

    /// The pending version becomes the current one.
    pub(super) fn promote(
        &mut self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        let conflict = || VaultError::Conflict { name: name.clone() };
        let stages = self.secrets.get_mut(name).ok_or_else(conflict)?;
        stages.expect(name, expected)?;
        let pending = stages.pending.take_if(|pending| pending.version == version.0);
        stages.previous = stages.current.replace(pending.ok_or_else(conflict)?);
        Ok(())
    }

    /// All versions go.
    pub(super) fn remove(&mut self, name: &SecretName) {
        self.secrets.remove(name);
    }
}

impl Stages {
    fn expect(&self, name: &SecretName, expected: Option<&SecretVersion>) -> Result<(), VaultError> {
        let current = self.current.as_ref().map(|kept| kept.version.as_str());
        if current == expected.map(|version| version.0.as_str()) {
            Ok(())
        } else {
            Err(VaultError::Conflict { name: name.clone() })
        }
    }

    fn new_version(&mut self, name: &SecretName, value: &Secret, now: &Now<'_>) -> Result<Kept, VaultError> {
        // Either way: a clock that was wrong for a while must not use up the budget of years.
        self.written
            .retain(|written| now.time.duration_since(*written).unsigned_abs() < BUDGET_WINDOW);
        if self.written.len() >= BUDGET {
            return Err(VaultError::Budget { name: name.clone() });
        }
        self.written.push(now.time);
        Ok(Kept {
            version: now.rng.hex(16),
            value: value.expose().to_owned(),
        })
    }
}
