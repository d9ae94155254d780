//! The vault over Secrets Manager: versions with labels, a compare-and-set on the label `AWSCURRENT`.
//!
//! - A new value is put without touching `AWSCURRENT`; then the label is moved *from the expected version*. AWS refuses
//!   the move if that version does not hold the label any more: this is the compare-and-set. `PutSecretValue` alone would
//!   let the last writer win.
//! - AWS gives the first version of a secret the label `AWSCURRENT`, whatever was asked for. A secret that begins with a
//!   staged version therefore begins with [`NOTHING`], a version of one binary byte with a name of its own that counts as
//!   no value.
//! - Which version holds which label is read from `DescribeSecret`, never from the value.
//! - Removal is scheduled, seven days ahead (the least AWS allows), so that a credential that was removed by mistake can be
//!   brought back with `aws secretsmanager restore-secret`; forced deletion could not be undone. Until then the secret
//!   counts as absent. Should it be written again, it is restored and everything it held before is taken out of reach.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_smithy_types::Blob;
use aws_types::SdkConfig;
use shared::{
    memory::{check_name, check_value},
    ports::{Clock, Rng, SecretName, SecretVersion, Stage, Vault, VaultEntry, VaultError},
    secret::Secret,
    time::{millis, minus},
};

use super::secret_labels::{ARRIVED, CURRENT, Labels, NOTHING, PENDING, PREVIOUS};
use crate::sdk::{self, Fault};

/// How many versions a secret may get within [`BUDGET_WINDOW`]; AWS keeps 100 and refuses more.
const BUDGET: usize = 30;
const BUDGET_WINDOW: Duration = Duration::from_hours(24);
/// Days until a removed secret is gone.
const RECOVERY_DAYS: i64 = 7;

/// Secrets under `{stack}/{client|grant|access}/{id}`.
#[derive(Clone)]
pub struct SecretsVault {
    reads: Client,
    writes: Client,
    stack: Arc<str>,
    key: Option<Arc<str>>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl SecretsVault {
    /// Under this prefix; `key` is the KMS key with which secrets are made, needed only where they are.
    pub fn new(config: &SdkConfig, stack: &str, key: Option<&str>, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            reads: Client::new(&sdk::repeating(config)),
            writes: Client::new(config),
            stack: stack.into(),
            key: key.map(Into::into),
            clock,
            rng,
        }
    }

    fn id(&self, name: &SecretName) -> String {
        format!("{}/{name}", self.stack)
    }

