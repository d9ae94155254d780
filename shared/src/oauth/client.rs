//! The app's proof of itself at the token endpoint: read from the vault or from whoever makes it, built anew for each request.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    account::digest,
    credential::{
        ClientAuthentication, ClientCertificate, Credential, NextSecret, signed_assertion, unsigned_assertion,
    },
    ports::{SecretName, Stage},
    records::{
        apps::Circuit,
        credentials::{CredentialRow, NextRefused, TokenOutcome},
    },
    secret::Secret,
    time::between,
};

use super::{
    error::{TokenError, TokenErrorKind},
    token::TokenService,
};

/// How long a next secret that was refused is left alone.
const NEXT_AGAIN: std::time::Duration = std::time::Duration::from_mins(15);

/// The audience that Entra wants in a federated token, by cloud (Microsoft, "Workload identity federation").
pub fn federated_audience(login_host: &str) -> &'static str {
    match login_host {
        "login.microsoftonline.us" => "api://AzureADTokenExchangeUSGov",
        "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => "api://AzureADTokenExchangeChina",
        _ => "api://AzureADTokenExchange",
    }
}

/// Why there is no proof: a sentence for an admin that never repeats what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoProof {
    /// Somebody must mend it; the sentence says where.
    Mend(String),
    /// It was not to be had just now.
    Later(String),
}

/// Gets what proves the app and is no secret of ours. One machine: a token in a file that somebody else renews. AWS: tokens
/// that STS makes, and signatures by a key in KMS.
///
/// Called once per request to the token endpoint; nothing is kept.
#[async_trait]
pub trait OutsideProofs: Send + Sync {
    /// The token in this file, without blanks at its ends.
    async fn in_file(&self, path: &str) -> Result<Secret, NoProof>;
    /// A token that the platform makes for this audience.
    async fn of_platform(&self, audience: &str) -> Result<Secret, NoProof>;
    /// The signature over this text by the KMS key with this ARN: RSASSA-PSS with SHA-256 and a salt of 32 bytes, as PS256
    /// wants it (RFC 7518 section 3.5).
    async fn by_kms_key(&self, key: &str, text: &str) -> Result<Vec<u8>, NoProof>;
}

/// How the app proves itself.
pub(super) enum Proof {
    Secret(Secret),
    Certificate(Box<ClientCertificate>),
    /// Made by somebody else: a federated token, or an assertion that KMS signed.
    Assertion(Secret),
}

/// What a proof comes from.
pub(super) enum Source {
    /// It is there.
    Ready(Proof),
    /// KMS signs one for each request.
    KmsKey {
        /// The certificate's `x5t#S256`.
        print: String,
        /// The key's ARN.
        key: String,
    },
}

/// What the app proves itself with, what it is known by to the circuit, and the one that shall take its place.
pub(super) struct Client {
    pub(super) source: Source,
    pub(super) known_by: String,
    /// A next secret that is to be tried first.
    pub(super) next: Option<Secret>,
    /// The app's circuit, as it was before.
    pub(super) circuit: Circuit,
    /// What became of the next secret.
    tried: Mutex<Option<Result<(), String>>>,
}

impl Client {
    pub(super) fn next_worked(&self) {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(()));
    }

    pub(super) fn next_refused(&self, why: String) {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Some(Err(why));
    }

    /// The client secret that worked, if it was one.
    pub(super) fn secret(&self) -> Option<&Secret> {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*tried, &self.next, &self.source) {
            (Some(Ok(())), Some(next), _) => Some(next),
            (_, _, Source::Ready(Proof::Secret(secret))) => Some(secret),
            _ => None,
        }
    }

    /// The row after what became of the next secret: it takes the old one's place, or its refusal is noted.
    pub(super) fn settled(&self, row: &CredentialRow, now: Timestamp, outcome: &mut TokenOutcome) -> CredentialRow {
        let mut row = row.clone();
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (tried, row.credential.next_secret.clone()) {
            (Some(Ok(())), Some(next)) => {
                row.credential = rolled_over(&row.credential, next);
                outcome.credential = Some((row.credential.clone(), row.revision));
                outcome.next_refused = Some(None);
            }
            (Some(Err(what)), Some(_)) => outcome.next_refused = Some(Some(NextRefused { at: now, what })),
            _ => {}
        }
        row
    }
}

/// What a secret is known by where no secret may stand: copies of it under several names are the same one to Microsoft.
fn fingerprint(credential: &Credential, secret: &Secret) -> String {
    let mut digest = digest(&[&credential.client_id, secret.expose()]);
    digest.truncate(16);
    format!("sha256 {digest}")
}

/// The credential with its next secret in place of the old one.
fn rolled_over(credential: &Credential, next: NextSecret) -> Credential {
    Credential {
        client_secret: next.name,
        secret_expires_at: next.expires_at,
        next_secret: None,
        retired_secrets: credential
            .retired_secrets
            .iter()
            .chain([&credential.client_secret])
            .cloned()
            .collect(),
        ..credential.clone()
    }
}

