//! What is asked of token-refresh and what it answers, as it travels; and the `Tokens` port over invoking it.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};
use shared::{
    oauth::{TokenError, TokenErrorKind, token_on_record},
    ports::{Clock, Redeemed, Redemption, Store, TokenInfo, TokenNeed, Tokens},
    records::credentials::Credentials,
    secret::Secret,
};
use url::Url;

use crate::sdk::{self, Fault};

use super::invoke::{Failed, Said, invoke};

/// What token-refresh is asked for. Has no `Debug`: a redemption carries a code and its verifier.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Renew whatever is due; from the timer.
    Renew,
    /// An access token.
    AccessToken {
        /// Of this credential.
        credential: String,
        /// Which one will do.
        need: TokenNeed,
    },
    /// Redeem a code.
    Redeem(Box<Redeem>),
}

/// A [`Redemption`] as it travels between two functions: over TLS, into no log.
#[derive(Serialize, Deserialize)]
pub struct Redeem {
    credential: String,
    code: String,
    verifier: String,
    nonce: String,
    redirect_uri: Url,
    scope: String,
    client: String,
    rebind: bool,
    issuer: Option<String>,
}

impl From<Redemption> for Redeem {
    fn from(redemption: Redemption) -> Self {
        Self {
            credential: redemption.credential,
            code: redemption.code.expose().to_owned(),
            verifier: redemption.verifier.expose().to_owned(),
            nonce: redemption.nonce.expose().to_owned(),
            redirect_uri: redemption.redirect_uri,
            scope: redemption.scope,
            client: redemption.client,
            rebind: redemption.rebind,
            issuer: redemption.issuer,
        }
    }
}

impl From<Redeem> for Redemption {
    fn from(sent: Redeem) -> Self {
        Self {
            credential: sent.credential,
            code: Secret::new(sent.code),
            verifier: Secret::new(sent.verifier),
            nonce: Secret::new(sent.nonce),
            redirect_uri: sent.redirect_uri,
            scope: sent.scope,
            client: sent.client,
            rebind: sent.rebind,
            issuer: sent.issuer,
        }
    }
}

/// Asks token-refresh, unless what is on record serves.
#[derive(Clone)]
pub struct TokenCalls {
    client: Client,
    function: Arc<str>,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
}

impl TokenCalls {
    /// By invoking this function (its name or ARN).
    pub fn new(config: &SdkConfig, function: &str, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: Client::new(&sdk::patient(config)),
            function: function.into(),
            credentials: Credentials::new(store),
            clock,
        }
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, ask: &Ask) -> Result<T, TokenError> {
        let storage = |what: String| TokenError::plain(TokenErrorKind::Storage, what);
        let event = serde_json::to_vec(ask).map_err(|error| storage(error.to_string()))?;
        let fault = match invoke(&self.client, &self.function, event).await {
            Ok(payload) => {
                return serde_json::from_slice::<Result<T, TokenError>>(&payload).unwrap_or_else(|_| {
                    Err(storage(format!(
                        "the function {} answered something unreadable; both must be of one version",
                        self.function
                    )))
                });
            }
            Err(Failed::Function(said)) => return Err(broken(&self.function, &said)),
            Err(Failed::Call(fault)) => fault,
        };
        let what = format!(
            "the function {} could not be asked for a token: {}",
            self.function,
            fault.what()
        );
        Err(match fault {
            Fault::Throttled(_) | Fault::Unknown(_) => {
                TokenError::plain(TokenErrorKind::Transient { after: None }, what)
            }
            Fault::Denied(_) | Fault::Refused { .. } => storage(what),
        })
    }
}

/// The function failed before it could answer.
fn broken(function: &str, said: &Said) -> TokenError {
    let kind = match said.error_type.as_str() {
        "Operator" => TokenErrorKind::Storage,
        "Defect" => TokenErrorKind::Unforeseen,
        // Its time ran out, its process ended, or it says so itself.
        _ => TokenErrorKind::Transient { after: None },
    };
    let what = format!(
        "the function {function} failed ({}): {}",
        said.error_type, said.error_message
    );
    TokenError::plain(kind, what)
}

