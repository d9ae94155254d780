//! How the app proves itself: a certificate, two secrets in turn, a token of another issuer. The simulator verifies each.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use local::adapters::TokenFiles;
use serde_json::{Value, json};
use shared::{
    credential::{ClientAuthentication, ClientCertificate, ClientInput, CredentialForm, GrantType, KmsCertificate},
    error::Next,
    manage::Manage,
    oauth::{NoProof, OutsideProofs, TokenService, federated_audience},
    origin::{Origin, TrustedOrigins},
    ports::{Clock as _, SecretName, Stage, TokenNeed, Tokens as _, Vault as _},
    records::{
        apps::Apps,
        credentials::{CredentialRow, Credentials},
    },
    secret::Secret,
    time::plus,
    warning,
};
use simulator::{Fault, FaultSpec, FederatedCredential, RequestKind, RetryAfter, Wording};
use tests::{
    issuer::{self, AUDIENCE, KEY_ID, signed},
    world::{ORIGIN, World},
};

fn certificate() -> (String, Secret) {
    let (public, both) = issuer::certificate(2027);
    (public, Secret::new(both))
}

fn manage(world: &World) -> Manage {
    let trusted = TrustedOrigins::with(vec![Origin::parse(ORIGIN).expect("an origin")]);
    Manage::new(&world.ports(), &trusted, "test")
}

fn form(world: &World) -> CredentialForm {
    let registration = world.simulator.registration();
    CredentialForm {
        id: "app".into(),
        grant_type: Some(GrantType::ClientCredentials),
        token_url: format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id),
        client_id: registration.client_id,
        scope: "https://graph.microsoft.com/.default".into(),
        graph_url: Some(format!("{ORIGIN}/v1.0")),
        ..CredentialForm::default()
    }
}

async fn row(world: &World) -> CredentialRow {
    Credentials::new(world.ports().store).get("app").await.expect("a row")
}

