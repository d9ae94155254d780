//! What comes with a code is compared with what was asked for, whoever answered: permissions, the person, the login host.

use std::time::Duration;

use serde_json::json;
use shared::{
    oauth::TokenErrorKind,
    ports::{Clock as _, TokenNeed, Tokens as _, Vault as _},
};
use simulator::{Fault, FaultSpec, Options, RequestKind, User};
use tests::world::{Altered, World};

const ADA: &str = "ada@harbour-homes.example";
const SCOPE: &str = "Mail.ReadWrite offline_access";

fn world(seed: u64) -> World {
    World::with(
        seed,
        Options {
            users: vec![User::new(ADA, "Ada Moor")],
            permissions: ["Mail.ReadWrite", "User.Read"].map(str::to_owned).to_vec(),
            ..Options::default()
        },
    )
}

fn asked(world: &World, end: &str) -> usize {
    let all = world.wire.asked();
    all.iter().filter(|(_, path)| path.ends_with(end)).count()
}

#[tokio::test(start_paused = true)]
async fn a_missing_mail_permission_is_refused_and_an_extra_one_is_shown() {
    let world = world(1);
    let credential = world.add_delegated("app", SCOPE).await;
    let altered = Altered::new(&world);
    let tokens = altered.tokens(&world);
    for (granted, named) in [
        ("openid profile offline_access", "`Mail.ReadWrite`"),
        ("openid profile Mail.Read offline_access", "`Mail.ReadWrite`"),
        ("", "`Mail.ReadWrite`"),
    ] {
        altered.json(move |path, answer| {
            if path.ends_with("/token") {
                answer["scope"] = granted.into();
            }
        });
        let redemption = world.redemption(&credential, ADA).await;
        let error = tokens.redeem(redemption).await.expect_err(granted);
        assert_eq!(error.kind, TokenErrorKind::Refused, "{granted}: {error}");
        assert!(
            error.what.contains(named) && error.what.contains("API permissions"),
            "{error}"
        );
        let kept = world.memory.vault.version(&credential.grant()).await.expect("a vault");
        assert!(kept.is_none(), "{granted}");
    }
    altered.json(|path, answer| {
        if path.ends_with("/token") {
            answer["scope"] = "openid profile https://graph.microsoft.com/mail.readwrite Calendars.Read".into();
        }
    });
    let redemption = world.redemption(&credential, ADA).await;
    let redeemed = tokens.redeem(redemption).await.expect("signed in");
    assert_eq!(redeemed.extra, ["Calendars.Read"]);
}

