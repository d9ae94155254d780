//! token-refresh: redeems codes, requests and renews tokens. The only function that reads client secrets and grants.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    oauth::{TokenError, TokenService},
    ports::{Ports, Tokens as _},
    records::{
        accounts::Accounts,
        credentials::{CredentialRow, Credentials},
    },
    time::between,
    watch::{Which, in_use, renew},
};
use tracing::info;

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
        tokens: TokenService::new(ports.clone()),
        credentials: Credentials::new(Arc::clone(&ports.store)),
        accounts: Accounts::new(Arc::clone(&ports.store)),
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
        metrics::print(&self.stack, now, &values, &[]);
        info!(
            renewed = renewed.renewed,
            failed = renewed.failed,
            "tokens were looked at"
        );
        Ok(json!({"renewed": renewed.renewed, "failed": renewed.failed}))
    }
}