#[tokio::test(start_paused = true)]
async fn a_certificate_proves_the_app_and_its_key_stays_in_the_vault() {
    let world = World::new(1);
    let (public, both) = certificate();
    let read = ClientCertificate::from_pem(&both).expect("a good one");
    assert_eq!(read.facts.expires_at.to_string(), "2027-03-01T00:00:00Z");
    manage(&world)
        .add_credential_with(&form(&world), &ClientInput::Certificate(Box::new(read)))
        .await
        .expect("made");
    let stored = row(&world).await;
    assert_eq!(
        stored.credential.secret_expires_at.expect("read from it").to_string(),
        "2027-03-01T00:00:00Z"
    );
    let tokens = TokenService::new(world.ports());
    let error = tokens
        .access_token("app", TokenNeed::Usable)
        .await
        .expect_err("Entra does not know it yet");
    assert!(
        error.codes.contains(&700_027) && error.what.contains("thumbprint"),
        "{error}"
    );
    let client_id = world.simulator.registration().client_id;
    world
        .simulator
        .add_certificate(&client_id, &public)
        .expect("registered");
    tokens.access_token("app", TokenNeed::New).await.expect("a token");
    let body = both.expose().lines().rev().nth(3).expect("a line of the key");
    assert_eq!(world.betrays(body), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_next_secret_takes_over_when_it_has_worked_and_not_before() {
    let world = World::new(2);
    let registration = world.simulator.registration();
    let manage = manage(&world);
    let old = Secret::new(registration.client_secret.clone());
    manage.add_credential(&form(&world), &old).await.expect("made");
    let tokens = TokenService::new(world.ports());
    tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect("with the old one");
    let before = row(&world).await.credential.client_secret;

    // A wrong one: noted, the old one serves, the app is not flagged, and it is not tried again at once.
    let wrong = Secret::new("mistyped");
    manage
        .roll_client_secret(&row(&world).await, &wrong, None)
        .await
        .expect("rolled");
    let asked = world.wire.count();
    tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect("with the old one");
    tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect("with the old one");
    assert_eq!(world.wire.count() - asked, 3, "the wrong one was tried once");
    let stands = row(&world).await;
    let refused = stands.next_refused.expect("noted");
    assert!(refused.what.contains("AADSTS7000215"), "{}", refused.what);
    assert_eq!(
        (stands.credential.client_secret.clone(), stands.problem),
        (before.clone(), None)
    );
    assert!(Apps::new(world.ports().store).all().await.expect("a store").is_empty());

    // The right one, after the old one has expired.
    world
        .simulator
        .rotate_secret(&registration.client_id, "the next secret", true)
        .expect("rotated");
    let next = Secret::new("the next secret");
    manage
        .roll_client_secret(&row(&world).await, &next, None)
        .await
        .expect("rolled");
    let waiting = row(&world).await.credential.next_secret.expect("it waits").name;
    tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect("with the new one");
    let rolled = row(&world).await.credential;
    assert_eq!((&rolled.client_secret, &rolled.next_secret), (&waiting, &None));
    assert_eq!(rolled.retired_secrets, std::slice::from_ref(&before));
    tokens
        .access_token("app", TokenNeed::Usable)
        .await
        .expect("the token fits the settings");

    // The next act of an admin takes the old one out of the vault; nothing else stays behind.
    manage
        .edit_credential(&row(&world).await, &form(&world), None)
        .await
        .expect("edited");
    let vault = &world.memory.vault;
    let there = async |name: &SecretName| vault.read(name, Stage::Current).await.expect("a vault").is_some();
    assert!(!there(&before).await && there(&waiting).await);
}

/// Without virtual time: the issuer stands on a socket.
#[tokio::test]
async fn a_token_of_a_trusted_issuer_needs_no_secret_and_every_letter_counts() {
    let world = World::new(3);
    let issuer = issuer::serve().await;
    let client_id = world.simulator.registration().client_id;
    let trusted = FederatedCredential {
        issuer: issuer.clone(),
        subject: "system:serviceaccount:Mail:postroom".into(),
        audience: AUDIENCE.into(),
    };
    world
        .simulator
        .add_federated(&client_id, trusted.clone())
        .expect("registered");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    let typed = path.to_str().expect("a path").to_owned();
    manage(&world)
        .add_credential_with(&form(&world), &ClientInput::FederatedFile(typed.clone()))
        .await
        .expect("made");
    let stored = row(&world).await.credential;
    assert_eq!(
        stored.authentication,
        ClientAuthentication::FederatedFile { path: typed }
    );
    let vault = &world.memory.vault;
    let kept = vault
        .read(&stored.client_secret, Stage::Current)
        .await
        .expect("a vault");
    assert!(kept.is_none(), "no secret is kept");

    let now = world.clock.now().as_second();
    let good = json!({"iss": issuer, "sub": trusted.subject, "aud": AUDIENCE, "nbf": now, "exp": now + 600});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let tokens = TokenService::new(world.ports()).with_outside(Arc::new(TokenFiles));
    for (text, number) in [
        (signed(&with("iss", json!("http://127.0.0.1:1")), KEY_ID), 700_211),
        (signed(&with("sub", json!("somebody else")), KEY_ID), 700_213),
        (
            signed(&with("sub", json!(trusted.subject.to_lowercase())), KEY_ID),
            7_002_138,
        ),
        (signed(&with("aud", json!("api://other")), KEY_ID), 700_212),
        (signed(&with("exp", json!(now - 4000)), KEY_ID), 700_024),
        (signed(&with("nbf", json!(now + 4000)), KEY_ID), 700_024),
        (signed(&good, "k2"), 50_012),
        (format!("{}AAAA", signed(&good, KEY_ID)), 50_012),
    ] {
        std::fs::write(&path, text).expect("a file");
        let error = tokens.access_token("app", TokenNeed::New).await.expect_err("refused");
        assert_eq!(error.codes, [number], "{error}");
    }
    for (text, why) in [("", "empty"), ("a private note", "nothing of it was sent")] {
        std::fs::write(&path, text).expect("a file");
        let asked = world.wire.count();
        let error = tokens.access_token("app", TokenNeed::New).await.expect_err("no token");
        assert!(error.what.contains(why) && world.wire.count() == asked, "{error}");
    }
    // Read anew each time: what the file holds now counts.
    std::fs::write(&path, format!("{}\n", signed(&good, KEY_ID))).expect("a file");
    tokens.access_token("app", TokenNeed::New).await.expect("a token");
    std::fs::remove_file(&path).expect("removed");
    let error = tokens.access_token("app", TokenNeed::New).await.expect_err("no file");
    assert!(error.what.contains("cannot be read"), "{error}");
}

/// Where the app may read its own registration, nobody need type when the client secret ends.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_secret_is_read_from_graph_where_the_app_may() {
    let world = World::new(8);
    let client_id = world.simulator.registration().client_id;
    let typed = Some("2027-06-01T00:00:00Z".parse().expect("a time"));
    let secret = Secret::new(world.simulator.registration().client_secret.clone());
    let input = ClientInput::Secret {
        secret,
        expires_at: typed,
    };
    manage(&world)
        .add_credential_with(&form(&world), &input)
        .await
        .expect("made");
    let tokens = TokenService::new(world.ports());
    let renewed = async |need| tokens.access_token("app", need).await.expect("a token");
    let read = || {
        world
            .simulator
            .stats()
            .by_kind
            .get(&RequestKind::Other)
            .copied()
            .unwrap_or_default()
    };

    // Without the permission it is not tried.
    renewed(TokenNeed::New).await;
    assert_eq!((read(), row(&world).await.expires_at()), (0, typed));

    let ends = plus(world.clock.now(), Duration::from_hours(10 * 24));
    world
        .simulator
        .set_secret_end(&client_id, ends.as_millisecond())
        .expect("an app");
    world
        .simulator
        .set_roles(&client_id, &["Mail.ReadWrite", "Application.Read.All"])
        .expect("an app");
    // A bad day of Graph's fails nothing.
    let busy = Fault::Unavailable {
        retry_after: RetryAfter::Absent,
        wording: Wording::Json,
    };
    let fault = world.simulator.arm(FaultSpec::once(RequestKind::Other, busy).always());
    renewed(TokenNeed::New).await;
    assert_eq!(row(&world).await.expires_at(), typed);
    world.simulator.disarm(fault);
    let asked = read();
    renewed(TokenNeed::New).await;
    assert_eq!(read(), asked, "once a day");
    tokio::time::sleep(Duration::from_hours(25)).await;
    renewed(TokenNeed::New).await;
    renewed(TokenNeed::New).await;
    assert_eq!(read(), asked + 1, "once a day");
    let known = row(&world).await;
    assert_eq!(
        known.expires_at().map(jiff::Timestamp::as_second),
        Some(ends.as_second()),
        "what the registration says counts"
    );
    let warned = warning::of(&known, world.clock.now());
    assert_eq!((warned.len(), warned[0].days), (1, 8), "{warned:?}");

    // Another secret is another matter.
    let next = Secret::new("qqq-another");
    world
        .simulator
        .rotate_secret(&client_id, next.expose(), false)
        .expect("an app");
    manage(&world)
        .roll_client_secret(&row(&world).await, &next, typed)
        .await
        .expect("rolled");
    renewed(TokenNeed::New).await;
    let rolled = row(&world).await;
    assert_eq!(read(), asked + 2, "a new one is looked for at once");
    let until = rolled.expires_at().expect("an end");
    assert!(
        until > plus(world.clock.now(), Duration::from_hours(700 * 24)),
        "{until}"
    );
}

/// AWS in the place of a platform that makes tokens and signs: what it was asked for, and what it answers.
#[derive(Default)]
struct Platform {
    asked: Mutex<Vec<String>>,
    answer: Mutex<Option<Result<Secret, NoProof>>>,
    /// Why it does not sign; otherwise it does.
    trouble: Mutex<Option<NoProof>>,
}

#[async_trait]
impl OutsideProofs for Platform {
    async fn in_file(&self, path: &str) -> Result<Secret, NoProof> {
        Err(NoProof::Mend(format!("there is no {path}")))
    }
    async fn of_platform(&self, audience: &str) -> Result<Secret, NoProof> {
        self.asked.lock().expect("a list").push(audience.to_owned());
        self.answer.lock().expect("an answer").clone().expect("an answer")
    }
    async fn by_kms_key(&self, key: &str, text: &str) -> Result<Vec<u8>, NoProof> {
        self.asked.lock().expect("a list").push(format!("{key} {text}"));
        match self.trouble.lock().expect("a trouble").clone() {
            Some(trouble) => Err(trouble),
            None => Ok(issuer::ps256(text)),
        }
    }
}

/// Without virtual time: the issuer stands on a socket.
#[tokio::test]
async fn a_token_that_the_platform_makes_needs_no_secret_and_its_trouble_is_not_the_apps() {
    let world = World::new(5);
    let issuer = issuer::serve().await;
    let client_id = world.simulator.registration().client_id;
    let subject = "arn:aws:iam::123456789012:role/Post-TokenRefreshRole";
    let trusted = FederatedCredential {
        issuer: issuer.clone(),
        subject: subject.into(),
        audience: AUDIENCE.into(),
    };
    world.simulator.add_federated(&client_id, trusted).expect("registered");
    let made = manage(&world)
        .add_credential_with(&form(&world), &ClientInput::FederatedAws)
        .await;
    let (credential, warnings) = made.expect("made");
    assert!(warnings.is_empty() && !credential.authentication.has_secret());
    let platform = Arc::new(Platform::default());
    let tokens = TokenService::new(world.ports()).with_outside(Arc::clone(&platform) as Arc<dyn OutsideProofs>);
    let answers = |answer| *platform.answer.lock().expect("an answer") = Some(answer);

    answers(Err(NoProof::Later("STS is busy".into())));
    let error = tokens.access_token("app", TokenNeed::New).await.expect_err("no token");
    assert!(matches!(error.next(), Next::Retry { .. }), "{error}");
    assert_eq!(row(&world).await.problem, None, "it passes by itself");
    answers(Err(NoProof::Mend("switch it on".into())));
    let error = tokens.access_token("app", TokenNeed::New).await.expect_err("no token");
    assert_eq!(error.next(), Next::FixCredential);
    answers(Ok(Secret::new("no token at all")));
    let asked = world.wire.count();
    let error = tokens.access_token("app", TokenNeed::New).await.expect_err("no token");
    assert!(
        error.what.contains("nothing of it was sent") && world.wire.count() == asked,
        "{error}"
    );

    let now = world.clock.now().as_second();
    let claims = json!({"iss": issuer, "sub": subject, "aud": AUDIENCE, "nbf": now, "exp": now + 300});
    answers(Ok(Secret::new(signed(&claims, KEY_ID))));
    tokens.access_token("app", TokenNeed::New).await.expect("a token");
    let asked = platform.asked.lock().expect("a list").clone();
    assert_eq!(asked, vec![AUDIENCE; 4]);
    for (host, audience) in [
        ("login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
    ] {
        assert_eq!(federated_audience(host), audience);
    }
}

const KEY_ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[tokio::test(start_paused = true)]
async fn a_key_in_kms_signs_and_nothing_of_it_is_kept() {
    let world = World::new(6);
    let (public, _) = issuer::certificate(2027);
    let client_id = world.simulator.registration().client_id;
    let input = ClientInput::KmsKey(Box::new(KmsCertificate::from_pem(&public, KEY_ARN).expect("good")));
    let made = manage(&world).add_credential_with(&form(&world), &input).await;
    let (credential, _) = made.expect("made");
    assert!(!credential.authentication.has_secret());
    assert!(credential.authentication.words().contains(KEY_ARN));
    let ends = row(&world).await.credential.secret_expires_at.expect("read from it");
    assert_eq!(ends.to_string(), "2027-03-01T00:00:00Z");
    let kept = world
        .ports()
        .vault
        .read(&credential.client_secret, Stage::Current)
        .await;
    assert!(kept.expect("a vault").is_none(), "the vault holds nothing of it");
    let platform = Arc::new(Platform::default());
    let tokens = TokenService::new(world.ports()).with_outside(Arc::clone(&platform) as Arc<dyn OutsideProofs>);
    let error = tokens.access_token("app", TokenNeed::New).await.expect_err("unknown");
    assert!(error.codes.contains(&700_027), "{error}");
    world
        .simulator
        .add_certificate(&client_id, &public)
        .expect("registered");
    tokens.access_token("app", TokenNeed::New).await.expect("a token");
    tokens.access_token("app", TokenNeed::New).await.expect("another token");
    let asked = platform.asked.lock().expect("a list").clone();
    assert!(
        asked.iter().all(|one| one.starts_with(&format!("{KEY_ARN} "))),
        "{asked:?}"
    );
    assert!(
        asked.len() == 3 && asked[1] != asked[2],
        "each request has an assertion of its own"
    );

    let fails = |trouble| *platform.trouble.lock().expect("a trouble") = Some(trouble);
    let requests = world.wire.count();
    fails(NoProof::Later("KMS is busy".into()));
    let error = tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect_err("no signature");
    assert!(matches!(error.next(), Next::Retry { .. }), "{error}");
    fails(NoProof::Mend("the key is disabled".into()));
    let error = tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect_err("no signature");
    assert!(
        error.next() == Next::FixCredential && error.what.contains("disabled"),
        "{error}"
    );
    assert_eq!(world.wire.count(), requests, "nothing was asked without a signature");
    let app = credential.client();
    let circuit = Apps::new(world.ports().store).circuit(&app).await.expect("a row");
    assert!(!circuit.is_open(), "Microsoft said nothing against the app");
    // Where there is no platform, that is said.
    let error = TokenService::new(world.ports())
        .access_token("app", TokenNeed::New)
        .await;
    assert_eq!(error.expect_err("nobody signs").next(), Next::FixCredential);
}

/// Whoever changes from a secret to a key in KMS leaves no secret behind.
#[tokio::test(start_paused = true)]
async fn a_key_in_kms_takes_the_place_of_a_secret() {
    let world = World::new(7);
    let old = Secret::new(world.simulator.registration().client_secret.clone());
    let (credential, _) = manage(&world).add_credential(&form(&world), &old).await.expect("made");
    let kept = async || {
        world
            .ports()
            .vault
            .read(&credential.client_secret, Stage::Current)
            .await
            .expect("a vault")
    };
    assert!(kept().await.is_some());
    let (public, _) = issuer::certificate(2027);
    let input = ClientInput::KmsKey(Box::new(KmsCertificate::from_pem(&public, KEY_ARN).expect("good")));
    let edited = manage(&world)
        .edit_credential_with(&row(&world).await, &form(&world), Some(&input))
        .await;
    assert_eq!(edited.expect("edited"), Vec::<String>::new());
    assert!(kept().await.is_none(), "the secret is gone");
    let settled = row(&world).await.credential;
    assert!(settled.authentication.words().contains(KEY_ARN) && !settled.authentication.has_secret());
}
