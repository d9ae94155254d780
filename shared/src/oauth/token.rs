//! Access tokens: asked for under a lease, kept in the vault, reused until they are nearly over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::{
    account::digest,
    credential::{ClientAuthentication, Credential, GrantType, TokenState},
    ports::{Ports, Redeemed, Redemption, TokenInfo, TokenNeed, Tokens},
    records::{
        apps::{Apps, Circuit},
        credentials::{CredentialRow, Credentials, TokenOutcome},
    },
    time::{between, minus, plus},
};

use super::{
    client::OutsideProofs,
    error::{TokenError, TokenErrorKind},
    keys::Authorities,
};

/// A token with less time left than this is not handed out.
pub const USABLE_FOR: Duration = Duration::from_secs(5 * 60);
/// How long the right to ask for a token lasts: longer than the deadline of all its steps together.
const LEASE: Duration = Duration::from_secs(60);
/// How long a caller waits for another process that is asking.
const WAIT: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);
/// A token is not renewed before it is this old, or the vault's versions of a day would not last.
const YOUNG: Duration = Duration::from_mins(50);
/// The longest that Microsoft is left alone, whatever it asked for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// A credential that waits for somebody to sign in asks by itself this often, since it may heal.
const ASK_AGAIN: Duration = Duration::from_hours(1);

/// Asks for tokens in process. The only code that reads client secrets and grants, and writes access tokens.
pub struct TokenService {
    pub(super) ports: Ports,
    pub(super) credentials: Credentials,
    pub(super) apps: Apps,
    pub(super) authorities: Authorities,
    pub(super) outside: Option<Arc<dyn OutsideProofs>>,
    /// One request per credential and process at a time; the lease does the same between processes.
    flights: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// The app of each credential, as it was: so that both rows can be read with one call.
    app_of: std::sync::Mutex<HashMap<String, String>>,
}

/// When a token is due to be renewed: 10 to 20 minutes before its end, by a hash of the credential, so that many do not
/// ask at once; but not in its first 50 to 55 minutes, and always 5 minutes before its end.
pub fn token_due(credential: &str, obtained_at: Timestamp, expires_at: Timestamp) -> Timestamp {
    let hash = Sha256::digest(credential.as_bytes());
    let spread = u64::from(hash[0]) << 8 | u64::from(hash[1]);
    let early = minus(expires_at, Duration::from_secs(600 + spread * 600 / 65_536));
    let young = plus(obtained_at, YOUNG + Duration::from_secs(spread * 300 / 65_536));
    early.max(young).min(minus(expires_at, USABLE_FOR))
}

/// What a token was asked for with: another client, secret or scope makes it useless. A delegated token has the scope of
/// the sign-in, whatever was typed since.
pub fn settings_digest(row: &CredentialRow) -> String {
    let credential = &row.credential;
    let (scope, person) = match &row.sign_in {
        Some(sign_in) if credential.grant_type == GrantType::AuthorizationCode => (
            sign_in.asked.as_str(),
            format!("{}/{}", sign_in.identity.tenant, sign_in.identity.object),
        ),
        _ => (credential.scope.as_str(), String::new()),
    };
    let mut parts = vec![
        credential.token_url.as_str(),
        &credential.client_id,
        scope,
        &credential.client_secret.0,
    ];
    if !person.is_empty() {
        parts.push(&person);
    }
    let proof = match &credential.authentication {
        // Another certificate has another name in the vault, as another secret has.
        ClientAuthentication::Secret | ClientAuthentication::Certificate { .. } => String::new(),
        outside @ (ClientAuthentication::KmsKey { .. }
        | ClientAuthentication::FederatedFile { .. }
        | ClientAuthentication::FederatedAws) => outside.words(),
    };
    if !proof.is_empty() {
        parts.push(&proof);
    }
    digest(&parts)
}