impl TokenService {
    /// What the app proves itself with, and what it is known by to the circuit.
    /// `circuit`: the app's circuit, if it was read already.
    pub(super) async fn client(&self, row: &CredentialRow, circuit: Option<Circuit>) -> Result<Client, TokenError> {
        let credential = &row.credential;
        let circuit = match circuit {
            Some(circuit) => circuit,
            None => self.apps.circuit(&credential.client()).await?,
        };
        let name = &credential.client_secret;
        let (source, known_by) = match &credential.authentication {
            ClientAuthentication::Secret => {
                let (secret, known_by) = self.of_vault(credential, name).await?;
                (Source::Ready(Proof::Secret(secret)), known_by)
            }
            ClientAuthentication::Certificate { .. } => {
                let (pem, known_by) = self.of_vault(credential, name).await?;
                let certificate = ClientCertificate::from_pem(&pem)
                    .map_err(|error| TokenError::plain(TokenErrorKind::Client, error.to_string()))?;
                (Source::Ready(Proof::Certificate(Box::new(certificate))), known_by)
            }
            ClientAuthentication::KmsKey { key, print, .. } => {
                let (print, key) = (print.clone(), key.clone());
                let known_by = format!("key {key} certificate {print}");
                (Source::KmsKey { print, key }, known_by)
            }
            ClientAuthentication::FederatedFile { path } => {
                let token = self.outside()?.in_file(path).await.map_err(no_proof)?;
                let place = format!("the file {path} holds");
                (
                    Source::Ready(Proof::Assertion(jwt(token, &place)?)),
                    format!("file {path}"),
                )
            }
            ClientAuthentication::FederatedAws => {
                let audience = federated_audience(credential.token_url.host_str().unwrap_or_default());
                let token = self.outside()?.of_platform(audience).await;
                let token = jwt(token.map_err(no_proof)?, "AWS answered")?;
                (Source::Ready(Proof::Assertion(token)), format!("platform {audience}"))
            }
        };
        let now = self.ports.clock.now();
        let waits = row
            .next_refused
            .as_ref()
            .is_some_and(|refused| between(refused.at, now) < NEXT_AGAIN);
        let next = match &credential.next_secret {
            Some(next) if !waits => self.ports.vault.read(&next.name, Stage::Current).await?,
            _ => None,
        };
        Ok(Client {
            source,
            known_by,
            next: next.map(|entry| entry.value),
            circuit,
            tried: Mutex::default(),
        })
    }

    /// An assertion for one request, signed by a key in KMS. That KMS does not sign is no word of Microsoft's about the app.
    pub(super) async fn signed_by_kms(
        &self,
        credential: &Credential,
        print: &str,
        key: &str,
    ) -> Result<Proof, TokenError> {
        let (id, now) = (self.ports.rng.hex(16), self.ports.clock.now());
        let unsigned = unsigned_assertion(print, credential.token_url.as_str(), &credential.client_id, &id, now);
        let signature = self.outside()?.by_kms_key(key, &unsigned).await.map_err(no_proof)?;
        Ok(Proof::Assertion(signed_assertion(&unsigned, &signature)))
    }

    async fn of_vault(&self, credential: &Credential, name: &SecretName) -> Result<(Secret, String), TokenError> {
        // Read each time: a secret that an admin took away is not used any more, by nobody.
        let entry = self.ports.vault.read(name, Stage::Current).await?.ok_or_else(|| {
            TokenError::plain(
                TokenErrorKind::Client,
                format!(
                    "the credential `{0}` has no client secret; set one with `postroom credential edit {0} --client-secret-stdin`",
                    credential.id
                ),
            )
        })?;
        let known_by = fingerprint(credential, &entry.value);
        Ok((entry.value, known_by))
    }

    fn outside(&self) -> Result<&dyn OutsideProofs, TokenError> {
        self.outside.as_deref().ok_or_else(|| {
            TokenError::plain(
                TokenErrorKind::Client,
                "neither federated tokens nor KMS are to be had here; give the credential a client secret or a certificate",
            )
        })
    }
}

fn no_proof(why: NoProof) -> TokenError {
    match why {
        NoProof::Mend(what) => TokenError::plain(TokenErrorKind::Client, what),
        NoProof::Later(what) => TokenError::plain(TokenErrorKind::Transient { after: None }, what),
    }
}

/// Only what looks like a token leaves this machine: a path may be mistyped.
fn jwt(token: Secret, place: &str) -> Result<Secret, TokenError> {
    let parts: Vec<&str> = token.expose().split('.').collect();
    let fits = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if parts.len() == 3 && parts.iter().all(fits) {
        return Ok(token);
    }
    Err(TokenError::plain(
        TokenErrorKind::Client,
        format!("{place} no token (a JWT: three parts with dots between); nothing of it was sent"),
    ))
}
