//! The id token decides who signed in, so none is believed that is wrong in any one point.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::{
    oauth::TokenErrorKind,
    ports::{Tokens as _, Vault as _},
};
use simulator::{Options, Simulator, User};
use tests::world::World;

use super::altered::Altered;

const ADA: &str = "ada@harbour-homes.example";

type Change = Box<dyn Fn(&Simulator, &str) -> String + Send + Sync>;

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Other claims, properly signed.
fn claims(name: &'static str, value: Value) -> Change {
    Box::new(move |simulator, token| {
        let mut claims = part(token, 1);
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(name);
        } else {
            claims[name] = value.clone();
        }
        simulator.sign(&claims)
    })
}

/// Another header over the same claims, with the old signature.
fn header(name: &'static str, value: Value) -> Change {
    Box::new(move |_, token| {
        let mut header = part(token, 0);
        header[name] = value.clone();
        let rest = token.split_once('.').expect("parts").1;
        format!("{}.{rest}", encode(&header))
    })
}

fn text(change: impl Fn(&str) -> String + Send + Sync + 'static) -> Change {
    Box::new(move |_, token| change(token))
}

fn forgeries(world: &World) -> Vec<(&'static str, Change)> {
    let now = shared::ports::Clock::now(&world.clock).as_second();
    let other = world.simulator.registration().tenant_id.replace('5', "6");
    vec![
        ("no algorithm", header("alg", json!("none"))),
        ("an algorithm with a shared key", header("alg", json!("HS256"))),
        ("another algorithm", header("alg", json!("RS512"))),
        ("an unknown key", header("kid", json!("somebody-else"))),
        ("no key", header("kid", Value::Null)),
        ("critical extensions", header("crit", json!(["exp"]))),
        ("another issuer", claims("iss", json!("https://evil.example/v2.0"))),
        ("no issuer", claims("iss", Value::Null)),
        ("another tenant", claims("tid", json!(other))),
        ("no tenant", claims("tid", Value::Null)),
        ("another app", claims("aud", json!("another-app"))),
        ("no audience", claims("aud", Value::Null)),
        (
            "several audiences without azp",
            claims("aud", json!([simulator::DEFAULT_CLIENT_ID, "another-app"])),
        ),
        ("an audience that is a number", claims("aud", json!(7))),
        ("another nonce", claims("nonce", json!("another"))),
        ("no nonce", claims("nonce", Value::Null)),
        ("over", claims("exp", json!(now - 301))),
        ("no end", claims("exp", Value::Null)),
        ("from the future", claims("iat", json!(now + 400))),
        ("not yet good", claims("nbf", json!(now + 400))),
        ("no object id", claims("oid", Value::Null)),
        ("an empty object id", claims("oid", json!(""))),
        (
            "another person, with the old signature",
            text(|token| {
                let mut claims = part(token, 1);
                claims["oid"] = "somebody-else".into();
                let mut parts = token.split('.');
                let (head, _, signature) = (parts.next(), parts.next(), parts.next());
                format!(
                    "{}.{}.{}",
                    head.unwrap_or_default(),
                    encode(&claims),
                    signature.unwrap_or_default()
                )
            }),
        ),
        (
            "without its signature",
            text(|token| format!("{}.", token.rsplit_once('.').expect("parts").0)),
        ),
        ("cut", text(|token| token[..token.len() / 2].to_owned())),
        (
            "two parts",
            text(|token| token.rsplit_once('.').expect("parts").0.to_owned()),
        ),
        ("no base64", text(|token| token.replacen('e', "*", 1))),
        ("endless", text(|token| format!("{token}{}", "A".repeat(20_000)))),
        ("empty", text(|_| String::new())),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_wrong_in_one_point_binds_nobody() {
    let world = World::with(
        1,
        Options {
            users: vec![User::new(ADA, "Ada Moor")],
            ..Options::default()
        },
    );
    let credential = world.add_delegated("app", "Mail.ReadWrite offline_access").await;
    let all = forgeries(&world);
    assert!(all.len() >= 25, "{}", all.len());
    let altered = Altered::new(&world);
    let tokens = altered.tokens(&world);
    let forge = |change: Change| {
        let simulator = world.simulator.clone();
        altered.json(move |_, answer| {
            if let Some(token) = answer.get("id_token").and_then(Value::as_str) {
                answer["id_token"] = change(&simulator, token).into();
            }
        });
    };
    for (what, change) in all {
        forge(change);
        let redemption = world.redemption(&credential, ADA).await;
        let error = tokens.redeem(redemption).await.expect_err(what);
        assert_eq!(error.kind, TokenErrorKind::Refused, "{what}: {error}");
        assert!(
            world
                .memory
                .vault
                .version(&credential.grant())
                .await
                .expect("a vault")
                .is_none(),
            "{what}"
        );
    }
    let keys = world
        .wire
        .asked()
        .iter()
        .filter(|(_, path)| path.ends_with("/keys"))
        .count();
    assert_eq!(keys, 2, "once, and once more for the key that nobody knew");
    // Nothing of it stuck: what Microsoft really says is taken, an audience in a list as well.
    for change in [
        text(str::to_owned),
        claims("aud", json!([simulator::DEFAULT_CLIENT_ID])),
    ] {
        forge(change);
        let redemption = world.redemption(&credential, ADA).await;
        tokens.redeem(redemption).await.expect("as it should be");
    }
}