/// The token on record, if it meets the need: nobody is asked for one that is.
pub fn token_on_record(row: &CredentialRow, need: &TokenNeed, now: Timestamp) -> Option<TokenInfo> {
    let token = row.token.as_ref()?;
    let id = row.credential.id.as_str();
    let fits = token.settings == settings_digest(row);
    let serves = match need {
        TokenNeed::Usable => now < token_due(id, token.obtained_at, token.expires_at),
        TokenNeed::NewerThan(version) => token.version != *version && between(now, token.expires_at) >= USABLE_FOR,
        TokenNeed::New => false,
    };
    (fits && serves).then(|| info_of(&row.credential, token, false))
}

impl TokenService {
    /// Over these ports.
    pub fn new(ports: Ports) -> Self {
        let credentials = Credentials::new(Arc::clone(&ports.store));
        let apps = Apps::new(Arc::clone(&ports.store));
        Self {
            ports,
            credentials,
            apps,
            authorities: Authorities::default(),
            outside: None,
            flights: Mutex::default(),
            app_of: std::sync::Mutex::default(),
        }
    }

    /// The same, with somebody to get proofs from that are no secrets of ours.
    #[must_use]
    pub fn with_outside(mut self, outside: Arc<dyn OutsideProofs>) -> Self {
        self.outside = Some(outside);
        self
    }

    /// The token on record, if it meets the need.
    pub(super) fn on_record(&self, row: &CredentialRow, need: &TokenNeed) -> Option<TokenInfo> {
        token_on_record(row, need, self.ports.clock.now())
    }

    /// What a credential that waits for somebody answers, without asking anybody.
    fn waits(&self, row: &CredentialRow, need: &TokenNeed) -> Option<TokenError> {
        if row.credential.grant_type != GrantType::AuthorizationCode {
            return None;
        }
        let credential = &row.credential;
        match &row.sign_in {
            // The grant may be in the vault all the same: a sign-in whose last step was cut off.
            None if row.problem.is_none() && row.asked_at.is_none() && *need != TokenNeed::New => None,
            Some(sign_in) if sign_in.client != credential.client() => Some(sign_in_again(
                credential,
                "the credential was changed to another app or tenant since somebody signed in",
            )),
            _ if row.needs_sign_in && *need != TokenNeed::New => {
                let now = self.ports.clock.now();
                let soon = row.asked_at.is_some_and(|at| between(at, now) < ASK_AGAIN);
                let what = row.problem.as_deref().unwrap_or("nobody has signed in yet");
                soon.then(|| TokenError::plain(TokenErrorKind::SignIn, what))
            }
            _ => None,
        }
    }

    /// While Microsoft wants to be left alone: the token on record while it lasts, or how long to wait.
    fn left_alone(&self, row: &CredentialRow, need: &TokenNeed) -> Option<Result<TokenInfo, TokenError>> {
        let now = self.ports.clock.now();
        let wait = between(now, row.not_before?);
        // A wait longer than any that is written down comes from a clock that was wrong.
        if wait.is_zero() || wait > LONGEST_WAIT || *need == TokenNeed::New {
            return None;
        }
        if let (Some(token), TokenNeed::Usable) = (&row.token, need)
            && token.settings == settings_digest(row)
            && between(now, token.expires_at) >= USABLE_FOR
        {
            return Some(Ok(info_of(&row.credential, token, false)));
        }
        let kind = TokenErrorKind::Transient { after: Some(wait) };
        let what = format!(
            "Microsoft asked not to be asked for a token of credential `{}` for a while; it goes on by itself",
            row.credential.id
        );
        Some(Err(TokenError::plain(kind, what)))
    }

    /// The credential, and the circuit of its app if that could be read with it.
    async fn look(&self, id: &str) -> Result<(CredentialRow, Option<Circuit>), TokenError> {
        let known = self.app_of().get(id).cloned();
        let Some(app) = known else {
            let row = self.credentials.get(id).await?;
            self.app_of().insert(id.to_owned(), row.credential.client());
            return Ok((row, None));
        };
        let (row, circuit) = self.credentials.get_beside(id, Apps::key(&app)).await?;
        if row.credential.client() == app {
            return Ok((row, Some(Circuit::read(circuit.as_ref())?)));
        }
        self.app_of().insert(id.to_owned(), row.credential.client());
        Ok((row, None))
    }

