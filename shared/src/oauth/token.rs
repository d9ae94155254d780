//! Access tokens: asked for under a lease, kept in the vault, reused until they are nearly over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    account::digest,
    credential::{Credential, GrantType, TokenState},
    ports::{Ports, Redeemed, Redemption, Stage, TokenInfo, TokenNeed, Tokens, VaultError},
    records::credentials::{CredentialRow, Credentials},
    time::{between, minus, plus},
};

use super::{
    entra,
    error::{TokenError, TokenErrorKind},
};

/// A token with less time left than this is not handed out.
pub const USABLE_FOR: Duration = Duration::from_secs(5 * 60);
/// How long the right to ask for a token lasts: longer than the deadline of all its steps together.
const LEASE: Duration = Duration::from_secs(60);
/// How long a caller waits for another process that is asking.
const WAIT: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// Asks for tokens in process. The only code that reads client secrets and writes access tokens.
pub struct TokenService {
    ports: Ports,
    credentials: Credentials,
    /// One request per credential and process at a time; the lease does the same between processes.
    flights: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// When a token is due to be renewed: 10 to 20 minutes before its end, by a hash of the credential, so that many do not
/// ask at once.
pub fn token_due(credential: &str, expires_at: Timestamp) -> Timestamp {
    let hash = Sha256::digest(credential.as_bytes());
    let jitter = (u64::from(hash[0]) << 8 | u64::from(hash[1])) * 600 / 65_536;
    minus(expires_at, Duration::from_secs(600 + jitter))
}

/// What a token was asked for with: another client or scope makes it useless.
pub fn settings_digest(credential: &Credential) -> String {
    digest(&[
        credential.token_url.as_str(),
        &credential.client_id,
        &credential.scope,
        &credential.client_secret.0,
    ])
}

impl TokenService {
    /// Over these ports.
    pub fn new(ports: Ports) -> Self {
        let credentials = Credentials::new(Arc::clone(&ports.store));
        Self {
            ports,
            credentials,
            flights: Mutex::default(),
        }
    }

    /// The token on record, if it meets the need.
    fn on_record(&self, row: &CredentialRow, need: &TokenNeed) -> Option<TokenInfo> {
        let now = self.ports.clock.now();
        let token = row.token.as_ref()?;
        let fits = token.settings == settings_digest(&row.credential);
        let serves = match need {
            TokenNeed::Usable => now < token_due(row.credential.id.as_str(), token.expires_at),
            TokenNeed::NewerThan(version) => token.version != *version && between(now, token.expires_at) >= USABLE_FOR,
            TokenNeed::New => false,
        };
        (fits && serves).then(|| info_of(&row.credential, token, false))
    }

    async fn ask(&self, row: &CredentialRow, fence: i64) -> Result<TokenInfo, TokenError> {
        let id = row.credential.id.as_str();
        match self.ask_entra(&row.credential).await {
            Ok(state) => {
                info!(credential = id, expires_at = %state.expires_at, roles = ?state.roles, "access token obtained");
                if self.credentials.finish(id, fence, Some(&state), None).await? {
                    return Ok(info_of(&row.credential, &state, true));
                }
                // The lease was lost meanwhile: what stands on record now is somebody's newer token, or nothing.
                let row = self.credentials.get(id).await?;
                self.on_record(&row, &TokenNeed::Usable).ok_or_else(|| {
                    TokenError::plain(
                        TokenErrorKind::Transient { after: None },
                        "the credential was changed while a token was asked for",
                    )
                })
            }
            Err(error) => {
                warn!(credential = id, error = %error, trace = error.trace.as_deref().unwrap_or("-"), "no access token");
                // A transient failure is no state of the credential: the next request tells.
                let problem = (!matches!(error.kind, TokenErrorKind::Transient { .. })).then_some(error.what.as_str());
                self.credentials.finish(id, fence, None, problem).await?;
                Err(error)
            }
        }
    }

