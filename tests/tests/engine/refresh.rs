//! Refreshing is safe: many at once, deaths at any step, three kinds of server, a vault that answers badly.
//!
//! The measure is the truth of the server: as long as the vault holds a refresh token that the server takes, there must be
//! a usable access token in the end. `POSTROOM_REFRESH_SEEDS` says how many seeds (default 1,000 per kind of server).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use shared::{
    credential::{Credential, CredentialForm, GrantType, Identity, SignIn},
    memory::{Memory, PausedClock, VaultCall, VaultFault},
    oauth::{TokenErrorKind, TokenService},
    origin::{Origin, TrustedOrigins},
    ports::{Body, Clock as _, Http, HttpError, SecretName, Stage, TokenNeed, Tokens as _, Vault as _},
    records::credentials::Credentials,
    secret::Secret,
};
use tests::world::{Crash, Point, crashing};

const ORIGIN: &str = "http://login.test";
const AT_ONCE: usize = 64;
const PROCESSES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// Entra: whatever was given stays valid.
    OldStaysValid,
    /// Each use ends the token that was used.
    Strict,
    /// The same, and a token used twice ends all.
    StrictWithFamilyRevocation,
}

struct Truth {
    valid: BTreeSet<String>,
    used: BTreeSet<String>,
    given: u32,
    requests: u32,
    rng: SmallRng,
    /// The answers to lose: by number of request.
    lose: Option<u32>,
}

/// A token endpoint that knows refresh tokens and nothing else.
struct Server {
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

