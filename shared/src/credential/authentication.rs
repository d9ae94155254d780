//! How the app proves to Entra that it is itself: a secret, a certificate, or a token of somebody Entra trusts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{field::FieldError, ports::SecretName, secret::Secret};

use super::certificate::{ClientCertificate, KmsCertificate};

/// What stands on record; what is secret about it lies in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// A client secret (RFC 6749 section 2.3.1).
    #[default]
    Secret,
    /// A certificate (`private_key_jwt`; Microsoft, "Application authentication certificate credentials").
    Certificate {
        /// SHA-1 of the certificate in upper-case hexadecimal, as the portal shows it.
        thumbprint: String,
        /// Whose it says it is.
        subject: String,
    },
    /// A certificate whose key lies in AWS KMS, which signs (`private_key_jwt` as well): no secret of ours at all.
    KmsKey {
        /// The key's ARN.
        key: String,
        /// SHA-1 of the certificate in upper-case hexadecimal, as the portal shows it.
        thumbprint: String,
        /// `x5t#S256` of the certificate (RFC 7515 section 4.1.8).
        print: String,
        /// Whose it says it is.
        subject: String,
    },
    /// A token in a file, written and renewed by somebody else (workload identity federation): no secret of ours at all.
    FederatedFile {
        /// Where; read at each use.
        path: String,
    },
    /// A token that AWS makes for the role of the function that asks (`sts:GetWebIdentityToken`): no secret of ours at all.
    FederatedAws,
}

impl ClientAuthentication {
    /// In a few words.
    pub fn words(&self) -> String {
        match self {
            Self::Secret => "client secret".into(),
            Self::Certificate { thumbprint, subject } => format!("certificate {thumbprint} ({subject})"),
            Self::KmsKey {
                key,
                thumbprint,
                subject,
                ..
            } => format!("certificate {thumbprint} ({subject}), signed by the KMS key {key}"),
            Self::FederatedFile { path } => format!("federated token in {path}"),
            Self::FederatedAws => "federated token of AWS".into(),
        }
    }

    /// Whether the vault holds something for it.
    pub fn has_secret(&self) -> bool {
        matches!(self, Self::Secret | Self::Certificate { .. })
    }
}

/// A client secret that waits for its first success; until then the old one stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextSecret {
    /// Where it lies.
    pub name: SecretName,
    /// When it expires, if the admin said so.
    pub expires_at: Option<Timestamp>,
}

/// What an admin gives, before it is split into record and vault.
#[derive(Clone)]
pub enum ClientInput {
    /// A client secret, and when it expires, if that is known.
    Secret {
        /// Its Value.
        secret: Secret,
        /// As the portal says.
        expires_at: Option<Timestamp>,
    },
    /// A certificate with its key.
    Certificate(Box<ClientCertificate>),
    /// A certificate whose key lies in AWS KMS; where Postroom runs on AWS.
    KmsKey(Box<KmsCertificate>),
    /// The path of a file with a federated token.
    FederatedFile(String),
    /// AWS makes the token; where Postroom runs on AWS.
    FederatedAws,
}

impl ClientInput {
    /// A secret of unknown life.
    pub fn secret(secret: Secret) -> Self {
        Self::Secret {
            secret,
            expires_at: None,
        }
    }

    /// Record, vault, expiry.
    pub fn split(&self) -> Result<(ClientAuthentication, Option<Secret>, Option<Timestamp>), FieldError> {
        Ok(match self {
            Self::Secret { secret, expires_at } => {
                check_secret(secret)?;
                (ClientAuthentication::Secret, Some(secret.clone()), *expires_at)
            }
            Self::Certificate(certificate) => (
                ClientAuthentication::Certificate {
                    thumbprint: certificate.facts.thumbprint.clone(),
                    subject: certificate.facts.subject.clone(),
                },
                Some(certificate.pem.clone()),
                Some(certificate.facts.expires_at),
            ),
            Self::KmsKey(certificate) => (
                ClientAuthentication::KmsKey {
                    key: certificate.key.clone(),
                    thumbprint: certificate.facts.thumbprint.clone(),
                    print: certificate.facts.print.clone(),
                    subject: certificate.facts.subject.clone(),
                },
                None,
                Some(certificate.facts.expires_at),
            ),
            Self::FederatedFile(path) => {
                check_path(path)?;
                (ClientAuthentication::FederatedFile { path: path.clone() }, None, None)
            }
            Self::FederatedAws => (ClientAuthentication::FederatedAws, None, None),
        })
    }
}

/// A day (UTC) as the portal shows it: the secret is taken as over when the day begins. Empty: unknown.
pub fn expiry(field: &'static str, typed: &str) -> Result<Option<Timestamp>, FieldError> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let wrong = || FieldError::new(field, format!("`{typed}` is no day; give it as 2027-01-31"));
    let day: jiff::civil::Date = typed.parse().map_err(|_| wrong())?;
    let start = jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0));
    start.map(Some).map_err(|_| wrong())
}

fn check_secret(secret: &Secret) -> Result<(), FieldError> {
    const FIELD: &str = "client secret";
    let text = secret.expose();
    if text.is_empty() {
        return Err(FieldError::new(
            FIELD,
            "it is missing; copy its Value from Certificates & secrets of the app registration",
        ));
    }
    if text.len() > 16 * 1024 || text.chars().any(char::is_control) {
        return Err(FieldError::new(
            FIELD,
            "it is too long, or holds a character that no secret has; copy its Value again",
        ));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), FieldError> {
    if !path.starts_with('/') && path.get(1..3) != Some(":\\") {
        return Err(FieldError::new(
            "federated token file",
            "give the whole path, such as /var/run/secrets/azure/tokens/azure-identity-token",
        ));
    }
    if path.len() > 1000 || path.chars().any(char::is_control) {
        return Err(FieldError::new("federated token file", "it is no path"));
    }
    Ok(())
}