    async fn ask_entra(&self, credential: &Credential) -> Result<TokenState, TokenError> {
        let vault = &*self.ports.vault;
        let secret = vault.read(&credential.client_secret, Stage::Current).await?.ok_or_else(|| {
            TokenError::plain(
                TokenErrorKind::Client,
                format!("the credential `{}` has no client secret; set one with `postroom credential edit {} --client-secret-stdin`", credential.id, credential.id),
            )
        })?;
        let obtained_at = self.ports.clock.now();
        let granted = entra::client_credentials(
            Arc::clone(&self.ports.http),
            &*self.ports.clock,
            &credential.token_url,
            &credential.client_id,
            &secret.value,
            &credential.scope,
        )
        .await?;
        let mut expected = vault.version(&credential.access_token).await?;
        let version = loop {
            match vault
                .put(&credential.access_token, &granted.token, expected.as_ref())
                .await
            {
                Ok(version) => break version,
                Err(VaultError::Conflict { .. }) => {
                    // An access token is not a chain like a refresh token: the newest to arrive may win.
                    let current = vault.version(&credential.access_token).await?;
                    if current == expected {
                        return Err(TokenError::plain(
                            TokenErrorKind::Storage,
                            "the vault refuses a new version of the access token",
                        ));
                    }
                    expected = current;
                }
                Err(error) => return Err(error.into()),
            }
        };
        Ok(TokenState {
            version,
            expires_at: plus(obtained_at, granted.lifetime),
            obtained_at,
            roles: granted.claims.roles,
            scopes: granted
                .claims
                .scp
                .map(|scp| scp.split(' ').map(str::to_owned).collect())
                .unwrap_or_default(),
            tenant: granted.claims.tid,
            settings: settings_digest(credential),
        })
    }

    /// The row with the lease taken, or a token that somebody else brought meanwhile.
    async fn lease(&self, id: &str, need: &TokenNeed) -> Result<Result<(CredentialRow, i64), TokenInfo>, TokenError> {
        let ports = &self.ports;
        let deadline = plus(ports.clock.now(), WAIT);
        loop {
            let now = ports.clock.now();
            if let Some(fence) = self
                .credentials
                .lease(id, &ports.instance, now, plus(now, LEASE))
                .await?
            {
                let row = self.credentials.get(id).await?;
                if let Some(info) = self.on_record(&row, need) {
                    self.credentials.finish(id, fence, None, None).await?;
                    return Ok(Err(info));
                }
                return Ok(Ok((row, fence)));
            }
            if let Some(holder) = self.credentials.lease_holder(id).await?
                && (ports.dead)(&holder)
            {
                self.credentials.end_lease_of(id, &holder).await?;
                continue;
            }
            if now >= deadline {
                return Err(TokenError::plain(
                    TokenErrorKind::Transient { after: Some(LEASE) },
                    format!("another process is asking for a token of credential `{id}` and has not finished"),
                ));
            }
            ports.clock.sleep(LOOK).await;
            let row = self.credentials.get(id).await?;
            if let Some(info) = self.on_record(&row, need) {
                return Ok(Err(info));
            }
        }
    }
}

fn info_of(credential: &Credential, token: &TokenState, fresh: bool) -> TokenInfo {
    TokenInfo {
        name: credential.access_token.clone(),
        version: token.version.clone(),
        expires_at: token.expires_at,
        roles: token.roles.clone(),
        scopes: token.scopes.clone(),
        tenant: token.tenant.clone(),
        fresh,
    }
}

#[async_trait]
impl Tokens for TokenService {
    async fn access_token(&self, credential: &str, need: TokenNeed) -> Result<TokenInfo, TokenError> {
        let row = self.credentials.get(credential).await?;
        if row.credential.grant_type == GrantType::AuthorizationCode {
            return Err(TokenError::plain(
                TokenErrorKind::SignIn,
                format!(
                    "somebody must sign in for credential `{credential}`, and signing in comes with the next version; client credentials work now"
                ),
            ));
        }
        if let Some(info) = self.on_record(&row, &need) {
            return Ok(info);
        }
        let flight = Arc::clone(self.flights.lock().await.entry(credential.to_owned()).or_default());
        let _alone = flight.lock_owned().await;
        let asked = match self.lease(credential, &need).await? {
            Err(info) => return Ok(info),
            Ok((row, fence)) => self.ask(&row, fence).await,
        };
        match asked {
            Err(error) if need == TokenNeed::Usable && matches!(error.next(), crate::error::Next::Retry { .. }) => {
                // Due, but not over: trouble on the way to a new one is no reason to stop (P6).
                let now = self.ports.clock.now();
                match &row.token {
                    Some(token)
                        if token.settings == settings_digest(&row.credential)
                            && between(now, token.expires_at) >= USABLE_FOR =>
                    {
                        Ok(info_of(&row.credential, token, false))
                    }
                    _ => Err(error),
                }
            }
            other => other,
        }
    }

    async fn redeem(&self, _redemption: Redemption) -> Result<Redeemed, TokenError> {
        Err(TokenError::plain(TokenErrorKind::SignIn, "not yet"))
    }
}