#[tokio::test(start_paused = true)]
async fn login_host_and_graph_must_name_the_same_person() {
    let world = world(2);
    let credential = world
        .add_delegated("app", "Mail.ReadWrite User.Read offline_access")
        .await;
    let altered = Altered::new(&world);
    let tokens = altered.tokens(&world);
    altered.json(|path, answer| {
        if path.ends_with("/me") {
            answer["id"] = "somebody-else".into();
        }
    });
    let redemption = world.redemption(&credential, ADA).await;
    let error = tokens.redeem(redemption).await.expect_err("another id");
    assert!(
        error.kind == TokenErrorKind::Refused && error.what.contains("another id"),
        "{error}"
    );
    for name in [&credential.grant(), &credential.access_token] {
        assert!(
            world.memory.vault.version(name).await.expect("a vault").is_none(),
            "the tokens are dropped"
        );
    }
    // Trouble of the moment is told, and is no reason to throw a sign-in away.
    altered.set(|path, status, body| {
        if path.ends_with("/me") {
            (503, "".into())
        } else {
            (status, body)
        }
    });
    let redemption = world.redemption(&credential, ADA).await;
    let redeemed = tokens.redeem(redemption).await.expect("signed in");
    assert!(
        redeemed
            .warnings
            .iter()
            .any(|warning| warning.contains("the profile could not be read")),
        "{redeemed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_code_is_sent_to_nobody_where_the_answer_may_be_another_login_hosts() {
    let world = world(3);
    let credential = world.add_delegated("app", SCOPE).await;
    let issuer = format!(
        "{}/{}/v2.0",
        tests::world::ORIGIN,
        world.simulator.registration().tenant_id
    );
    for (names_itself, named, taken) in [
        (false, None, true),
        (false, Some(issuer.clone()), true),
        (true, Some(issuer.clone()), true),
        (true, None, false),
        (true, Some("https://evil.example/v2.0".to_owned()), false),
        (false, Some("https://evil.example/v2.0".to_owned()), false),
        (false, Some(issuer.to_uppercase()), false),
        (false, Some(format!("{issuer}/")), false),
    ] {
        let altered = Altered::new(&world);
        let tokens = altered.tokens(&world);
        altered.json(move |path, answer| {
            if path.ends_with("/openid-configuration") {
                answer["authorization_response_iss_parameter_supported"] = json!(names_itself);
            }
        });
        let mut redemption = world.redemption(&credential, ADA).await;
        redemption.issuer.clone_from(&named);
        let before = asked(&world, "/token");
        let redeemed = tokens.redeem(redemption).await;
        let sent = asked(&world, "/token") - before;
        assert_eq!(
            (redeemed.is_ok(), sent),
            (taken, usize::from(taken)),
            "{names_itself} {named:?}: {redeemed:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_taken_from_the_login_host_alone() {
    let world = world(4);
    let credential = world.add_delegated("app", SCOPE).await;
    let altered = Altered::new(&world);
    altered.json(|path, answer| {
        if path.ends_with("/openid-configuration") {
            answer["jwks_uri"] = "http://evil.example/keys".into();
        }
    });
    let redemption = world.redemption(&credential, ADA).await;
    let error = altered
        .tokens(&world)
        .redeem(redemption)
        .await
        .expect_err("foreign keys");
    assert!(error.what.contains("another host"), "{error}");
    assert!(
        !world.wire.asked().iter().any(|(host, _)| host == "evil.example"),
        "it was asked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_answers_nonsense_is_waited_for_ten_seconds_and_believed_nothing() {
    let world = world(5);
    let credential = world.add_delegated("app", SCOPE).await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    let altered = Altered::new(&world);
    let tokens = altered.tokens(&world);
    let huge = format!(
        r#"{{"token_type":"Bearer","access_token":"x","expires_in":3599,"padding":"{}"}}"#,
        "x".repeat(70_000)
    );
    for (status, body, transient) in [
        (200, "<html><h1>Sign in</h1></html>".to_owned(), false),
        (200, "{}".to_owned(), false),
        (
            200,
            r#"{"token_type":"Bearer","access_token":"","expires_in":3599}"#.to_owned(),
            false,
        ),
        (302, String::new(), false),
        (404, "not here".to_owned(), false),
        (502, "<html>bad gateway</html>".to_owned(), true),
        (200, huge, true),
    ] {
        let answer = body.clone();
        altered.set(move |path, now, given| {
            if path.ends_with("/token") {
                (status, answer.clone().into())
            } else {
                (now, given)
            }
        });
        let error = tokens.access_token("app", TokenNeed::New).await.expect_err("nonsense");
        let told = matches!(error.kind, TokenErrorKind::Transient { .. });
        assert_eq!(
            told,
            transient,
            "{status} {}: {error:?}",
            body.chars().take(60).collect::<String>()
        );
        assert!(transient || error.kind == TokenErrorKind::Unforeseen, "{error:?}");
        let row = shared::records::credentials::Credentials::new(world.ports().store)
            .get("app")
            .await
            .expect("a row");
        assert!(
            !row.needs_sign_in && row.refused_at.is_none(),
            "{status}: no verdict on the sign-in"
        );
    }
    // A byte a second, for ever.
    world.simulator.arm(FaultSpec::once(
        RequestKind::Token,
        Fault::SlowBody {
            chunk: 1,
            delay_ms: 1_000,
        },
    ));
    let begun = world.clock.now();
    let error = world
        .tokens()
        .access_token("app", TokenNeed::New)
        .await
        .expect_err("slow");
    assert!(matches!(error.kind, TokenErrorKind::Transient { .. }), "{error:?}");
    assert_eq!(shared::time::between(begun, world.clock.now()), Duration::from_secs(10));
    world
        .tokens()
        .access_token("app", TokenNeed::New)
        .await
        .expect("it goes on");
}
