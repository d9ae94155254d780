//! The credential: what an administrator types to let Postroom in, and what is refused before it can hurt.

mod authentication;
mod certificate;
mod check;
mod pkcs12;
mod sign_in;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    field::Id,
    ports::{SecretName, SecretVersion},
};

pub use authentication::{ClientAuthentication, ClientInput, NextSecret, expiry};
pub use certificate::{CertificateFacts, ClientCertificate, KmsCertificate};
pub(crate) use certificate::{signed_assertion, unsigned_assertion};
pub use pkcs12::is_pkcs12;
pub use sign_in::{Identity, SignIn};

/// How tokens are got (RFC 6749 sections 4.1 and 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// Application permissions: the app itself.
    ClientCredentials,
    /// Delegated permissions: a person who signed in.
    AuthorizationCode,
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientCredentials => "client credentials",
            Self::AuthorizationCode => "authorization code",
        })
    }
}

/// The fields as typed, before any check.
#[derive(Debug, Clone, Default)]
pub struct CredentialForm {
    /// Short name, used in commands and addresses.
    pub id: String,
    /// For people.
    pub description: String,
    /// The grant type; must be chosen.
    pub grant_type: Option<GrantType>,
    /// Authorization code only; may already carry a query such as `?prompt=select_account`.
    pub authorization_url: Option<String>,
    /// Access token URL.
    pub token_url: String,
    /// Application (client) id.
    pub client_id: String,
    /// Scope, space-separated.
    pub scope: String,
    /// Graph base URL with its version; follows from the login host if absent.
    pub graph_url: Option<String>,
}

/// A checked credential, as stored. Its secrets lie in the vault under the names it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Short name.
    pub id: Id,
    /// For people.
    pub description: String,
    /// The grant type.
    pub grant_type: GrantType,
    /// Authorization code only.
    pub authorization_url: Option<Url>,
    /// Access token URL.
    pub token_url: Url,
    /// Application (client) id.
    pub client_id: String,
    /// Scope, single spaces between.
    pub scope: String,
    /// Graph base URL with its version and no slash at its end.
    pub graph_url: Url,
    /// How the app proves itself; records of older versions know secrets only.
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// Where the client secret, or the certificate with its key, lies.
    pub client_secret: SecretName,
    /// When that expires, if it is known: typed by the admin, or taken from the certificate.
    #[serde(default)]
    pub secret_expires_at: Option<Timestamp>,
    /// The client secret that takes the place of that one as soon as it has worked.
    #[serde(default)]
    pub next_secret: Option<NextSecret>,
    /// Client secrets whose place was taken, until an admin's next act removes them from the vault.
    #[serde(default)]
    pub retired_secrets: Vec<SecretName>,
    /// Where the access token lies.
    pub access_token: SecretName,
    /// When it was made, by our clock.
    pub created_at: Timestamp,
}

impl Credential {
    /// Where the refresh token lies. It shares the random part of [`Credential::access_token`].
    pub fn grant(&self) -> SecretName {
        let random = self.access_token.0.rsplit('/').next().unwrap_or_default();
        SecretName(format!("grant/{random}"))
    }

    /// What is asked for when somebody signs in: the typed scope, with `openid profile`, without which nobody could tell
    /// who it was.
    pub fn asked_scope(&self) -> String {
        let typed: Vec<&str> = self.scope.split(' ').collect();
        let missing = |scope: &&str| !typed.iter().any(|typed| typed.eq_ignore_ascii_case(scope));
        let mut asked: Vec<&str> = ["openid", "profile"].into_iter().filter(missing).collect();
        asked.extend(&typed);
        asked.join(" ")
    }

    /// The app that asks, as a digest: a grant given to one app is worthless to another.
    pub fn client(&self) -> String {
        crate::account::digest(&[self.token_url.as_str(), &self.client_id])
    }
}

/// What is known of a credential's token, beside its settings and changed by other hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    /// The version in the vault.
    pub version: SecretVersion,
    /// Until when it is good, by our clock.
    pub expires_at: Timestamp,
    /// When it was got.
    pub obtained_at: Timestamp,
    /// Application permissions it carries.
    pub roles: Vec<String>,
    /// Delegated permissions it carries.
    pub scopes: Vec<String>,
    /// The tenant that issued it.
    pub tenant: Option<String>,
    /// A digest of the settings it was asked for with: another client or scope makes it useless.
    pub settings: String,
}

/// Checked settings with remarks that do not refuse them.
#[derive(Debug, Clone)]
pub struct Checked {
    /// As they will be stored (ids of secrets and times are set by the caller).
    pub settings: Settings,
    /// What the admin should know.
    pub warnings: Vec<String>,
}

/// The checked fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Short name.
    pub id: Id,
    /// For people.
    pub description: String,
    /// The grant type.
    pub grant_type: GrantType,
    /// Authorization code only.
    pub authorization_url: Option<Url>,
    /// Access token URL.
    pub token_url: Url,
    /// Application (client) id.
    pub client_id: String,
    /// Scope.
    pub scope: String,
    /// Graph base URL.
    pub graph_url: Url,
}

/// A remark if a client secret looks like the wrong copy; never shows it.
pub fn client_secret_warning(secret: &crate::secret::Secret) -> Option<&'static str> {
    (uuid::Uuid::parse_str(secret.expose()).is_ok())
        .then_some("the client secret looks like a Secret ID; what is needed is its Value, shown once when the secret is made (AADSTS7000215 otherwise)")
}

impl Settings {
    /// A new credential with these settings.
    pub fn into_credential(
        self,
        client_secret: SecretName,
        access_token: SecretName,
        created_at: Timestamp,
    ) -> Credential {
        Credential {
            id: self.id,
            description: self.description,
            grant_type: self.grant_type,
            authorization_url: self.authorization_url,
            token_url: self.token_url,
            client_id: self.client_id,
            scope: self.scope,
            graph_url: self.graph_url,
            authentication: ClientAuthentication::default(),
            client_secret,
            secret_expires_at: None,
            next_secret: None,
            retired_secrets: Vec::new(),
            access_token,
            created_at,
        }
    }
}
