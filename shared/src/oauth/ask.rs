//! One question to the token endpoint: through the app's circuit, with the proof that is due, and what came of it kept.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    credential::{Credential, GrantType, TokenState},
    ports::{SecretVersion, TokenInfo, TokenNeed},
    records::{
        apps::{Circuit, OpenCircuit},
        credentials::{CredentialRow, TokenOutcome},
    },
    time::plus,
};

use super::{
    client::{Client, Proof, Source},
    entra::{self, Ask, Endpoint, Granted},
    error::{TokenError, TokenErrorKind},
    grant::put_newest,
    token::{LONGEST_WAIT, TokenService, info_of, settings_digest},
};

impl TokenService {
    pub(super) async fn ask(
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
        let signed;
        let proof = match &client.source {
            Source::Ready(proof) => proof,
            Source::KmsKey { print, key } => {
                signed = self.signed_by_kms(credential, print, key).await?;
                &signed
            }
        };
        let answer = entra::ask(self.endpoint(credential, proof), ask).await;
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
        let granted = granted?;
        self.keep_access(&row, &client, &granted, obtained_at, outcome).await?;
        outcome.secret_ends = self.secret_ends(&row, &client, &granted, obtained_at).await;
        Ok(())
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