#[async_trait]
impl Tokens for TokenCalls {
    async fn access_token(&self, credential: &str, need: TokenNeed) -> Result<TokenInfo, TokenError> {
        let row = self.credentials.get(credential).await?;
        if let Some(info) = token_on_record(&row, &need, self.clock.now()) {
            return Ok(info);
        }
        let credential = credential.to_owned();
        self.ask(&Ask::AccessToken { credential, need }).await
    }

    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, TokenError> {
        self.ask(&Ask::Redeem(Box::new(redemption.into()))).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use shared::{error::Next, ports::SecretVersion};

    use super::*;

    #[test]
    fn asks_travel() {
        let read = |value| serde_json::from_value::<Ask>(value);
        assert!(matches!(read(json!({"ask": "renew"})), Ok(Ask::Renew)));
        let ask = Ask::AccessToken {
            credential: "app".into(),
            need: TokenNeed::NewerThan(SecretVersion("v1".into())),
        };
        match read(serde_json::to_value(&ask).unwrap()) {
            Ok(Ask::AccessToken { credential, need }) => {
                assert_eq!(credential, "app");
                assert_eq!(need, TokenNeed::NewerThan(SecretVersion("v1".into())));
            }
            _ => panic!("another ask arrived"),
        }
        for bad in [
            json!({}),
            json!({"ask": "anything"}),
            json!({"ask": "access_token"}),
            json!([]),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_code_travels_whole() {
        let redemption = Redemption {
            credential: "app".into(),
            code: Secret::new("the code"),
            verifier: Secret::new("the verifier"),
            nonce: Secret::new("the nonce"),
            redirect_uri: Url::parse("https://post.contoso.example/OAuth2Callback").unwrap(),
            scope: "Mail.Read".into(),
            client: "c".into(),
            rebind: true,
            issuer: Some("https://login.contoso.example".into()),
        };
        let wire = serde_json::to_vec(&Ask::Redeem(Box::new(redemption.clone().into()))).unwrap();
        let Ok(Ask::Redeem(code)) = serde_json::from_slice(&wire) else {
            panic!("another ask arrived");
        };
        let arrived = Redemption::from(*code);
        assert!(arrived.code == redemption.code && arrived.verifier == redemption.verifier);
        assert!(arrived.nonce == redemption.nonce && arrived.rebind);
        assert_eq!(arrived.redirect_uri, redemption.redirect_uri);
        assert_eq!(arrived.issuer, redemption.issuer);
    }

    #[test]
    fn typed_errors_come_back_as_they_were() {
        let after = Some(Duration::from_secs(300));
        for kind in [
            TokenErrorKind::Transient { after },
            TokenErrorKind::Client,
            TokenErrorKind::SignIn,
            TokenErrorKind::Storage,
        ] {
            let answer: Result<TokenInfo, TokenError> = Err(TokenError::plain(kind.clone(), "why"));
            let wire = serde_json::to_vec(&answer).unwrap();
            let back: Result<TokenInfo, TokenError> = serde_json::from_slice(&wire).unwrap();
            let back = back.unwrap_err();
            assert_eq!((back.kind, back.what.as_str()), (kind, "why"));
        }
    }

    #[test]
    fn a_function_that_failed_is_judged_by_its_error_type() {
        let next = |text: &str| broken("f", &Said::of(text.as_bytes())).next();
        assert_eq!(
            next(r#"{"errorType":"Operator","errorMessage":"no table"}"#),
            Next::Operator
        );
        assert_eq!(next(r#"{"errorType":"Sandbox.Timedout"}"#), Next::Retry { after: None });
        assert_eq!(next("not json"), Next::Retry { after: None });
    }
}