    fn app_of(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.app_of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One at a time in this process.
    pub(super) async fn alone(&self, credential: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let flight = Arc::clone(self.flights.lock().await.entry(credential.to_owned()).or_default());
        flight.lock_owned().await
    }

    /// The row with the lease taken, or a token that somebody else brought meanwhile.
    async fn lease(&self, id: &str, need: &TokenNeed) -> Result<Result<(CredentialRow, i64), TokenInfo>, TokenError> {
        let deadline = plus(self.ports.clock.now(), WAIT);
        loop {
            if let Some((row, fence)) = self.try_lease(id).await? {
                if let Some(info) = self.on_record(&row, need) {
                    self.credentials.finish(id, fence, &TokenOutcome::default()).await?;
                    return Ok(Err(info));
                }
                return Ok(Ok((row, fence)));
            }
            self.wait_for_lease(id, deadline).await?;
            let row = self.credentials.get(id).await?;
            if let Some(info) = self.on_record(&row, need) {
                return Ok(Err(info));
            }
        }
    }

    /// The lease, if it is free, or its holder is known to be dead.
    pub(super) async fn try_lease(&self, id: &str) -> Result<Option<(CredentialRow, i64)>, TokenError> {
        let ports = &self.ports;
        for _ in 0..2 {
            let now = ports.clock.now();
            if let Some(leased) = self
                .credentials
                .lease(id, &ports.instance, now, plus(now, LEASE))
                .await?
            {
                return Ok(Some(leased));
            }
            match self.credentials.lease_holder(id).await? {
                Some(holder) if (ports.dead)(&holder) => self.credentials.end_lease_of(id, &holder).await?,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Waits a moment for whoever holds the lease; an error after the deadline.
    pub(super) async fn wait_for_lease(&self, id: &str, deadline: Timestamp) -> Result<(), TokenError> {
        if self.ports.clock.now() >= deadline {
            return Err(TokenError::plain(
                TokenErrorKind::Transient { after: Some(LEASE) },
                format!("another process is asking for a token of credential `{id}` and has not finished"),
            ));
        }
        self.ports.clock.sleep(LOOK).await;
        Ok(())
    }
}

/// Somebody must sign in, and where.
pub(super) fn sign_in_again(credential: &Credential, why: &str) -> TokenError {
    TokenError::plain(
        TokenErrorKind::SignIn,
        format!(
            "somebody must sign in for credential `{0}`: {why}. Console, Credentials, the key of `{0}`; or `postroom credential authorize {0}`",
            credential.id
        ),
    )
}

pub(super) fn info_of(credential: &Credential, token: &TokenState, fresh: bool) -> TokenInfo {
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
        let (row, circuit) = self.look(credential).await?;
        if let Some(info) = self.on_record(&row, &need) {
            return Ok(info);
        }
        if let Some(error) = self.waits(&row, &need) {
            return Err(error);
        }
        if let Some(wait) = self.left_alone(&row, &need) {
            return wait;
        }
        let _alone = self.alone(credential).await;
        let asked = match self.lease(credential, &need).await? {
            Err(info) => return Ok(info),
            Ok((row, fence)) => self.ask(&row, fence, &need, circuit).await,
        };
        match asked {
            Err(error) if need == TokenNeed::Usable && matches!(error.next(), crate::error::Next::Retry { .. }) => {
                // Due, but not over: trouble on the way to a new one is no reason to stop (P6).
                let now = self.ports.clock.now();
                match &row.token {
                    Some(token)
                        if token.settings == settings_digest(&row) && between(now, token.expires_at) >= USABLE_FOR =>
                    {
                        Ok(info_of(&row.credential, token, false))
                    }
                    _ => Err(error),
                }
            }
            other => other,
        }
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, TokenError> {
        let _alone = self.alone(&redemption.credential).await;
        let deadline = plus(self.ports.clock.now(), WAIT);
        loop {
            if let Some((row, fence)) = self.try_lease(&redemption.credential).await? {
                return self.redeem_leased(&row, fence, &redemption).await;
            }
            self.wait_for_lease(&redemption.credential, deadline).await?;
        }
    }
}
