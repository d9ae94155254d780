//! Codes and refresh tokens: what they are bound to, what they give, how they rotate and die.

use crate::person::{ADA, BEN, Browser, Change, SCOPE, VERIFIER, browser, claims, refusal, tenant};
use serde_json::{Value, json};
use simulator::{
    ConditionalAccess, Cut, DEFAULT_CLIENT_ID, DEFAULT_TENANT_ID, Fault, FaultSpec, Options, Readings, RequestKind,
    Rotation, Simulator,
};
use std::time::Duration;

const DAY: u64 = 24 * 3600;

async fn signed_in() -> (Simulator, Browser, String) {
    let simulator = tenant();
    let browser = browser(&simulator);
    let token = refresh_token(&browser.tokens(ADA, SCOPE).await);
    (simulator, browser, token)
}

fn refresh_token(answer: &Value) -> String {
    answer["refresh_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

fn grant(number: u64, suberror: &str) -> (u16, String, u64, String) {
    (400, "invalid_grant".to_owned(), number, suberror.to_owned())
}

#[tokio::test]
async fn a_code_is_bound_to_everything_and_serves_once() {
    let simulator = tenant();
    simulator.register_app("11111111-2222-4333-8444-555555555555", "s2", &[]);
    let browser = browser(&simulator);
    let code = browser.code(ADA, &[]).await;
    let wrong: [(Change<'_>, (u16, &str, u64)); 10] = [
        (&[("code", None)], (400, "invalid_request", 900_144)),
        (&[("redirect_uri", None)], (400, "invalid_request", 900_144)),
        (&[("client_secret", Some("x"))], (401, "invalid_client", 7_000_215)),
        (&[("code", Some("1.AXabc"))], (400, "invalid_grant", 70000)),
        (
            &[
                ("client_id", Some("11111111-2222-4333-8444-555555555555")),
                ("client_secret", Some("s2")),
            ],
            (400, "invalid_grant", 70000),
        ),
        (
            &[("tenant", Some("91f0a3d7-4e52-4b0b-8a16-3d8e7c5b2f64"))],
            (400, "invalid_grant", 700_005),
        ),
        (
            &[("redirect_uri", Some("http://localhost:8400/oauth2callback"))],
            (400, "invalid_grant", 500_112),
        ),
        (&[("code_verifier", None)], (400, "invalid_grant", 501_481)),
        (
            &[("code_verifier", Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"))],
            (400, "invalid_grant", 501_481),
        ),
        (
            &[("scope", Some("Mail.Read https://outlook.office.com/Mail.Read"))],
            (400, "invalid_scope", 700_022),
        ),
    ];
    for (change, (status, error, number)) in wrong {
        let (s, e, n, _) = refusal(&browser.redeem(&code, change).await);
        assert_eq!((s, e.as_str(), n), (status, error, number), "{change:?}");
    }
    assert_eq!(
        browser
            .redeem(&code, &[("tenant", Some("harbour-homes.example"))])
            .await
            .status,
        200
    );
    assert_eq!(refusal(&browser.redeem(&code, &[]).await), grant(54005, ""));
    let late = browser.code(ADA, &[]).await;
    simulator.advance(Duration::from_secs(599));
    assert_eq!(browser.redeem(&late, &[]).await.status, 200);
    let late = browser.code(ADA, &[]).await;
    simulator.advance(Duration::from_secs(600));
    assert_eq!(refusal(&browser.redeem(&late, &[]).await), grant(70008, ""));
    // Under the name it was asked for, even if it is the same tenant.
    simulator.set_multi_tenant(DEFAULT_CLIENT_ID, true).unwrap();
    let common = browser.code(ADA, &[("tenant", Some("common"))]).await;
    assert_eq!(refusal(&browser.redeem(&common, &[]).await), grant(700_005, ""));
    assert_eq!(browser.redeem(&common, &[("tenant", Some("common"))]).await.status, 200);
}

#[tokio::test]
async fn a_plain_challenge_is_the_verifier_and_no_challenge_takes_none() {
    let browser = browser(&tenant());
    let plain: Change<'_> = &[("code_challenge", Some(VERIFIER)), ("code_challenge_method", None)];
    let code = browser.code(ADA, plain).await;
    assert_eq!(browser.redeem(&code, &[]).await.status, 200);
    let bare: Change<'_> = &[("code_challenge", None), ("code_challenge_method", None)];
    let code = browser.code(ADA, bare).await;
    assert_eq!(refusal(&browser.redeem(&code, &[]).await), grant(501_481, ""));
    assert_eq!(browser.redeem(&code, &[("code_verifier", None)]).await.status, 200);
}

#[tokio::test]
async fn tokens_say_no_more_than_was_asked_for() {
    let simulator = tenant();
    let browser = browser(&simulator);
    let bare = browser.tokens(ADA, "Mail.Read").await;
    assert!(bare.get("id_token").is_none() && bare.get("refresh_token").is_none());
    assert_eq!(bare["scope"], "https://graph.microsoft.com/Mail.Read");
    let access = claims(&bare["access_token"]);
    assert_eq!(
        (&access["scp"], &access["idtyp"], &access["upn"]),
        (&json!("Mail.Read"), &json!("user"), &json!(ADA))
    );
    assert!(access.get("roles").is_none());
    let id = claims(&browser.tokens(ADA, "openid Mail.Read").await["id_token"]);
    assert_eq!(id["iss"], format!("https://sim.test/{DEFAULT_TENANT_ID}/v2.0"));
    assert_eq!(
        (&id["aud"], &id["nonce"], &id["tid"]),
        (&json!(DEFAULT_CLIENT_ID), &json!("n-1"), &json!(DEFAULT_TENANT_ID))
    );
    assert!(id["sub"].as_str().is_some_and(|s| !s.is_empty()));
    for hidden in ["oid", "name", "preferred_username", "email"] {
        assert!(id.get(hidden).is_none(), "{hidden}");
    }
    let full = browser
        .tokens(ADA, "openid profile email offline_access Mail.ReadWrite")
        .await;
    let id = claims(&full["id_token"]);
    assert_eq!(
        (&id["preferred_username"], &id["name"], &id["email"]),
        (&json!(ADA), &json!("Ada Moor"), &json!(ADA))
    );
    assert_eq!(id["oid"], simulator.users()[0].oid);
    // Everything ever consented, not only what was asked for now.
    let scope = full["scope"].as_str().unwrap();
    assert!(
        scope.contains("Mail.Read ") && scope.contains("Mail.ReadWrite") && !scope.contains("offline_access"),
        "{scope}"
    );
    assert!((3600..=5399).contains(&full["expires_in"].as_i64().unwrap()));
    let mut readings = Readings::default();
    readings.set("grantedScope=short").unwrap();
    readings.set("offlineScope=listed").unwrap();
    simulator.set_readings(readings);
    let short = browser.refresh(&refresh_token(&full), &[]).await.json();
    let words: Vec<&str> = short["scope"].as_str().unwrap().split(' ').collect();
    assert!(
        words.contains(&"Mail.Read") && words.contains(&"offline_access"),
        "{words:?}"
    );
    // Ben consented to nothing of it.
    assert_eq!(browser.tokens(BEN, "Mail.Send").await["scope"], "Mail.Send");
}

#[tokio::test]
async fn default_stands_for_the_registration_or_for_what_is_consented() {
    let browser = browser(&tenant());
    let default = "https://graph.microsoft.com/.default offline_access";
    let given = browser.tokens(ADA, default).await;
    assert_eq!(claims(&given["access_token"])["scp"], "Mail.ReadWrite User.Read");
    assert_eq!(
        browser
            .refresh(&refresh_token(&given), &[("scope", Some(default))])
            .await
            .status,
        200
    );
    browser.tokens(BEN, "Mail.Read").await;
    let code = browser
        .code(BEN, &[("scope", Some(default)), ("login_hint", Some(BEN))])
        .await;
    let given = browser.redeem(&code, &[]).await.json();
    assert_eq!(claims(&given["access_token"])["scp"], "Mail.Read");
}

#[tokio::test]
async fn refresh_tokens_rotate_in_three_models() {
    for rotation in [
        Rotation::EntraOldStaysValid,
        Rotation::Strict,
        Rotation::StrictWithFamilyRevocation,
    ] {
        let (simulator, browser, first) = signed_in().await;
        simulator.set_rotation(rotation);
        let second = refresh_token(&browser.refresh(&first, &[]).await.json());
        assert_ne!(first, second);
        let again = browser.refresh(&first, &[]).await;
        let third = browser.refresh(&second, &[]).await;
        match rotation {
            Rotation::EntraOldStaysValid => assert_eq!((again.status, third.status), (200, 200)),
            Rotation::Strict => {
                assert_eq!(refusal(&again), grant(70000, "bad_token"));
                assert_eq!(third.status, 200);
            }
            Rotation::StrictWithFamilyRevocation => {
                assert_eq!(refusal(&again), grant(70000, "bad_token"));
                assert_eq!(refusal(&third), grant(50173, "bad_token"));
            }
        }
        assert!(
            browser.refresh(&second, &[]).await.json().get("id_token").is_some()
                || rotation != Rotation::EntraOldStaysValid
        );
    }
}

#[tokio::test]
async fn ninety_days_without_use_are_the_end_and_use_starts_them_anew() {
    let (simulator, browser, first) = signed_in().await;
    simulator.advance(Duration::from_secs(90 * DAY - 1));
    let second = refresh_token(&browser.refresh(&first, &[]).await.json());
    simulator.advance(Duration::from_secs(1));
    assert_eq!(refusal(&browser.refresh(&first, &[]).await), grant(700_082, ""));
    assert_eq!(browser.refresh(&second, &[]).await.status, 200);
    assert_eq!(simulator.expire_grants(Some(BEN)).unwrap(), 0);
    assert_eq!(simulator.expire_grants(Some(ADA)).unwrap(), 1);
    assert_eq!(refusal(&browser.refresh(&second, &[]).await), grant(700_082, ""));
}

#[tokio::test]
async fn a_grant_dies_by_revocation_block_policy_and_lost_consent() {
    let (simulator, browser, token) = signed_in().await;
    let bens = refresh_token(&browser.tokens(BEN, SCOPE).await);
    let interaction = |number, suberror: &str| (400, "interaction_required".to_owned(), number, suberror.to_owned());
    simulator.disable_user(ADA, true).unwrap();
    assert_eq!(refusal(&browser.refresh(&token, &[]).await), grant(50057, ""));
    simulator.disable_user(ADA, false).unwrap();
    let policy = ConditionalAccess::default();
    simulator.set_conditional_access(ConditionalAccess { block: true, ..policy });
    let blocked = browser.refresh(&token, &[]).await;
    assert_eq!(refusal(&blocked), interaction(53003, "message_only"));
    assert!(blocked.json()["claims"].as_str().unwrap().contains("access_token"));
    simulator.set_conditional_access(ConditionalAccess {
        require_mfa: true,
        ..policy
    });
    assert_eq!(
        refusal(&browser.refresh(&token, &[]).await),
        interaction(50076, "basic_action")
    );
    let strong = refresh_token(&browser.tokens(ADA, SCOPE).await);
    assert_eq!(browser.refresh(&strong, &[]).await.status, 200);
    simulator.set_conditional_access(ConditionalAccess {
        sign_in_frequency: Some(3600),
        ..policy
    });
    assert_eq!(browser.refresh(&token, &[]).await.status, 200);
    simulator.advance(Duration::from_secs(3600));
    assert_eq!(
        refusal(&browser.refresh(&token, &[]).await),
        grant(70043, "token_expired")
    );
    simulator.set_conditional_access(policy);
    assert_eq!(simulator.forget_consent(Some(ADA)).unwrap(), 1);
    assert_eq!(
        refusal(&browser.refresh(&token, &[]).await),
        grant(65001, "consent_required")
    );
    simulator.give_consent(DEFAULT_CLIENT_ID, ADA, SCOPE).unwrap();
    assert_eq!(browser.refresh(&token, &[]).await.status, 200);
    let open = browser.code(ADA, &[("login_hint", Some(ADA))]).await;
    assert_eq!(simulator.revoke_grants(Some(ADA)).unwrap(), 2);
    assert_eq!(refusal(&browser.refresh(&token, &[]).await), grant(50173, "bad_token"));
    assert_eq!(refusal(&browser.redeem(&open, &[]).await), grant(50173, "bad_token"));
    assert_eq!(browser.refresh(&bens, &[]).await.status, 200);
    let shown = serde_json::to_string(&simulator.grants()).unwrap();
    assert!(shown.contains(ADA) && shown.contains("\"revoked\":true") && !shown.contains(&token[..20]));
    browser.tokens(ADA, SCOPE).await;
}

#[tokio::test]
async fn a_refresh_asks_for_no_more_than_the_grant() {
    let (_, browser, token) = signed_in().await;
    let ask = async |scope: &'static str| browser.refresh(&token, &[("scope", Some(scope))]).await;
    assert_eq!(ask("Mail.ReadWrite offline_access").await.status, 200);
    assert_eq!(refusal(&ask("Mail.Send").await), grant(65001, "consent_required"));
    browser.tokens(ADA, "Mail.Send").await;
    assert_eq!(refusal(&ask("Mail.Send").await), grant(70000, ""));
    assert_eq!(
        refusal(&ask("https://graph.microsoft.com/.default Mail.Read").await).2,
        70011
    );
    assert_eq!(refusal(&browser.refresh("1.AYx", &[]).await), grant(70000, ""));
    assert_eq!(
        refusal(&browser.refresh(&token, &[("client_secret", Some("x"))]).await).2,
        7_000_215
    );
    assert_eq!(
        refusal(
            &browser
                .refresh(&token, &[("tenant", Some("91f0a3d7-4e52-4b0b-8a16-3d8e7c5b2f64"))])
                .await
        )
        .2,
        700_016
    );
}

#[tokio::test]
async fn an_answer_lost_on_the_way_has_rotated_all_the_same() {
    let (simulator, browser, token) = signed_in().await;
    simulator.set_rotation(Rotation::Strict);
    simulator.arm(FaultSpec::once(
        RequestKind::Token,
        Fault::CutBody {
            after: 10,
            how: Cut::Abort,
        },
    ));
    assert!(browser.refresh(&token, &[]).await.broken);
    assert_eq!(refusal(&browser.refresh(&token, &[]).await), grant(70000, "bad_token"));
    let entra = Fault::Entra {
        status: 400,
        error: "invalid_grant".to_owned(),
        code: 50196,
        message: "Loop.".to_owned(),
    };
    simulator.arm(FaultSpec::once(RequestKind::Token, entra));
    assert_eq!(refusal(&browser.refresh(&token, &[]).await).2, 50196);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tokens() {
    let again = Simulator::new(Options {
        users: tenant().users(),
        ..crate::client::options()
    });
    let (_, _, token) = signed_in().await;
    assert_eq!(refresh_token(&browser(&again).tokens(ADA, SCOPE).await), token);
}
