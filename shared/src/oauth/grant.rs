//! The grant in the vault: how a refresh token is replaced without ever being lost or put back.
//!
//! The new one is staged first, then made current on condition that the current version still is the one that was read.
//! Whoever finds a staged version one generation ahead finishes that first. The version before is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::{
    credential::SignIn,
    ports::{Clock, SecretName, SecretVersion, Stage, Vault, VaultEntry, VaultError},
    secret::Secret,
};

use super::error::{TokenError, TokenErrorKind};

/// How often a step of the vault is tried whose outcome is unknown.
const TRIES: u32 = 5;
/// Between two tries: a vault that shows an older version does so for a moment only.
const PAUSE: Duration = Duration::from_millis(500);

/// The secret's text: everything about the sign-in is in it, so that vault and records cannot contradict each other.
#[derive(Serialize, Deserialize)]
struct Kept {
    generation: u64,
    refresh_token: String,
    sign_in: SignIn,
}

/// A grant as read.
pub(super) struct Grant {
    /// Its version in the vault.
    pub(super) version: SecretVersion,
    /// Counts refresh tokens of this credential.
    pub(super) generation: u64,
    /// The refresh token.
    pub(super) refresh: Secret,
    /// Who it is from.
    pub(super) sign_in: SignIn,
}

/// What became of a grant that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// It is the current one.
    Current,
    /// Somebody else's is; ours is dropped.
    Lost,
}

/// The grant of one credential.
pub(super) struct Grants<'a> {
    pub(super) vault: &'a dyn Vault,
    pub(super) clock: &'a dyn Clock,
    pub(super) name: SecretName,
}