    fn truth(&self) -> std::sync::MutexGuard<'_, Truth> {
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

struct Bench {
    memory: Memory,
    server: Arc<Server>,
    clock: PausedClock,
    credential: Credential,
}

impl Bench {
    async fn new(model: Model, seed: u64) -> Self {
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

    fn tokens(&self, instance: &str, crash: &Crash) -> TokenService {
        TokenService::new(crashing(&self.memory, instance, self.server.clone(), crash))
    }

    /// The refresh tokens in the vault that the server would take.
    async fn good(&self) -> Vec<String> {
        let mut good = Vec::new();
        for stage in [Stage::Current, Stage::Previous, Stage::Pending] {
            if let Some(entry) = self
                .memory
                .vault
                .read(&self.credential.grant(), stage)
                .await
                .expect("a vault")
            {
                let kept: serde_json::Value = serde_json::from_str(entry.value.expose()).expect("JSON");
                good.push(kept["refresh_token"].as_str().expect("a token").to_owned());
            }
        }
        good.retain(|token| self.server.truth().valid.contains(token));
        good
    }

    /// Asks until there is a token, or somebody must sign in; at most a quarter of an hour.
    async fn in_the_end(&self) -> Result<(), String> {
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

    async fn current(&self) -> bool {
        let read = self.memory.vault.read(&self.credential.grant(), Stage::Current).await;
        read.expect("a vault").is_some()
    }
}

fn seeds() -> u64 {
    let set = tests::binary::setting("POSTROOM_REFRESH_SEEDS");
    set.map_or(1_000, |text| text.parse().expect("a number of seeds"))
}

/// 64 at once in four processes, one of which dies; the others go on, then the last asks.
async fn storm(model: Model, seed: u64) -> (bool, u32) {
    let bench = Bench::new(model, seed).await;
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
    let victim = rng.random_range(0..PROCESSES * 2);
    let step = rng.random_range(0..26);
    let buried = rng.random_bool(0.5);
    let faults = [
        (VaultCall::Stage, VaultFault::AcknowledgementLost),
        (VaultCall::Stage, VaultFault::Unavailable),
        (VaultCall::Promote, VaultFault::AcknowledgementLost),
        (VaultCall::Promote, VaultFault::Unavailable),
        (VaultCall::Promote, VaultFault::Conflict),
        (VaultCall::Put, VaultFault::AcknowledgementLost),
        (VaultCall::Put, VaultFault::Conflict),
        (VaultCall::Read, VaultFault::Unavailable),
    ];
    if rng.random_bool(0.6) {
        let (call, fault) = faults[rng.random_range(0..faults.len())];
        let skip = if call == VaultCall::Read { 3 } else { 0 };
        bench
            .memory
            .vault
            .faults()
            .arm_after(call, fault, skip, rng.random_range(1..3));
    }
    if rng.random_bool(0.1) {
        bench.server.truth().lose = Some(1);
    }
    let crashes: Vec<Crash> = (0..PROCESSES).map(|_| Crash::default()).collect();
    let mut all = FuturesUnordered::new();
    for (process, crash) in crashes.iter().enumerate() {
        if process == victim {
            crash.arm(if rng.random_bool(0.5) {
                Point::Before(step)
            } else {
                Point::After(step)
            });
        }
        let tokens = Arc::new(bench.tokens(&format!("process-{process}"), crash));
        let starts: Vec<u64> = (0..AT_ONCE / PROCESSES).map(|_| rng.random_range(0..300)).collect();
        let (memory, name) = (bench.memory.clone(), format!("process-{process}"));
        all.push(
            async move {
                let work = futures::future::join_all(starts.into_iter().map(|start| {
                    let tokens = Arc::clone(&tokens);
                    async move {
                        tokio::time::sleep(Duration::from_millis(start)).await;
                        let _ = tokens.access_token("app", TokenNeed::Usable).await;
                    }
                }));
                let died = crash.or(work).await.is_none();
                if died && buried {
                    memory.bury(&name);
                }
                died
            }
            .boxed(),
        );
    }
    let mut died = false;
    while let Some(one) = all.next().await {
        died |= one;
    }
    let requests = bench.server.truth().requests;
    bench.memory.vault.faults().clear();
    let (good, lost) = (bench.good().await, bench.server.truth().lose.is_some());
    let end = bench.in_the_end().await;
    assert!(bench.current().await, "a grant is never deleted");
    match &end {
        Ok(()) => {}
        Err(what) => {
            assert!(model != Model::OldStaysValid, "Entra keeps the old one: {what}");
            assert!(died || lost, "nobody died and no answer was lost, and yet: {what}");
            assert!(good.is_empty(), "{good:?} would have served: {what}");
        }
    }
    (end.is_ok(), requests)
}

async fn storms(model: Model) {
    let (mut ends, mut requests) = (0, 0);
    for seed in 0..seeds() {
        let told = std::panic::AssertUnwindSafe(storm(model, seed)).catch_unwind().await;
        let Ok((ok, asked)) = told else {
            panic!("seed {seed} with {model:?}: see above");
        };
        ends += u64::from(!ok);
        requests += asked;
    }
    println!(
        "{model:?}: {} seeds, {requests} requests, {ends} lost in the window that is known",
        seeds()
    );
    assert!(ends < seeds() / 8, "the window is wider than it should be");
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_where_old_tokens_stay_valid() {
    storms(Model::OldStaysValid).await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_where_old_tokens_end() {
    storms(Model::Strict).await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_where_a_second_use_ends_all() {
    storms(Model::StrictWithFamilyRevocation).await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_share_one_request() {
    let bench = Bench::new(Model::StrictWithFamilyRevocation, 1).await;
    let services: Vec<_> = (0..PROCESSES)
        .map(|at| bench.tokens(&format!("p-{at}"), &Crash::default()))
        .collect();
    let all = (0..AT_ONCE).map(|at| services[at % PROCESSES].access_token("app", TokenNeed::Usable));
    for token in futures::future::join_all(all).await {
        token.expect("a token");
    }
    assert_eq!(bench.server.truth().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn every_step_of_a_renewal_with_every_kind_of_server() {
    for model in [Model::OldStaysValid, Model::Strict, Model::StrictWithFamilyRevocation] {
        let (mut points, mut lost) = (0, Vec::new());
        for step in 0.. {
            let mut ended = 0;
            for point in [Point::Before(step), Point::After(step)] {
                let bench = Bench::new(model, 7).await;
                let crash = Crash::default();
                crash.arm(point);
                let tokens = bench.tokens("first", &crash);
                let done = crash.or(tokens.access_token("app", TokenNeed::Usable)).await;
                ended += u32::from(done.is_some());
                bench.memory.bury("first");
                let asked = bench.server.truth().requests;
                if let Err(what) = bench.in_the_end().await {
                    assert!(what.contains("stopped in the moment"), "{what}");
                    assert_eq!(asked, 1, "only after the server had answered");
                    lost.push(point);
                }
            }
            points += 2 - ended;
            if ended == 2 {
                break;
            }
        }
        println!("{model:?}: {points} points, lost at {lost:?}");
        assert!(points >= 20, "only {points} points");
        // The one window: after the answer, before the new refresh token is staged.
        let most = usize::from(model != Model::OldStaysValid);
        assert!(lost.len() <= most, "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_shows_the_past_does_not_bring_an_old_token_back() {
    for skip in 0..6 {
        let bench = Bench::new(Model::StrictWithFamilyRevocation, 3).await;
        let tokens = bench.tokens("first", &Crash::default());
        for _ in 0..3 {
            tokens.access_token("app", TokenNeed::New).await.expect("a token");
        }
        bench
            .memory
            .vault
            .faults()
            .arm_after(VaultCall::Read, VaultFault::Stale, skip, 2);
        let _ = tokens.access_token("app", TokenNeed::New).await;
        bench.memory.vault.faults().clear();
        bench.in_the_end().await.expect("still signed in");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_restarts_does_not_use_up_the_vault() {
    let bench = Bench::new(Model::OldStaysValid, 4).await;
    let mut given = 0;
    for life in 0..1_000 {
        let crash = Crash::default();
        crash.arm(Point::Before(9 + life % 6));
        let tokens = bench.tokens(&format!("life-{life}"), &crash);
        let done = crash.or(tokens.access_token("app", TokenNeed::New)).await;
        given += u32::from(matches!(done, Some(Ok(_))));
        bench.memory.bury(&format!("life-{life}"));
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    println!(
        "{given} of 1,000 lives got a token, {} requests",
        bench.server.truth().requests
    );
    let day_later: Timestamp = shared::time::plus(bench.clock.now(), Duration::from_hours(24));
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert!(bench.clock.now() >= day_later);
    bench.in_the_end().await.expect("it goes on when the day is over");
}
