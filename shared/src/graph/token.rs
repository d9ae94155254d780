//! The access token a client sends: read from the vault once per version, renewed when it is refused.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::{
    oauth::{TokenError, TokenErrorKind, USABLE_FOR},
    ports::{Clock, SecretVersion, Stage, TokenNeed, Tokens, Vault},
    secret::Secret,
    time::between,
};

/// The access token of one credential, shared by all requests of a process.
pub struct AccessTokens {
    tokens: Arc<dyn Tokens>,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    credential: String,
    held: Mutex<Option<Held>>,
}

struct Held {
    version: SecretVersion,
    secret: Secret,
    expires_at: Timestamp,
}

impl AccessTokens {
    /// Of this credential.
    pub fn new(tokens: Arc<dyn Tokens>, vault: Arc<dyn Vault>, clock: Arc<dyn Clock>, credential: &str) -> Self {
        Self {
            tokens,
            vault,
            clock,
            credential: credential.to_owned(),
            held: Mutex::default(),
        }
    }

    /// The token to send, good for five minutes at least.
    pub async fn get(&self) -> Result<(SecretVersion, Secret), TokenError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && between(self.clock.now(), held.expires_at) >= USABLE_FOR
        {
            return Ok((held.version.clone(), held.secret.clone()));
        }
        self.fetch(&mut held, TokenNeed::Usable).await
    }

    /// Another token than the one that was refused. Callers whose token was replaced meanwhile share the new one.
    pub async fn renew(&self, refused: &SecretVersion) -> Result<(SecretVersion, Secret), TokenError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && held.version != *refused
        {
            return Ok((held.version.clone(), held.secret.clone()));
        }
        self.fetch(&mut held, TokenNeed::NewerThan(refused.clone())).await
    }

    /// Another token than this one, if there is one on record: an admin may have asked for it elsewhere, because rights
    /// were granted that only new tokens carry.
    pub async fn newer(&self, than: &SecretVersion) -> Result<Option<(SecretVersion, Secret)>, TokenError> {
        let mut held = self.held.lock().await;
        let got = self.fetch(&mut held, TokenNeed::Usable).await?;
        Ok((got.0 != *than).then_some(got))
    }

    async fn fetch(&self, held: &mut Option<Held>, need: TokenNeed) -> Result<(SecretVersion, Secret), TokenError> {
        let mut info = self.tokens.access_token(&self.credential, need).await?;
        let mut entry = self.vault.read(&info.name, Stage::Current).await?;
        if entry.is_none() {
            // On record, but somebody removed it from the vault: as good as refused.
            let newer = TokenNeed::NewerThan(info.version);
            info = self.tokens.access_token(&self.credential, newer).await?;
            entry = self.vault.read(&info.name, Stage::Current).await?;
        }
        let entry = entry.ok_or_else(|| {
            let what = format!(
                "the access token of credential `{}` is on record but not in the vault, and a new one is not there either: something removes {}",
                self.credential, info.name
            );
            TokenError::plain(TokenErrorKind::Storage, what)
        })?;
        *held = Some(Held {
            version: entry.version.clone(),
            secret: entry.value.clone(),
            expires_at: info.expires_at,
        });
        Ok((entry.version, entry.value))
    }
}
