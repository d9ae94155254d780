//! Id tokens that are wrong in one point each.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use simulator::Simulator;

use super::World;

type Change = Box<dyn Fn(&Simulator, &str) -> String + Send + Sync>;

/// What becomes of an id token on its way.
pub struct Forgery(Change);

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Forgery {
    /// The token that arrives instead of this one.
    pub fn of(&self, simulator: &Simulator, token: &str) -> String {
        self.0(simulator, token)
    }

    /// Other claims, properly signed; `null` takes the claim away.
    pub fn claims(name: &'static str, value: Value) -> Self {
        Self(Box::new(move |simulator, token| {
            let mut claims = part(token, 1);
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(name);
            } else {
                claims[name] = value.clone();
            }
            simulator.sign(&claims)
        }))
    }

    /// Another header over the same claims, with the old signature.
    pub fn header(name: &'static str, value: Value) -> Self {
        Self(Box::new(move |_, token| {
            let mut header = part(token, 0);
            header[name] = value.clone();
            let rest = token.split_once('.').expect("parts").1;
            format!("{}.{rest}", encode(&header))
        }))
    }

    /// Another text.
    pub fn text(change: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Box::new(move |_, token| change(token)))
    }
}

/// One for each way in which an id token for the app `client_id` of the simulated Microsoft can be wrong.
pub fn forgeries(world: &World, client_id: &str) -> Vec<(&'static str, Forgery)> {
    let (claims, header) = (Forgery::claims, Forgery::header);
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
            claims("aud", json!([client_id, "another-app"])),
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
            Forgery::text(|token| {
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
            Forgery::text(|token| format!("{}.", token.rsplit_once('.').expect("parts").0)),
        ),
        ("cut", Forgery::text(|token| token[..token.len() / 2].to_owned())),
        (
            "two parts",
            Forgery::text(|token| token.rsplit_once('.').expect("parts").0.to_owned()),
        ),
        ("no base64", Forgery::text(|token| token.replacen('e', "*", 1))),
        (
            "endless",
            Forgery::text(|token| format!("{token}{}", "A".repeat(20_000))),
        ),
        ("empty", Forgery::text(|_| String::new())),
    ]
}
