//! The token endpoint, discovery and keys.

use crate::client::{Answer, Client, desk, form, options};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};

const GRAPH: &str = "https://graph.microsoft.com/.default";

async fn ask(client: &Client, change: &[(&str, Option<&str>)]) -> Answer {
    let r = client.simulator.registration();
    let mut tenant = r.tenant_id.as_str();
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", r.client_id.as_str()),
        ("client_secret", r.client_secret.as_str()),
        ("scope", GRAPH),
    ];
    for (name, value) in change {
        if *name == "tenant" {
            tenant = value.unwrap();
            continue;
        }
        fields.retain(|(n, _)| n != name);
        fields.extend(value.map(|v| (*name, v)));
    }
    client.token_request(tenant, &form(&fields)).await
}

type Change<'a> = &'a [(&'a str, Option<&'a str>)];

#[tokio::test]
async fn every_refusal_has_its_status_error_and_number() {
    let client = desk(options()).await;
    client
        .simulator
        .rotate_secret(simulator::DEFAULT_CLIENT_ID, "second", true)
        .unwrap();
    let old = simulator::DEFAULT_CLIENT_SECRET;
    let cases: [(Change<'_>, u16, &str, u32); 17] = [
        (
            &[("tenant", Some("9e5ec2a4-0000-4f0e-9d3b-0a6f6f2c1a10"))],
            400,
            "invalid_request",
            90002,
        ),
        (&[("tenant", Some("common"))], 400, "invalid_request", 9_001_023),
        (&[("tenant", Some("consumers"))], 400, "invalid_request", 9_001_023),
        (
            &[("client_id", Some("b7b1f6d2-0000-4c8e-8f21-6d1e0c9a4b77"))],
            400,
            "unauthorized_client",
            700_016,
        ),
        (&[("client_id", None)], 400, "invalid_request", 900_144),
        (&[("client_secret", Some("wrong"))], 401, "invalid_client", 7_000_215),
        (&[("client_secret", Some(old))], 401, "invalid_client", 7_000_222),
        (&[("client_secret", None)], 401, "invalid_client", 7_000_218),
        (&[("grant_type", None)], 400, "invalid_request", 900_144),
        (
            &[("grant_type", Some("password"))],
            400,
            "unsupported_grant_type",
            70003,
        ),
        (&[("scope", None)], 400, "invalid_request", 900_144),
        (&[("scope", Some("Mail.Read"))], 400, "invalid_scope", 1_002_012),
        (
            &[("scope", Some("https://graph.microsoft.com/Mail.Read"))],
            400,
            "invalid_scope",
            1_002_012,
        ),
        (
            &[("scope", Some("https://graph.microsoft.com/.default offline_access"))],
            400,
            "invalid_scope",
            1_002_012,
        ),
        (
            &[("scope", Some("https://a.test/.default https://b.test/.default"))],
            400,
            "invalid_scope",
            700_022,
        ),
        (&[("scope", Some("   "))], 400, "invalid_scope", 70011),
        (
            &[("scope", Some("https://other.test/.default"))],
            400,
            "invalid_resource",
            500_011,
        ),
    ];
    for (change, status, error, number) in cases {
        let answer = ask(&client, change).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, json["error"].as_str().unwrap()),
            (status, error),
            "{change:?}: {json}"
        );
        assert_eq!(json["error_codes"], serde_json::json!([number]));
        assert!(
            json["error_description"]
                .as_str()
                .unwrap()
                .starts_with(&format!("AADSTS{number}: "))
        );
        for field in ["timestamp", "trace_id", "correlation_id", "error_uri"] {
            assert!(json[field].as_str().is_some_and(|t| !t.is_empty()), "{field}");
        }
        assert_eq!(answer.header("cache-control"), "no-store, no-cache");
        assert_eq!(answer.header("x-ms-request-id"), json["trace_id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn only_post_is_taken() {
    let client = desk(options()).await;
    let tenant = client.simulator.registration().tenant_id;
    let answer = client
        .send(Method::GET, &format!("/{tenant}/oauth2/v2.0/token"), &[], "")
        .await;
    assert_eq!(answer.json()["error_codes"], serde_json::json!([900_561]));
}

#[tokio::test]
async fn a_token_has_a_random_life_and_no_refresh_token_and_is_signed_by_the_published_key() {
    let client = desk(options()).await;
    let mut lives = Vec::new();
    for _ in 0..20 {
        let json = ask(&client, &[]).await.json();
        lives.push(json["expires_in"].as_i64().unwrap());
        assert_eq!(json["expires_in"], json["ext_expires_in"]);
        assert!(json.get("refresh_token").is_none() && json.get("scope").is_none());
    }
    assert!(lives.iter().all(|l| (3600..=5399).contains(l)));
    assert!(lives.iter().any(|l| l != &lives[0]));
    let r = client.simulator.registration();
    let document = client
        .send(
            Method::GET,
            &format!("/{}/v2.0/.well-known/openid-configuration", r.tenant_id),
            &[],
            "",
        )
        .await
        .json();
    assert_eq!(
        document["token_endpoint"],
        format!("https://sim.test/{}/oauth2/v2.0/token", r.tenant_id)
    );
    let keys = client
        .send(Method::GET, document["jwks_uri"].as_str().unwrap(), &[], "")
        .await
        .json();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    let (n, e) = (part("n"), part("e"));
    let (text, signature) = client.token.rsplit_once('.').unwrap();
    ring::signature::RsaPublicKeyComponents { n: &n, e: &e }
        .verify(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            text.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1).unwrap()).unwrap();
    assert_eq!(claims["roles"], serde_json::json!(["Mail.ReadWrite"]));
    assert_eq!(
        (claims["tid"].as_str(), claims["appid"].as_str()),
        (Some(r.tenant_id.as_str()), Some(r.client_id.as_str()))
    );
    assert_eq!(claims["aud"], "https://graph.microsoft.com");
}

#[tokio::test]
async fn basic_authentication_is_form_encoded_first() {
    let client = desk(options()).await;
    let r = client.simulator.registration();
    let pair = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{}:{secret}", r.client_id)));
    let encoded: String = url::form_urlencoded::byte_serialize(r.client_secret.as_bytes()).collect();
    let body = form(&[("grant_type", "client_credentials"), ("scope", GRAPH)]);
    let path = format!("/{}/oauth2/v2.0/token", r.tenant_id);
    for (header, status) in [(pair(&encoded), 200), (pair(&r.client_secret), 401)] {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", header.as_str()),
        ];
        assert_eq!(client.send(Method::POST, &path, &headers, &body).await.status, status);
    }
}