    async fn labels(&self, name: &SecretName) -> Result<Option<Labels>, VaultError> {
        match self.reads.describe_secret().secret_id(self.id(name)).send().await {
            Ok(described) => Ok(Some(Labels::of(&described))),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.is("ResourceNotFoundException") {
                    return Ok(None);
                }
                Err(failed(name, &fault))
            }
        }
    }

    /// Refuses a version above the budget. AWS tells when each version was made, those without a label included.
    async fn check_budget(&self, name: &SecretName) -> Result<(), VaultError> {
        let since = millis(minus(self.clock.now(), BUDGET_WINDOW));
        let until = millis(shared::time::plus(self.clock.now(), BUDGET_WINDOW));
        let mut pages = self
            .reads
            .list_secret_version_ids()
            .secret_id(self.id(name))
            .include_deprecated(true)
            .into_paginator()
            .send();
        let mut young = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(name, &Fault::of(&error)))?;
            for version in page.versions.into_iter().flatten() {
                let made = version.created_date.and_then(|at| at.to_millis().ok()).unwrap_or(0);
                let counts = version.version_id.as_deref() != Some(NOTHING);
                // Either way: a clock that was wrong for a while must not use up the budget of years.
                young += usize::from(counts && since < made && made < until);
            }
        }
        if young >= BUDGET {
            return Err(VaultError::Budget { name: name.clone() });
        }
        Ok(())
    }

    /// A new version under a label that nothing else reads, made by one call.
    async fn arrive(&self, name: &SecretName, value: &Secret, label: &str) -> Result<String, VaultError> {
        let version = self.rng.hex(16);
        let put = self
            .writes
            .put_secret_value()
            .secret_id(self.id(name))
            .client_request_token(&version)
            .secret_string(value.expose())
            .version_stages(label);
        match put.send().await {
            Ok(_) => Ok(version),
            Err(error) => Err(failed(name, &Fault::of(&error))),
        }
    }

    /// Makes a secret; with a value, that is its current version, and this is its name.
    async fn create(&self, name: &SecretName, value: Option<&Secret>) -> Result<Option<String>, VaultError> {
        let create = self
            .writes
            .create_secret()
            .name(self.id(name))
            .client_request_token(self.rng.hex(16))
            .set_secret_string(value.map(|value| value.expose().to_owned()))
            .set_kms_key_id(self.key.as_deref().map(str::to_owned))
            .description("Postroom: made and changed by the program only");
        match create.send().await {
            Ok(made) => Ok(made.version_id),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.is("ResourceExistsException") {
                    return Err(VaultError::Conflict { name: name.clone() });
                }
                Err(failed(name, &fault))
            }
        }
    }

    /// Puts the version that stands for no value. A version of that name may be there already.
    async fn put_nothing(&self, name: &SecretName, label: &str) -> Result<(), VaultError> {
        let put = self
            .writes
            .put_secret_value()
            .secret_id(self.id(name))
            .client_request_token(NOTHING)
            .secret_binary(Blob::new([0]))
            .version_stages(label);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.is("ResourceExistsException") {
                    return Ok(());
                }
                Err(failed(name, &fault))
            }
        }
    }

    /// Moves a label. `Ok(false)`: it is not where it was expected, and stays.
    async fn move_label(
        &self,
        name: &SecretName,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<bool, VaultError> {
        let moved = self
            .writes
            .update_secret_version_stage()
            .secret_id(self.id(name))
            .version_stage(label)
            .set_move_to_version_id(to.map(str::to_owned))
            .set_remove_from_version_id(from.map(str::to_owned))
            .send()
            .await;
        match moved {
            Ok(_) => Ok(true),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.is("InvalidParameterException") || fault.is("ResourceNotFoundException") {
                    tracing::debug!(secret = %name, label, what = fault.what(), "a label did not move");
                    return Ok(false);
                }
                Err(failed(name, &fault))
            }
        }
    }

    /// Takes a label from whoever holds it. What holds it afterwards was labelled meanwhile.
    async fn take_away(&self, name: &SecretName, labels: &Labels, label: &str) -> Result<(), VaultError> {
        for holder in labels.holders.get(label).into_iter().flatten() {
            self.move_label(name, label, None, Some(holder)).await?;
        }
        Ok(())
    }

    /// The secret's labels, after making it if it is not there, and bringing it back empty if it was removed.
    async fn opened(&self, name: &SecretName) -> Result<Labels, VaultError> {
        let mut labels = self.labels(name).await?;
        if labels.is_none() {
            match self.create(name, None).await {
                // Without being looked at first: emulators label a first version that AWS does not even make.
                Ok(_) => self.put_nothing(name, CURRENT).await?,
                Err(VaultError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
            labels = self.labels(name).await?;
        }
        if let Some(removed) = labels.as_ref().filter(|labels| labels.removed) {
            self.bring_back(name, removed).await?;
            labels = self.labels(name).await?;
        }
        // Somebody made it and died, or is about to do this as well.
        if labels.as_ref().is_some_and(|labels| labels.holder(CURRENT).is_none()) {
            self.put_nothing(name, CURRENT).await?;
            labels = self.labels(name).await?;
        }
        labels.ok_or_else(|| VaultError::Unavailable(format!("the secret {name} is not to be seen yet")))
    }

    /// Restores a removed secret; what it held loses its labels.
    async fn bring_back(&self, name: &SecretName, labels: &Labels) -> Result<(), VaultError> {
        let restored = self.writes.restore_secret().secret_id(self.id(name)).send().await;
        restored.map_err(|error| failed(name, &Fault::of(&error)))?;
        if !labels.holds(CURRENT, NOTHING) {
            self.put_nothing(name, ARRIVED).await?;
            self.move_label(name, CURRENT, Some(NOTHING), labels.holder(CURRENT))
                .await?;
        }
        self.take_away(name, labels, PENDING).await?;
        if let Some(labels) = self.labels(name).await? {
            self.take_away(name, &labels, PREVIOUS).await?;
        }
        Ok(())
    }

    /// Makes `version` current if the current one still is the expected one.
    async fn make_current(&self, name: &SecretName, version: &str, labels: &Labels) -> Result<(), VaultError> {
        let from = labels.holder(CURRENT);
        if from != Some(version) && self.move_label(name, CURRENT, Some(version), from).await? {
            return Ok(());
        }
        Err(VaultError::Conflict { name: name.clone() })
    }
}

#[async_trait]
impl Vault for SecretsVault {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        check_name(name)?;
        let label = match stage {
            Stage::Current => CURRENT,
            Stage::Previous => PREVIOUS,
            Stage::Pending => PENDING,
        };
        let read = self
            .reads
            .get_secret_value()
            .secret_id(self.id(name))
            .version_stage(label);
        let answer = match read.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let fault = Fault::of(&error);
                // What is scheduled to be deleted is refused as an invalid request.
                if fault.is("ResourceNotFoundException") || fault.is("InvalidRequestException") {
                    return Ok(None);
                }
                return Err(failed(name, &fault));
            }
        };
        let labels = answer.version_stages.unwrap_or_default();
        // A promotion whose last step was cut off leaves both labels: it is done.
        let done = stage == Stage::Pending && labels.iter().any(|label| label == CURRENT);
        match (answer.version_id, answer.secret_string) {
            _ if done => Ok(None),
            (Some(version), _) if version == NOTHING => Ok(None),
            (Some(version), Some(value)) => Ok(Some(VaultEntry {
                version: SecretVersion(version),
                value: Secret::new(value),
            })),
            _ => Err(VaultError::Damaged(format!(
                "the secret {name} holds something that Postroom never wrote"
            ))),
        }
    }

    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        check_name(name)?;
        Ok(self.labels(name).await?.and_then(|labels| labels.current()))
    }

    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        check_value(name, value)?;
        check_name(name)?;
        let conflict = || VaultError::Conflict { name: name.clone() };
        let labels = match self.labels(name).await? {
            None if expected.is_some() => return Err(conflict()),
            None => {
                let version = self.create(name, Some(value)).await?;
                let unknown = || VaultError::Unavailable(format!("the secret {name} was made without a version"));
                return version.map(SecretVersion).ok_or_else(unknown);
            }
            Some(labels) if labels.current().as_ref() != expected => return Err(conflict()),
            Some(labels) if labels.removed || labels.holder(CURRENT).is_none() => self.opened(name).await?,
            Some(labels) => labels,
        };
        self.check_budget(name).await?;
        let version = self.arrive(name, value, ARRIVED).await?;
        self.make_current(name, &version, &labels).await?;
        if let Err(error) = self.take_away(name, &labels, PENDING).await {
            tracing::warn!(secret = %name, %error, "a staged version keeps its label; the next one takes it");
        }
        Ok(SecretVersion(version))
    }

    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        check_value(name, value)?;
        check_name(name)?;
        let labels = self.opened(name).await?;
        self.check_budget(name).await?;
        let version = match labels.holder(PENDING) {
            None => self.arrive(name, value, PENDING).await?,
            Some(_) => {
                // Never two at once, and never none: the label moves in one step.
                let version = self.arrive(name, value, ARRIVED).await?;
                let from = labels.holder(PENDING);
                if !self.move_label(name, PENDING, Some(&version), from).await? {
                    return Err(VaultError::Conflict { name: name.clone() });
                }
                version
            }
        };
        Ok(SecretVersion(version))
    }

    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        check_name(name)?;
        let conflict = || VaultError::Conflict { name: name.clone() };
        let labels = self.labels(name).await?.ok_or_else(conflict)?;
        if labels.removed || labels.current().as_ref() != expected || !labels.holds(PENDING, &version.0) {
            return Err(conflict());
        }
        self.make_current(name, &version.0, &labels).await?;
        // Readers know that a version which is current is not pending any more, so a failure here is no harm.
        if let Err(error) = self.move_label(name, PENDING, None, Some(&version.0)).await {
            tracing::warn!(secret = %name, %error, "the label of a promoted version stays for now");
        }
        Ok(())
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        check_name(name)?;
        let delete = self.writes.delete_secret().secret_id(self.id(name));
        match delete.recovery_window_in_days(RECOVERY_DAYS).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let fault = Fault::of(&error);
                // Not there, or removed already.
                if fault.is("ResourceNotFoundException") || fault.is("InvalidRequestException") {
                    return Ok(());
                }
                Err(failed(name, &fault))
            }
        }
    }
}

fn failed(name: &SecretName, fault: &Fault) -> VaultError {
    match fault {
        Fault::Denied(what) => VaultError::Denied(format!("{name}: {what}")),
        Fault::Throttled(what) | Fault::Unknown(what) => VaultError::Unavailable(format!("{name}: {what}")),
        Fault::Refused { code, .. } if code == "LimitExceededException" => VaultError::Budget { name: name.clone() },
        // Another request on the same secret is being carried out, or it is being deleted.
        Fault::Refused { code, what } if code == "InvalidRequestException" || code == "ResourceExistsException" => {
            VaultError::Unavailable(format!("{name}: {what}"))
        }
        Fault::Refused { what, .. } => VaultError::Damaged(format!("{name}: {what}")),
    }
}
