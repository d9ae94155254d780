//! The ports a function has no right to: whatever reaches them is refused here, before AWS would refuse it.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use shared::ports::{
    Body, Http, HttpError, PublishError, Publisher, Schedule, ScheduleError, Scheduler, SecretName, SecretVersion,
    Stage, Vault, VaultEntry, VaultError,
};
use shared::secret::Secret;

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
impl Http for Wall {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        Err(HttpError::Connect {
            host: request.uri().host().unwrap_or("(no host)").to_owned(),
            reason: WHY.to_owned(),
        })
    }
}
