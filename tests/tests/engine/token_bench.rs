//! A credential that somebody signed in for, over a token endpoint that knows refresh tokens and nothing else.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use shared::{
    credential::{Credential, CredentialForm, GrantType, Identity, SignIn},
    memory::{Memory, PausedClock},
    oauth::{TokenErrorKind, TokenService},
    origin::{Origin, TrustedOrigins},
    ports::{Body, Clock as _, Http, HttpError, SecretName, Stage, TokenNeed, Tokens as _, Vault as _},
    records::credentials::Credentials,
    secret::Secret,
};
use tests::world::{Crash, crashing};

const ORIGIN: &str = "http://login.test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// Entra: whatever was given stays valid.
    OldStaysValid,
    /// Each use ends the token that was used.
    Strict,
    /// The same, and a token used twice ends all.
    StrictWithFamilyRevocation,
}

pub(super) struct Truth {
    pub(super) valid: BTreeSet<String>,
    pub(super) used: BTreeSet<String>,
    pub(super) given: u32,
    pub(super) requests: u32,
    rng: SmallRng,
    /// The answer to lose: by number of request.
    pub(super) lose: Option<u32>,
}

/// A token endpoint that knows refresh tokens and nothing else.
pub(super) struct Server {
    model: Model,
    truth: Mutex<Truth>,
}

impl Server {
    fn new(model: Model, seed: u64) -> Self {
        let truth = Truth {
            valid: BTreeSet::from(["r-0".to_owned()]),
            used: BTreeSet::new(),
            given: 0,
            requests: 0,
            rng: SmallRng::seed_from_u64(seed),
            lose: None,
        };
        Self {
            model,
            truth: Mutex::new(truth),
        }
    }

    pub(super) fn truth(&self) -> std::sync::MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, token: &str) -> Result<(u32, bool), ()> {
        let mut truth = self.truth();
        truth.requests += 1;
        if !truth.valid.contains(token) {
            if self.model == Model::StrictWithFamilyRevocation && truth.used.contains(token) {
                truth.valid.clear();
            }
            return Err(());
        }
        if self.model != Model::OldStaysValid {
            truth.valid.remove(token);
            truth.used.insert(token.to_owned());
        }
        truth.given += 1;
        let given = truth.given;
        truth.valid.insert(format!("r-{given}"));
        let lost = truth.lose == Some(truth.requests);
        Ok((given, lost))
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.truth().rng.random_range(0..400))
    }
}

#[async_trait]
impl Http for Server {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let (before, after) = (self.pause(), self.pause());
        tokio::time::sleep(before).await;
        let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let field = |name: &str| {
            form.iter()
                .find(|(field, _)| field == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(field("client_secret"), Some("s3cret"));
        let answer = self.refresh(field("refresh_token").expect("a refresh token"));
        tokio::time::sleep(after).await;
        let (status, body) = match answer {
            Ok((_, true)) => {
                return Err(HttpError::Broken {
                    host: "login.test".into(),
                    reason: "cut".into(),
                });
            }
            Ok((given, false)) => (
                200,
                format!(
                    r#"{{"token_type":"Bearer","expires_in":3599,"scope":"Mail.Read","access_token":"a-{given}","refresh_token":"r-{given}"}}"#
                ),
            ),
            Err(()) => (
                400,
                r#"{"error":"invalid_grant","error_description":"AADSTS70000: no","error_codes":[70000]}"#.to_owned(),
            ),
        };
        let body = futures::stream::once(async move { Ok(Bytes::from(body)) }).boxed();
        let response = http::Response::builder()
            .status(status)
            .header("content-type", "application/json");
        Ok(response.body(body).expect("a response"))
    }
}

pub(super) struct Bench {
    pub(super) memory: Memory,
    pub(super) server: Arc<Server>,
    pub(super) clock: PausedClock,
    pub(super) credential: Credential,
}

impl Bench {
    pub(super) async fn new(model: Model, seed: u64) -> Self {
        let clock = PausedClock::default();
        let memory = Memory::new(seed, Arc::new(clock.clone()));
        let form = CredentialForm {
            id: "app".into(),
            description: String::new(),
            grant_type: Some(GrantType::AuthorizationCode),
            authorization_url: Some(format!("{ORIGIN}/authorize")),
            token_url: format!("{ORIGIN}/token"),
            client_id: "client".into(),
            scope: "Mail.Read offline_access".into(),
            graph_url: Some("http://graph.test/v1.0".into()),
        };
        let trusted = [ORIGIN, "http://graph.test"].map(|origin| Origin::parse(origin).expect("an origin"));
        let settings = form
            .check(&TrustedOrigins::with(trusted.to_vec()))
            .expect("a form")
            .settings;
        let (client, access) = (SecretName("client/app".into()), SecretName("access/app".into()));
        let credential = settings.into_credential(client, access, clock.now());
        let sign_in = SignIn {
            identity: Identity {
                tenant: "t".into(),
                object: "o".into(),
            },
            name: None,
            address: None,
            at: clock.now(),
            asked: credential.asked_scope(),
            granted: vec!["Mail.Read".into()],
            client: credential.client(),
            renewable: true,
        };
        let kept = serde_json::json!({"generation": 1, "refresh_token": "r-0", "sign_in": sign_in});
        let put = async |name: &SecretName, text: &str| {
            memory.vault.put(name, &Secret::new(text), None).await.expect("a vault");
        };
        put(&credential.client_secret, "s3cret").await;
        put(&credential.grant(), &kept.to_string()).await;
        Credentials::new(Arc::new(memory.store.clone()))
            .add(&credential)
            .await
            .expect("a store");
        Self {
            memory,
            server: Arc::new(Server::new(model, seed)),
            clock,
            credential,
        }
    }

    pub(super) fn tokens(&self, instance: &str, crash: &Crash) -> TokenService {
        TokenService::new(crashing(&self.memory, instance, self.server.clone(), crash))
    }

    /// The refresh token at a stage of the vault.
    pub(super) async fn at(&self, stage: Stage) -> Option<String> {
        let entry = self.memory.vault.read(&self.credential.grant(), stage).await;
        let entry = entry.expect("a vault")?;
        let kept: serde_json::Value = serde_json::from_str(entry.value.expose()).expect("JSON");
        Some(kept["refresh_token"].as_str().expect("a token").to_owned())
    }

    /// The refresh tokens in the vault.
    pub(super) async fn stored(&self) -> Vec<String> {
        let mut stored = Vec::new();
        for stage in [Stage::Current, Stage::Previous, Stage::Pending] {
            stored.extend(self.at(stage).await);
        }
        stored
    }

    /// Those of them that the server would take.
    pub(super) async fn good(&self) -> Vec<String> {
        let mut good = self.stored().await;
        good.retain(|token| self.server.truth().valid.contains(token));
        good
    }

    /// Asks until there is a token, or somebody must sign in; at most a quarter of an hour.
    pub(super) async fn in_the_end(&self) -> Result<(), String> {
        let tokens = self.tokens("the-last", &Crash::default());
        for _ in 0..15 {
            match tokens.access_token("app", TokenNeed::New).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == TokenErrorKind::SignIn => return Err(error.what),
                Err(error) => assert!(matches!(error.kind, TokenErrorKind::Transient { .. }), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_secs(61)).await;
        }
        panic!("neither a token nor a word on who must act");
    }
}
