//! What the importer is asked besides runs, as it travels; and the `Checks` port over invoking it.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_types::SdkConfig;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shared::{
    import::{
        check::Step,
        checks::{CheckError, Checks},
    },
    reach::Reach,
};
use url::Url;

use crate::sdk;

use super::invoke::{Failed, invoke};

/// What the importer is asked besides runs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Try {
    /// The steps of `account check`.
    Account {
        /// The account.
        account: String,
    },
    /// What the app of a credential reaches.
    Reach {
        /// The credential.
        credential: String,
    },
    /// Whether a browser that is sent to our redirect URI reaches us.
    Redirect {
        /// The one of the console that asks.
        redirect_uri: Url,
    },
    /// What ends soon, and whatever reach was not tried for a day; from `watch`.
    Look {},
}

/// Asks the importer, which may read access tokens and call Graph.
#[derive(Clone)]
pub struct CheckCalls {
    client: Client,
    function: Arc<str>,
}

impl CheckCalls {
    /// By invoking this function (its name or ARN).
    pub fn new(config: &SdkConfig, function: &str) -> Self {
        Self {
            client: Client::new(&sdk::patient(config)),
            function: function.into(),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, ask: &Try) -> Result<T, CheckError> {
        let trouble = |what: String| CheckError::Trouble(format!("the function {}: {what}", self.function));
        let event = serde_json::to_vec(ask).map_err(|error| trouble(error.to_string()))?;
        let payload = invoke(&self.client, &self.function, event).await;
        let payload = payload.map_err(|failed| match failed {
            Failed::Call(fault) => trouble(format!("it could not be asked: {}", fault.what())),
            Failed::Function(said) => trouble(format!("it failed ({}): {}", said.error_type, said.error_message)),
        })?;
        serde_json::from_slice::<Result<T, CheckError>>(&payload).unwrap_or_else(|_| {
            Err(trouble(
                "it answered something unreadable; both must be of one version".to_owned(),
            ))
        })
    }
}

#[async_trait]
impl Checks for CheckCalls {
    async fn account(&self, account: &str) -> Result<Vec<Step>, CheckError> {
        let account = account.to_owned();
        self.ask(&Try::Account { account }).await
    }

    async fn reach(&self, credential: &str) -> Result<Reach, CheckError> {
        let credential = credential.to_owned();
        self.ask(&Try::Reach { credential }).await
    }

    async fn redirect(&self, redirect_uri: &Url) -> Result<Step, CheckError> {
        let redirect_uri = redirect_uri.clone();
        self.ask(&Try::Redirect { redirect_uri }).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::oauth::{TokenError, TokenErrorKind};

    use super::*;

    #[test]
    fn asks_and_refusals_travel() {
        let read = |value| serde_json::from_value::<Try>(value);
        assert!(matches!(read(json!({"ask": "look"})), Ok(Try::Look {})));
        assert!(matches!(
            read(json!({"ask": "reach", "credential": "app"})),
            Ok(Try::Reach { .. })
        ));
        let uri = "https://post.contoso.example/OAuth2Callback";
        assert!(matches!(
            read(json!({"ask": "redirect", "redirect_uri": uri})),
            Ok(Try::Redirect { redirect_uri }) if redirect_uri.as_str() == uri
        ));
        for bad in [
            json!({"ask": "redirect", "redirect_uri": "nowhere"}),
            json!({"ask": "account"}),
            json!({"ask": "run"}),
            json!({"ask": "look", "x": 1}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        let token = TokenError::plain(TokenErrorKind::Client, "why");
        for error in [CheckError::Missing("none".into()), CheckError::Token(token)] {
            let (next, said) = (error.next(), error.to_string());
            let wire = serde_json::to_vec(&Err::<Vec<Step>, _>(error)).unwrap();
            let back: Result<Vec<Step>, CheckError> = serde_json::from_slice(&wire).unwrap();
            let back = back.unwrap_err();
            assert_eq!((back.next(), back.to_string()), (next, said));
        }
    }
}
