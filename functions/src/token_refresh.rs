//! token-refresh: redeems codes, requests and renews tokens. The only function that reads client secrets and grants.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    oauth::{TokenError, TokenService},
    ports::{Ports, Tokens as _},
    records::{
        accounts::Accounts,
        apps::Apps,
        credentials::{CredentialRow, Credentials},
    },
    time::between,
    watch::{Which, in_use, renew},
};
use tracing::{info, warn};

use crate::{
    adapters::Ask,
    failure::Failure,
    metrics::{self, Metric},
    sandbox::Sandbox,
    serve::{Function, Invocation},
};

/// The function.
pub struct TokenRefresh {
    ports: Ports,
    tokens: TokenService,
    credentials: Credentials,
    accounts: Accounts,
    apps: Apps,
    stack: String,
}

/// Sets it up.
pub async fn start(sandbox: Sandbox) -> Result<TokenRefresh, Failure> {
    let ports = Ports {
        vault: sandbox.vault(true)?,
        http: sandbox.http(),
        ..sandbox.ports()
    };
    crate::warm::table(&*ports.store).await;
    Ok(TokenRefresh {
        tokens: TokenService::new(ports.clone()).with_outside(sandbox.outside_proofs()),
        credentials: Credentials::new(Arc::clone(&ports.store)),
        accounts: Accounts::new(Arc::clone(&ports.store)),
        apps: Apps::new(Arc::clone(&ports.store)),
        stack: sandbox.stack.clone(),
        ports,
    })
}

#[async_trait]
impl Function for TokenRefresh {
    async fn handle(&self, event: Value, _: &Invocation) -> Result<Value, Failure> {
        match serde_json::from_value(event) {
            Ok(Ask::Renew) => self.renew().await,
            // A refusal is an answer: it travels as what it is, and the invocation went well.
            Ok(Ask::AccessToken { credential, need }) => answer(self.tokens.access_token(&credential, need).await),
            Ok(Ask::Redeem(code)) => answer(self.tokens.redeem((*code).into()).await),
            // What was sent may hold a code: it is not repeated.
            Err(_) => Err(Failure::malformed("it is none of `renew`, `access_token` and `redeem`")),
        }
    }
}

fn answer<T: Serialize>(answer: Result<T, TokenError>) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(Failure::malformed)
}

impl TokenRefresh {
    async fn renew(&self) -> Result<Value, Failure> {
        let now = self.ports.clock.now();
        let used = in_use(&self.accounts).await?;
        let rows = self.credentials.all().await?;
        let renewed = renew(&rows, &self.tokens, &used, Which::All, now).await;
        let age = |row: &CredentialRow| {
            let fresh = row.token.as_ref()?;
            used.iter()
                .any(|id| id == row.credential.id.as_str())
                .then(|| between(fresh.obtained_at, now).as_secs())
        };
        let mut values = vec![(Metric::RefreshFailures, renewed.failed)];
        if let Some(oldest) = rows.iter().filter_map(age).max() {
            values.push((Metric::TokenAge, oldest));
        }
        if let Some(days) = days_left(&rows, now) {
            values.push((Metric::CredentialDaysLeft, days));
        }
        let wrong = rows.iter().filter(|row| shared::reach::warning(row).is_some()).count();
        values.push((Metric::ReachNotAsMeant, wrong as u64));
        match self.apps.all().await {
            Ok(open) => values.push((Metric::OpenCircuits, open.len() as u64)),
            // The rest is told all the same.
            Err(problem) => warn!(%problem, "the circuits of the apps could not be read"),
        }
        metrics::print(&self.stack, now, &values, &[]);
        info!(
            renewed = renewed.renewed,
            failed = renewed.failed,
            "tokens were looked at"
        );
        Ok(json!({"renewed": renewed.renewed, "failed": renewed.failed}))
    }
}

/// Whole days until the first secret, certificate or sign-in ends, if one does within the time in which that is warned of.
fn days_left(rows: &[CredentialRow], now: Timestamp) -> Option<u64> {
    let endings = rows.iter().flat_map(|row| shared::warning::of(row, now));
    endings.map(|warning| warning.days).min()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::time::{minus, plus};

    use super::*;

    /// A credential with a token of the given age; somebody signed in for it, or nobody did.
    fn row(hours: u64, signed_in: bool, now: Timestamp) -> CredentialRow {
        let obtained = minus(now, Duration::from_hours(hours));
        let credential = json!({
            "id": "app", "description": "", "grant_type": "authorization_code", "authorization_url": "https://login.microsoftonline.com/t/oauth2/v2.0/authorize",
            "token_url": "https://login.microsoftonline.com/t/oauth2/v2.0/token", "client_id": "c", "scope": "Mail.Read", "graph_url": "https://graph.microsoft.com/v1.0",
            "client_secret": "client/a", "access_token": "access/a", "created_at": obtained,
        });
        let sign_in = json!({
            "identity": {"tenant": "t", "object": "o"}, "name": null, "address": null, "at": obtained, "asked": "Mail.Read", "granted": [], "client": "c", "renewable": true,
        });
        let token = json!({
            "version": "1", "expires_at": obtained, "obtained_at": obtained, "roles": [], "scopes": [], "tenant": null, "settings": "s",
        });
        let sign_in = signed_in.then(|| serde_json::from_value(sign_in).unwrap());
        CredentialRow {
            credential: serde_json::from_value(credential).unwrap(),
            revision: 1,
            token: Some(serde_json::from_value(token).unwrap()),
            problem: None,
            sign_in,
            needs_sign_in: false,
            refused_at: None,
            asked_at: None,
            interrupted: false,
            generation: 1,
            grant_writes: Vec::new(),
            next_refused: None,
            secret_ends: None,
            expected: shared::reach::Expected::default(),
            reach: None,
            reach_looks: 0,
            claims: None,
            not_before: None,
        }
    }

    #[test]
    fn what_ends_first_is_told() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(days_left(&[], now), None);
        assert_eq!(
            days_left(&[row(1, false, now)], now),
            None,
            "an app's own token ends nothing"
        );
        let rows = [row(1, true, now), row(24 * 80, true, now), row(24 * 200, false, now)];
        assert_eq!(days_left(&rows, now), Some(10));
        assert_eq!(days_left(&[row(24 * 91, true, now)], now), Some(0), "over");
        let mut secret = row(1, false, now);
        secret.credential.secret_expires_at = Some(plus(now, Duration::from_hours(24 * 3)));
        assert_eq!(days_left(&[row(24 * 80, true, now), secret], now), Some(3));
        let mut waits = row(24 * 80, true, now);
        waits.needs_sign_in = true;
        assert_eq!(days_left(&[waits], now), None, "that one is told as trouble already");
    }
}
