//! The ports a function has no right to: whatever reaches them is refused here, before AWS would refuse it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use shared::{
    import::{
        check::Step,
        checks::{CheckError, Checks},
    },
    ports::{
        Body, Http, HttpError, PublishError, Publisher, Schedule, ScheduleError, Scheduler, SecretName, SecretVersion,
        Stage, Vault, VaultEntry, VaultError,
    },
    reach::Reach,
    secret::Secret,
};
use url::Url;

/// A port that this function may not use.
#[derive(Debug, Clone, Copy)]
pub struct Wall;

const WHY: &str = "this function has no right to it";

fn denied() -> VaultError {
    VaultError::Denied(WHY.to_owned())
}

#[async_trait]
impl Vault for Wall {
    async fn read(&self, _: &SecretName, _: Stage) -> Result<Option<VaultEntry>, VaultError> {
        Err(denied())
    }
    async fn version(&self, _: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        Err(denied())
    }
    async fn put(&self, _: &SecretName, _: &Secret, _: Option<&SecretVersion>) -> Result<SecretVersion, VaultError> {
        Err(denied())
    }
    async fn stage(&self, _: &SecretName, _: &Secret) -> Result<SecretVersion, VaultError> {
        Err(denied())
    }
    async fn promote(&self, _: &SecretName, _: &SecretVersion, _: Option<&SecretVersion>) -> Result<(), VaultError> {
        Err(denied())
    }
    async fn remove(&self, _: &SecretName) -> Result<(), VaultError> {
        Err(denied())
    }
}

/// The console's vault: it writes client secrets and removes what is to go, and reads one secret alone, that of its own
/// sign-in, which an administrator of the AWS account stores.
#[derive(Clone)]
pub struct OwnSecretOnly(pub Arc<dyn Vault>);

impl OwnSecretOnly {
    fn own(name: &SecretName) -> bool {
        name.0.starts_with("sign-in/")
    }

    /// The vault behind the wall, for a secret that is not its own.
    fn others(&self, name: &SecretName) -> Result<&dyn Vault, VaultError> {
        if Self::own(name) { Err(denied()) } else { Ok(&*self.0) }
    }
}

#[async_trait]
impl Vault for OwnSecretOnly {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        if Self::own(name) {
            self.0.read(name, stage).await
        } else {
            Err(denied())
        }
    }
    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        self.others(name)?.version(name).await
    }
    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        self.others(name)?.put(name, value, expected).await
    }
    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        self.others(name)?.stage(name, value).await
    }
    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        self.others(name)?.promote(name, version, expected).await
    }
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.others(name)?.remove(name).await
    }
}

fn no_schedule(account: &str) -> ScheduleError {
    ScheduleError {
        account: account.to_owned(),
        reason: WHY.to_owned(),
    }
}

#[async_trait]
impl Scheduler for Wall {
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        Err(no_schedule(&schedule.account))
    }
    async fn remove(&self, account: &str) -> Result<(), ScheduleError> {
        Err(no_schedule(account))
    }
    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError> {
        Err(no_schedule("*"))
    }
}

#[async_trait]
impl Publisher for Wall {
    async fn publish(&self, _: &str, _: &[Value]) -> Result<(), PublishError> {
        Err(PublishError {
            delivered: 0,
            reason: WHY.to_owned(),
        })
    }
}

#[async_trait]
impl Checks for Wall {
    async fn account(&self, _: &str) -> Result<Vec<Step>, CheckError> {
        Err(CheckError::Refused(WHY.to_owned()))
    }
    async fn reach(&self, _: &str) -> Result<Reach, CheckError> {
        Err(CheckError::Refused(WHY.to_owned()))
    }
    async fn redirect(&self, _: &Url) -> Result<Step, CheckError> {
        Err(CheckError::Refused(WHY.to_owned()))
    }
}

#[async_trait]
impl Http for Wall {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        Err(HttpError::Connect {
            host: request.uri().host().unwrap_or("(no host)").to_owned(),
            reason: WHY.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use shared::memory;

    use super::*;

    #[tokio::test]
    async fn the_console_reads_its_own_secret_and_no_other() {
        let vault = memory::ports(1, Arc::new(Wall)).vault;
        let [own, client] = ["sign-in/console", "client/a"].map(|name| SecretName(name.into()));
        for name in [&own, &client] {
            vault.put(name, &Secret::new("s"), None).await.unwrap();
        }
        let console = OwnSecretOnly(Arc::clone(&vault));
        assert!(console.read(&own, Stage::Current).await.unwrap().is_some());
        assert!(console.read(&client, Stage::Current).await.is_err());
        let version = console.version(&client).await.unwrap();
        console.put(&client, &Secret::new("t"), version.as_ref()).await.unwrap();
        console.remove(&client).await.unwrap();
        assert!(console.put(&own, &Secret::new("t"), None).await.is_err());
        assert!(console.remove(&own).await.is_err());
        assert!(vault.read(&own, Stage::Current).await.unwrap().is_some());
    }
}
