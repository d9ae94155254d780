//! Access tokens: asked for under a lease, kept in the vault, reused until they are nearly over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    account::digest,
    credential::{ClientAuthentication, Credential, GrantType, TokenState},
    ports::{Ports, Redeemed, Redemption, SecretVersion, TokenInfo, TokenNeed, Tokens},
    records::{
        apps::{Apps, Circuit, OpenCircuit},
        credentials::{CredentialRow, Credentials, TokenOutcome},
    },
    time::{between, minus, plus},
};

use super::{
    client::{Client, FederatedTokens, Proof},
    entra::{self, Ask, Endpoint, Granted},
    error::{TokenError, TokenErrorKind},
    grant::put_newest,
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
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// A credential that waits for somebody to sign in asks by itself this often, since it may heal.
const ASK_AGAIN: Duration = Duration::from_hours(1);

/// Asks for tokens in process. The only code that reads client secrets and grants, and writes access tokens.
pub struct TokenService {
    pub(super) ports: Ports,
    pub(super) credentials: Credentials,
    pub(super) apps: Apps,
    pub(super) authorities: Authorities,
    pub(super) federated: Option<Arc<dyn FederatedTokens>>,
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
        federated @ (ClientAuthentication::FederatedFile { .. } | ClientAuthentication::FederatedAws) => {
            federated.words()
        }
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
            federated: None,
            flights: Mutex::default(),
            app_of: std::sync::Mutex::default(),
        }
    }

    /// The same, with somebody to get federated tokens from.
    #[must_use]
    pub fn with_federated(mut self, federated: Arc<dyn FederatedTokens>) -> Self {
        self.federated = Some(federated);
        self
    }

    /// The token on record, if it meets the need.
    fn on_record(&self, row: &CredentialRow, need: &TokenNeed) -> Option<TokenInfo> {
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

    async fn ask(
        &self,
        row: &CredentialRow,
        fence: i64,
        need: &TokenNeed,
        circuit: Option<Circuit>,
    ) -> Result<TokenInfo, TokenError> {
        let mut outcome = TokenOutcome::default();
        let asked = match row.credential.grant_type {
            GrantType::ClientCredentials => self.request(row, need, circuit, &mut outcome).await,
            GrantType::AuthorizationCode => self.refresh(row, need, circuit, &mut outcome).await,
        };
        self.settle(row, fence, outcome, asked).await
    }

    /// Writes down what came of it, and lets the lease go, whatever came of it.
    pub(super) async fn settle(
        &self,
        row: &CredentialRow,
        fence: i64,
        mut outcome: TokenOutcome,
        asked: Result<(), TokenError>,
    ) -> Result<TokenInfo, TokenError> {
        let id = row.credential.id.as_str();
        match asked {
            Ok(()) => {
                let kept = self.credentials.finish(id, fence, &outcome).await?;
                match (kept, outcome.token) {
                    (true, Some(state)) => {
                        info!(credential = id, expires_at = %state.expires_at, roles = ?state.roles, scopes = ?state.scopes, "access token obtained");
                        Ok(info_of(&row.credential, &state, true))
                    }
                    _ => {
                        // The lease was lost meanwhile: what stands on record now is somebody's newer token, or nothing.
                        let row = self.credentials.get(id).await?;
                        self.on_record(&row, &TokenNeed::Usable).ok_or_else(|| {
                            TokenError::plain(
                                TokenErrorKind::Transient { after: None },
                                "the credential was changed while a token was asked for",
                            )
                        })
                    }
                }
            }
            Err(error) => {
                warn!(credential = id, error = %error, trace = error.trace.as_deref().unwrap_or("-"), "no access token");
                // A transient failure is no state of the credential: the next request tells.
                if !matches!(error.kind, TokenErrorKind::Transient { .. } | TokenErrorKind::Refused) {
                    outcome.problem = Some(Some(error.what.clone()));
                }
                // Many accounts ask for one credential, and each would go on where Microsoft told another to wait.
                if let TokenErrorKind::Transient { after: Some(after) } = error.kind
                    && error.microsofts_wish
                {
                    let until = plus(self.ports.clock.now(), after.min(LONGEST_WAIT));
                    outcome.not_before = Some(Some(until));
                }
                self.credentials.finish(id, fence, &outcome).await?;
                Err(error)
            }
        }
    }

    /// One request to the token endpoint, unless the app's circuit is open; a refused client opens it.
    pub(super) async fn through_circuit(
        &self,
        credential: &Credential,
        client: &Client,
        asked_for: bool,
        ask: Ask<'_>,
    ) -> Result<Granted, TokenError> {
        if let Some(granted) = self.with_next_secret(credential, client, ask).await? {
            return Ok(granted);
        }
        let app = credential.client();
        let now = self.ports.clock.now();
        if !asked_for && let Some(open) = self.apps.refuses(&app, &client.circuit, &client.known_by, now).await? {
            return Err(TokenError::plain(TokenErrorKind::Client, open.problem));
        }
        let answer = entra::ask(self.endpoint(credential, &client.proof), ask).await;
        if let Err(error) = &answer
            && error.kind == TokenErrorKind::Client
        {
            let circuit = OpenCircuit {
                client_id: credential.client_id.clone(),
                opened_at: now,
                secret: client.known_by.clone(),
                problem: error.what.clone(),
            };
            if self.apps.open(&app, &circuit).await? {
                tracing::error!(client_id = %credential.client_id, problem = %error.what, "Microsoft refuses the app: no credential of it can get a token until an admin acts");
            }
        }
        // Nothing may come between an answer and the keeping of what it brought: a success closes the circuit later.
        answer
    }

    /// The next client secret first, if one waits and is not known to be refused; `None`: the old one must do. A code is
    /// never tried with it: whether a refusal uses the code up is for the provider to say.
    async fn with_next_secret(
        &self,
        credential: &Credential,
        client: &Client,
        ask: Ask<'_>,
    ) -> Result<Option<Granted>, TokenError> {
        let (Some(next), false) = (&client.next, matches!(ask, Ask::Code { .. })) else {
            return Ok(None);
        };
        let proof = Proof::Secret(next.clone());
        match entra::ask(self.endpoint(credential, &proof), ask).await {
            Ok(granted) => {
                client.next_worked();
                Ok(Some(granted))
            }
            Err(error) if error.kind == TokenErrorKind::Client => {
                warn!(credential = %credential.id, %error, "the next client secret does not work; the one before is used");
                client.next_refused(error.what);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn endpoint<'a>(&'a self, credential: &'a Credential, proof: &'a Proof) -> Endpoint<'a> {
        Endpoint {
            http: Arc::clone(&self.ports.http),
            clock: &*self.ports.clock,
            token_url: &credential.token_url,
            client_id: &credential.client_id,
            proof,
            jti: self.ports.rng.hex(16),
        }
    }

    /// Client credentials: a token of the app itself.
    async fn request(
        &self,
        row: &CredentialRow,
        need: &TokenNeed,
        circuit: Option<Circuit>,
        outcome: &mut TokenOutcome,
    ) -> Result<(), TokenError> {
        let credential = &row.credential;
        let client = self.client(row, circuit).await?;
        let obtained_at = self.ports.clock.now();
        let ask = Ask::ClientCredentials {
            scope: &credential.scope,
        };
        let granted = self
            .through_circuit(credential, &client, *need == TokenNeed::New, ask)
            .await;
        let row = client.settled(row, obtained_at, outcome);
        self.keep_access(&row, &client, &granted?, obtained_at, outcome).await
    }

    /// Puts an access token into the vault and its description into the outcome; the app's circuit is closed, if it was open.
    pub(super) async fn keep_access(
        &self,
        row: &CredentialRow,
        client: &Client,
        granted: &Granted,
        obtained_at: Timestamp,
        outcome: &mut TokenOutcome,
    ) -> Result<(), TokenError> {
        if client.circuit.is_open() && self.apps.close(&row.credential.client()).await? {
            info!(client_id = %row.credential.client_id, "Microsoft takes the app again");
        }
        let name = &row.credential.access_token;
        let newest = row.token.as_ref().map(|token| token.version.clone());
        let version = put_newest(&*self.ports.vault, &*self.ports.clock, name, &granted.token, newest).await?;
        let mut signed_in = row.clone();
        if outcome.sign_in.is_some() {
            signed_in.sign_in.clone_from(&outcome.sign_in);
        }
        outcome.token = Some(state_of(granted, version, obtained_at, settings_digest(&signed_in)));
        outcome.problem = Some(None);
        outcome.needs_sign_in = Some(false);
        outcome.refused_at = Some(None);
        outcome.interrupted = Some(false);
        outcome.claims = Some(None);
        outcome.not_before = Some(None);
        Ok(())
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

fn state_of(granted: &Granted, version: SecretVersion, obtained_at: Timestamp, settings: String) -> TokenState {
    let claims = &granted.claims;
    // A token that is no JWT tells nothing; then the answer's own words count.
    let scopes = match &claims.scp {
        Some(scp) => scp.split(' ').map(str::to_owned).collect(),
        None if claims.roles.is_empty() => granted.scope.clone().unwrap_or_default(),
        None => Vec::new(),
    };
    TokenState {
        version,
        expires_at: plus(obtained_at, granted.lifetime),
        obtained_at,
        roles: claims.roles.clone(),
        scopes,
        tenant: claims.tid.clone(),
        settings,
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