impl Grants<'_> {
    /// One version, as it is.
    pub(super) async fn read(&self, stage: Stage) -> Result<Option<Grant>, TokenError> {
        match self.vault.read(&self.name, stage).await? {
            None => Ok(None),
            Some(entry) => grant_of(&entry).map(Some),
        }
    }

    /// The current grant, after finishing a rotation that somebody left half done. `recorded` is the generation written
    /// down with the credential: a vault that shows less shows the past.
    pub(super) async fn settled(&self, recorded: u64) -> Result<Option<Grant>, TokenError> {
        for _ in 0..TRIES {
            let current = self.read(Stage::Current).await?;
            let generation = current.as_ref().map_or(0, |grant| grant.generation);
            if generation < recorded {
                self.clock.sleep(PAUSE).await;
                continue;
            }
            let Some(pending) = self.read(Stage::Pending).await? else {
                return Ok(current);
            };
            if pending.generation != generation + 1 {
                // Left behind by somebody who was overtaken; the next staged version takes its place.
                return Ok(current);
            }
            let expected = current.as_ref().map(|grant| &grant.version);
            match self.vault.promote(&self.name, &pending.version, expected).await {
                Ok(()) => {
                    info!(secret = %self.name, "a half-done rotation was finished");
                    return Ok(Some(pending));
                }
                // Somebody finished it, or the answer was lost: the next look tells.
                Err(VaultError::Conflict { .. } | VaultError::Unavailable(_)) => self.clock.sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(TokenError::plain(
            TokenErrorKind::Transient { after: None },
            "the vault does not show the newest refresh token yet",
        ))
    }

    /// Keeps a new refresh token as the generation after `before`.
    pub(super) async fn save(
        &self,
        before: Option<&Grant>,
        refresh: &Secret,
        sign_in: &SignIn,
    ) -> Result<Saved, TokenError> {
        let kept = Kept {
            generation: before.map_or(0, |grant| grant.generation) + 1,
            refresh_token: refresh.expose().to_owned(),
            sign_in: sign_in.clone(),
        };
        let text = serde_json::to_string(&kept)
            .map(Secret::new)
            .map_err(|error| TokenError::plain(TokenErrorKind::Unforeseen, error.to_string()))?;
        let mut staged = self.stage(&text).await?;
        let expected = before.map(|grant| &grant.version);
        for _ in 0..TRIES {
            match self.vault.promote(&self.name, &staged, expected).await {
                Ok(()) => return Ok(Saved::Current),
                Err(VaultError::Conflict { .. }) => match self.current_is(&text).await? {
                    // An earlier answer was lost.
                    Some(true) => return Ok(Saved::Current),
                    Some(false) if self.version().await?.as_ref() != expected => return Ok(Saved::Lost),
                    // What is pending is not ours any more, yet nobody made anything current: once more.
                    _ => staged = self.stage(&text).await?,
                },
                Err(VaultError::Unavailable(reason)) => {
                    warn!(secret = %self.name, reason, "the vault did not answer; looking what became of it");
                    self.clock.sleep(PAUSE).await;
                    if let Ok(Some(true)) = self.current_is(&text).await {
                        return Ok(Saved::Current);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(TokenError::plain(
            TokenErrorKind::Transient { after: None },
            "the vault did not take the new refresh token; it is staged and comes into force next time",
        ))
    }

    /// Stages a text; a lost answer is recognised by what is pending afterwards.
    async fn stage(&self, text: &Secret) -> Result<SecretVersion, TokenError> {
        let mut last = VaultError::Unavailable("not tried".to_owned());
        for _ in 0..TRIES {
            match self.vault.stage(&self.name, text).await {
                Ok(version) => return Ok(version),
                Err(error @ (VaultError::Unavailable(_) | VaultError::Conflict { .. })) => last = error,
                Err(error) => return Err(error.into()),
            }
            self.clock.sleep(PAUSE).await;
            if let Ok(Some(pending)) = self.vault.read(&self.name, Stage::Pending).await
                && pending.value == *text
            {
                return Ok(pending.version);
            }
        }
        Err(last.into())
    }

    async fn current_is(&self, text: &Secret) -> Result<Option<bool>, TokenError> {
        let current = self.vault.read(&self.name, Stage::Current).await?;
        Ok(current.map(|entry| entry.value == *text))
    }

    async fn version(&self) -> Result<Option<SecretVersion>, TokenError> {
        Ok(self.vault.version(&self.name).await?)
    }
}

fn grant_of(entry: &VaultEntry) -> Result<Grant, TokenError> {
    let kept: Kept = serde_json::from_str(entry.value.expose()).map_err(|_| {
        TokenError::plain(
            TokenErrorKind::Storage,
            "the stored sign-in cannot be read; it may have been written by a newer version",
        )
    })?;
    Ok(Grant {
        version: entry.version.clone(),
        generation: kept.generation,
        refresh: Secret::new(kept.refresh_token),
        sign_in: kept.sign_in,
    })
}

/// Makes `value` the current version of a secret that is no chain (an access token): the newest to arrive may win. `newest` is
/// the version that was current when last heard of; if it still is, one call is all.
pub(super) async fn put_newest(
    vault: &dyn Vault,
    clock: &dyn Clock,
    name: &SecretName,
    value: &Secret,
    mut newest: Option<SecretVersion>,
) -> Result<SecretVersion, TokenError> {
    let mut last = VaultError::Unavailable("not tried".to_owned());
    for _ in 0..TRIES {
        let expected = match newest.take() {
            Some(known) => Ok(Some(known)),
            None => vault.version(name).await,
        };
        let expected = match expected {
            Ok(expected) => expected,
            Err(error @ VaultError::Unavailable(_)) => {
                last = error;
                clock.sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match vault.put(name, value, expected.as_ref()).await {
            Ok(version) => return Ok(version),
            Err(error @ VaultError::Conflict { .. }) => last = error,
            Err(error @ VaultError::Unavailable(_)) => {
                last = error;
                clock.sleep(PAUSE).await;
                if let Ok(Some(entry)) = vault.read(name, Stage::Current).await
                    && entry.value == *value
                {
                    return Ok(entry.version);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.into())
}
