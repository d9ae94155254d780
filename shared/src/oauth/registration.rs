//! When a client secret ends, as the registration of its app says: read from Graph where the app may, once a day.
//!
//! Microsoft Graph, "Get application" and "passwordCredential resource type": a secret is shown by its first three characters
//! (`hint`) and its end. An app may read that with an application permission for applications.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tracing::debug;
use url::Url;

use crate::{
    records::credentials::{CredentialRow, SecretEnds},
    secret::Secret,
    time::between,
};

use super::{
    client::Client,
    entra::{Granted, document},
    token::TokenService,
};

/// Application permissions with which an app may read its own registration.
const ROLES: [&str; 4] = [
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    "Directory.Read.All",
];
/// How often it is read: secrets end by the day.
const AGAIN: Duration = Duration::from_hours(24);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    password_credentials: Vec<PasswordCredential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordCredential {
    hint: Option<String>,
    end_date_time: Option<Timestamp>,
}

impl TokenService {
    /// What the registration says of the secret that just worked; `None` if it is not to be read, or not yet again. That it
    /// cannot be read fails nothing: a typed day counts then.
    pub(super) async fn secret_ends(
        &self,
        row: &CredentialRow,
        client: &Client,
        granted: &Granted,
        now: Timestamp,
    ) -> Option<SecretEnds> {
        let secret = client.secret()?;
        let may = |role: &String| ROLES.iter().any(|known| role.eq_ignore_ascii_case(known));
        if !granted.claims.roles.iter().any(may) {
            return None;
        }
        let before = row.secret_ends();
        if before.is_some_and(|read| between(read.read_at, now) < AGAIN) {
            return None;
        }
        let credential = &row.credential;
        let url = place(&credential.graph_url, &credential.client_id)?;
        let asked = document::<Registration>(&*self.ports.http, &*self.ports.clock, &url, Some(&granted.token)).await;
        let ends_at = match asked {
            Ok(registration) => end_of(&registration.password_credentials, secret, now),
            Err(error) => {
                debug!(credential = %credential.id, %error, "the app registration could not be read; the end that is known counts");
                before.and_then(|read| read.ends_at)
            }
        };
        Some(SecretEnds {
            secret: credential.client_secret.clone(),
            read_at: now,
            ends_at,
        })
    }
}

/// The address of an app's registration, found by its client id.
fn place(graph: &Url, client_id: &str) -> Option<Url> {
    let mut url = graph.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .push(&format!("applications(appId='{}')", client_id.replace('\'', "''")));
    url.query_pairs_mut().append_pair("$select", "passwordCredentials");
    Some(url)
}

/// Of the secrets that begin so and are good, the one that ends first: it is one of them, and a warning that comes early is
/// better than one that comes late.
fn end_of(registered: &[PasswordCredential], secret: &Secret, now: Timestamp) -> Option<Timestamp> {
    let hint: String = secret.expose().chars().take(3).collect();
    let ours = registered
        .iter()
        .filter(|one| one.hint.as_deref() == Some(hint.as_str()));
    ours.filter_map(|one| one.end_date_time).filter(|at| *at > now).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_known_by_how_it_begins() {
        let at = |day: &str| format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap();
        let one = |hint: &str, day: &str| PasswordCredential {
            hint: Some(hint.into()),
            end_date_time: Some(at(day)),
        };
        let registered = [
            one("xyz", "2026-02-01"),
            one("abc", "2026-01-01"),
            one("abc", "2027-05-01"),
            one("abc", "2027-03-01"),
            PasswordCredential {
                hint: None,
                end_date_time: Some(at("2026-03-01")),
            },
        ];
        let end = |secret: &str| end_of(&registered, &Secret::new(secret), at("2026-01-15"));
        assert_eq!(end("abcdef"), Some(at("2027-03-01")), "one that is over does not work");
        assert_eq!(end("xyz9"), Some(at("2026-02-01")));
        assert_eq!(end("other"), None);
    }

    #[test]
    fn the_registration_is_found_by_the_client_id() {
        let graph = Url::parse("https://graph.microsoft.com/v1.0").unwrap();
        let url = place(&graph, "b7b1-x").unwrap();
        assert_eq!(
            url.as_str(),
            "https://graph.microsoft.com/v1.0/applications(appId='b7b1-x')?%24select=passwordCredentials"
        );
    }
}
