//! Warnings before it breaks: secrets, certificates and sign-ins that end soon, told at 60, 30, 14, 7 and 1 days (P7, P1).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    credential::{ClientAuthentication, GrantType},
    records::credentials::CredentialRow,
    time::{between, plus},
};

/// Days before the end at which it is told, once each; and 0 when it is over.
pub const STAGES: [u64; 6] = [0, 1, 7, 14, 30, 60];
/// A refresh token that nobody uses for so long is over (Microsoft, "Refresh tokens in the Microsoft identity platform").
const UNUSED_GRANT: Duration = Duration::from_hours(24 * 90);
const DAY: u64 = 24 * 60 * 60;

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The client secret in use.
    ClientSecret,
    /// The certificate in use.
    Certificate,
    /// The sign-in, because nobody renewed it.
    SignIn,
}

/// Something that ends within 60 days, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The credential.
    pub credential: String,
    /// What ends.
    pub ending: Ending,
    /// When.
    pub ends_at: Timestamp,
    /// Whole days left; 0 on the last day and afterwards.
    pub days: u64,
    /// The smallest of [`STAGES`] that is reached.
    pub stage: u64,
    /// What, when, and what to do.
    pub text: String,
}

impl Warning {
    /// How it is kept apart from others of its credential: another end is another warning.
    pub fn key(&self) -> String {
        let what = match self.ending {
            Ending::ClientSecret => "client_secret",
            Ending::Certificate => "certificate",
            Ending::SignIn => "sign_in",
        };
        format!("{}#{what}", self.credential)
    }
}

/// What ends soon of a credential; the most urgent first.
pub fn of(row: &CredentialRow, now: Timestamp) -> Vec<Warning> {
    let credential = &row.credential;
    let mut found = Vec::new();
    let mut note = |ending, ends_at: Timestamp, what: String, todo: &str| {
        let over = ends_at <= now;
        let days = between(now, ends_at).as_secs() / DAY;
        let stage = if over {
            Some(0)
        } else {
            STAGES[1..].iter().copied().find(|stage| days < *stage)
        };
        let Some(stage) = stage else { return };
        let when = match (over, days) {
            (true, _) => format!("is over since {ends_at:.0}"),
            (false, 0) => format!("ends within a day, at {ends_at:.0}"),
            (false, 1) => format!("ends in 1 day, at {ends_at:.0}"),
            (false, days) => format!("ends in {days} days, at {ends_at:.0}"),
        };
        found.push(Warning {
            credential: credential.id.to_string(),
            ending,
            ends_at,
            days,
            stage,
            text: format!(
                "{what} of credential `{0}` {when}. {1}",
                credential.id,
                todo.replace("ID", credential.id.as_str())
            ),
        });
    };
    if let Some(at) = row.expires_at() {
        match &credential.authentication {
            ClientAuthentication::Secret if credential.next_secret.is_some() && row.next_refused.is_none() => {}
            ClientAuthentication::Secret => note(
                Ending::ClientSecret,
                at,
                "the client secret".into(),
                "Make a new one (Azure portal, App registrations, your app, Certificates & secrets), then `postroom credential roll ID --client-secret-stdin`",
            ),
            ClientAuthentication::Certificate { thumbprint, .. } => note(
                Ending::Certificate,
                at,
                format!("the certificate {thumbprint}"),
                "Upload a new one beside it (Azure portal, App registrations, your app, Certificates & secrets, Certificates), then `postroom credential edit ID --certificate FILE`",
            ),
            ClientAuthentication::KmsKey { thumbprint, .. } => note(
                Ending::Certificate,
                at,
                format!("the certificate {thumbprint}"),
                "Make a new certificate for the same key (infra/entra/kms-key.sh CLIENT-ID FILE DAYS KEY-ARN), and give key and certificate to the credential (console, Edit)",
            ),
            ClientAuthentication::FederatedFile { .. } | ClientAuthentication::FederatedAws => {}
        }
    }
    if credential.grant_type == GrantType::AuthorizationCode
        && !row.needs_sign_in
        && let (Some(sign_in), Some(token)) = (&row.sign_in, &row.token)
        && sign_in.renewable
        && let ends_at = plus(token.obtained_at, UNUSED_GRANT)
        // A day without a renewal is a day; a month is a sign that nothing runs.
        && between(token.obtained_at, now) >= UNUSED_GRANT / 3
    {
        note(
            Ending::SignIn,
            ends_at,
            format!(
                "the sign-in of {}, which nothing has renewed since {:.0},",
                sign_in.who(),
                token.obtained_at
            ),
            "Let `postroom serve` run, or click the key",
        );
    }
    found.sort_by_key(|warning| warning.ends_at);
    found
}