#[tokio::test]
async fn throttled_it_answers_bare_words() {
    let client = desk(options()).await;
    client.simulator.arm(FaultSpec::once(
        RequestKind::Token,
        Fault::TooManyRequests {
            retry_after: RetryAfter::Seconds(60),
            wording: Wording::BareText,
        },
    ));
    let answer = ask(&client, &[]).await;
    assert_eq!(
        (answer.status, answer.header("retry-after"), &answer.bytes[..]),
        (429, "60", &b"Too Many Requests"[..])
    );
    assert_eq!(ask(&client, &[]).await.status, 200);
}

#[tokio::test]
async fn graph_tells_what_is_wrong_with_a_token() {
    let mut client = desk(options()).await;
    let path = format!("/v1.0/users/{}/mailFolders", crate::client::DESK);
    let message = |answer: Answer| {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "InvalidAuthenticationToken")
        );
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        answer.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(message(client.send(Method::GET, &path, &[], "").await).contains("empty"));
    assert!(
        message(
            client
                .send(Method::GET, &path, &[("authorization", "Bearer abc")], "")
                .await
        )
        .contains("not well formed")
    );
    let other = ask(&client, &[("scope", Some("https://outlook.office365.com/.default"))])
        .await
        .json();
    let bearer = format!("Bearer {}", other["access_token"].as_str().unwrap());
    assert!(
        message(client.send(Method::GET, &path, &[("authorization", &bearer)], "").await).contains("Invalid audience")
    );
    assert_eq!(client.simulator.revoke_tokens(), 2);
    assert!(message(client.get(&path).await).contains("revoked"));
    client.sign_in().await;
    assert_eq!(client.get(&path).await.status, 200);
    client.simulator.advance(std::time::Duration::from_secs(5400));
    assert_eq!(
        message(client.get(&path).await),
        "Lifetime validation failed, the token is expired."
    );
}

#[tokio::test]
async fn without_a_role_a_token_is_given_and_graph_refuses() {
    let mut client = desk(options()).await;
    client.simulator.set_roles(simulator::DEFAULT_CLIENT_ID, &[]).unwrap();
    assert_eq!(
        client.get("/mailFolders").await.status,
        200,
        "a token keeps what it was given"
    );
    client.sign_in().await;
    let answer = client.get("/mailFolders").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "ErrorAccessDenied"));
    client
        .simulator
        .set_roles(simulator::DEFAULT_CLIENT_ID, &["Mail.Read"])
        .unwrap();
    client.sign_in().await;
    let id = crate::client::encode(&client.deliver("a"));
    assert_eq!(client.get(&format!("/messages/{id}")).await.status, 200);
    assert_eq!(
        client
            .graph(Method::PATCH, &format!("/messages/{id}"), &[], "{\"isRead\":true}")
            .await
            .status,
        403
    );
}
