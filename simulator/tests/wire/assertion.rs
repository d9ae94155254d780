//! Client assertions by certificate: what is taken, and everything about them that must not be.

use crate::client::{Answer, Client, START_MS, desk, form, options};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use simulator::{DEFAULT_CLIENT_ID, DEFAULT_TENANT_ID};

/// Any RSA key will do, and this one need not be made first.
const KEY: &[u8] = include_bytes!("../../src/entra/simulator-signing-key.pkcs8.der");
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const NOW: i64 = START_MS / 1000;

/// A certificate of the key; another name makes another one.
fn certificate(name: &str) -> rcgen::Certificate {
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(KEY), &PKCS_RSA_SHA256).unwrap();
    CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap()
}

fn print(certificate: &rcgen::Certificate, algorithm: &'static ring::digest::Algorithm) -> String {
    URL_SAFE_NO_PAD.encode(digest(algorithm, certificate.der()))
}

fn sign(header: &Value, claims: &Value, encoding: &'static dyn RsaEncoding) -> String {
    let text = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", text(header), text(claims));
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header(certificate: &rcgen::Certificate) -> Value {
    json!({"alg": "PS256", "typ": "JWT", "x5t#S256": print(certificate, &SHA256)})
}

fn claims() -> Value {
    json!({
        "aud": format!("https://sim.test/{DEFAULT_TENANT_ID}/oauth2/v2.0/token"), "iss": DEFAULT_CLIENT_ID, "sub": DEFAULT_CLIENT_ID,
        "jti": "22b3bb26-e046-42df-9c96-65dbd72c1c81", "nbf": NOW, "iat": NOW, "exp": NOW + 600,
    })
}

/// A tenant whose app has a certificate registered, by the control.
async fn with(certificate: &rcgen::Certificate) -> Client {
    let client = desk(options()).await;
    let body = json!({"clientId": DEFAULT_CLIENT_ID, "pem": certificate.pem()}).to_string();
    let answer = client.send(Method::POST, "/_control/add-certificate", &[], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    client
}

async fn ask(client: &Client, assertion: &str, kind: Option<&str>) -> Answer {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", DEFAULT_CLIENT_ID),
        ("client_assertion", assertion),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    fields.extend(kind.map(|kind| ("client_assertion_type", kind)));
    client.token_request(DEFAULT_TENANT_ID, &form(&fields)).await
}

#[track_caller]
fn refused(answer: &Answer, number: u64, what: &str) {
    let json = answer.json();
    let error = if number == 900_144 {
        (400, "invalid_request")
    } else {
        (401, "invalid_client")
    };
    assert_eq!(
        (answer.status, json["error"].as_str().unwrap()),
        error,
        "{what}: {json}"
    );
    assert_eq!(json["error_codes"], json!([number]), "{what}: {json}");
}

#[tokio::test]
async fn the_documented_form_and_the_older_one_are_taken() {
    let own = certificate("own.test");
    let client = with(&own).await;
    let older = json!({"alg": "RS256", "typ": "JWT", "x5t": print(&own, &SHA1_FOR_LEGACY_USE_ONLY)});
    for (header, encoding) in [
        (header(&own), &RSA_PSS_SHA256 as &'static dyn RsaEncoding),
        (older, &RSA_PKCS1_SHA256),
    ] {
        let answer = ask(&client, &sign(&header, &claims(), encoding), Some(TYPE)).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        let bearer = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
        let path = "/v1.0/users/desk@harbour-homes.example/messages";
        let mail = client.send(Method::GET, path, &[("authorization", &bearer)], "").await;
        assert_eq!(mail.status, 200, "{}", mail.json());
    }
    // The issuer is an audience, too, and the secret goes on to serve.
    let mut issuer = claims();
    issuer["aud"] = format!("https://sim.test/{DEFAULT_TENANT_ID}/v2.0").into();
    assert_eq!(
        ask(&client, &sign(&header(&own), &issuer, &RSA_PSS_SHA256), Some(TYPE))
            .await
            .status,
        200
    );
    let mut again = client;
    again.sign_in().await;
}

#[tokio::test]
async fn a_wrong_key_signature_or_algorithm_is_refused() {
    let (own, other) = (certificate("own.test"), certificate("other.test"));
    let client = with(&own).await;
    let good = sign(&header(&own), &claims(), &RSA_PSS_SHA256);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[17] ^= 1;
    let flipped = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&bytes));
    // Claims of one assertion below the signature of another.
    let mut more = claims();
    more["exp"] = (NOW + 601).into();
    let exchanged = sign(&header(&own), &more, &RSA_PSS_SHA256);
    let exchanged = format!("{}.{signature}", exchanged.rsplit_once('.').unwrap().0);
    let with_header = |change: Value| {
        let mut header = header(&own);
        for (name, value) in change.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let said = |header: &Value, encoding| sign(header, &claims(), encoding);
    let unsigned = format!(
        "{}.",
        said(&with_header(json!({"alg": "none"})), &RSA_PSS_SHA256)
            .rsplit_once('.')
            .unwrap()
            .0
    );
    // The classic: the public certificate taken as the key of an HMAC.
    let hmac_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, own.pem().as_bytes());
    let hmac = said(&with_header(json!({"alg": "HS256"})), &RSA_PSS_SHA256);
    let hmac = hmac.rsplit_once('.').unwrap().0;
    let hmac = format!(
        "{hmac}.{}",
        URL_SAFE_NO_PAD.encode(ring::hmac::sign(&hmac_key, hmac.as_bytes()))
    );
    for (what, assertion) in [
        ("a bit of the signature", flipped),
        ("no signature", format!("{signed}.")),
        ("claims of another", exchanged),
        (
            "a certificate nobody registered",
            said(&header(&other), &RSA_PSS_SHA256),
        ),
        (
            "no thumbprint",
            said(&json!({"alg": "PS256", "typ": "JWT"}), &RSA_PSS_SHA256),
        ),
        (
            "SHA-1 where SHA-256 is said",
            said(
                &with_header(json!({"x5t#S256": print(&own, &SHA1_FOR_LEGACY_USE_ONLY)})),
                &RSA_PSS_SHA256,
            ),
        ),
        ("PKCS #1 said to be PSS", said(&header(&own), &RSA_PKCS1_SHA256)),
        (
            "PSS said to be PKCS #1",
            said(&with_header(json!({"alg": "RS256"})), &RSA_PSS_SHA256),
        ),
        ("none", unsigned),
        ("HS256", hmac),
        (
            "no algorithm",
            said(&with_header(json!({"alg": null})), &RSA_PSS_SHA256),
        ),
    ] {
        refused(&ask(&client, &assertion, Some(TYPE)).await, 700_027, what);
    }
    for (what, assertion) in [
        ("no JWT", "abc"),
        ("two parts", "e30.e30"),
        ("no JSON", "!!.!!.!!"),
        ("four parts", "e30.e30.e30.e30"),
    ] {
        refused(&ask(&client, assertion, Some(TYPE)).await, 50_027, what);
    }
    refused(&ask(&client, &good, None).await, 900_144, "no type");
    refused(
        &ask(
            &client,
            &good,
            Some("urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        )
        .await,
        900_144,
        "SAML",
    );
    assert_eq!(
        ask(&client, &good, Some(TYPE)).await.status,
        200,
        "the one all these were made from"
    );
}

#[tokio::test]
async fn times_issuer_and_audience_are_looked_at() {
    let own = certificate("own.test");
    let client = with(&own).await;
    let other = "11111111-3a54-4c8e-8f21-6d1e0c9a4b77";
    let elsewhere = format!("https://sim.test/{other}/oauth2/v2.0/token");
    let cases: [(&str, Value, Option<u64>); 20] = [
        (
            "at the edge of the grace",
            json!({"nbf": NOW + 300, "exp": NOW - 300}),
            None,
        ),
        (
            "fractions of seconds",
            json!({"nbf": 1_770_105_600.25, "exp": 1_770_106_200.75}),
            None,
        ),
        (
            "over by a fraction and more",
            json!({"exp": 1_770_105_298.9}),
            Some(700_024),
        ),
        ("more than there is", json!({"exp": 1e300}), None),
        ("too early", json!({"nbf": NOW + 301}), Some(700_024)),
        ("over", json!({"nbf": NOW - 1000, "exp": NOW - 301}), Some(700_024)),
        ("no end", json!({"exp": null}), Some(700_024)),
        ("an end that is a text", json!({"exp": "never"}), Some(700_024)),
        ("the last end there is", json!({"exp": i64::MAX}), None),
        ("the first beginning there is", json!({"nbf": i64::MIN}), None),
        ("the last beginning there is", json!({"nbf": i64::MAX}), Some(700_024)),
        ("no beginning", json!({"nbf": null}), None),
        ("another issuer", json!({"iss": other}), Some(700_021)),
        ("another subject", json!({"sub": other}), Some(700_021)),
        ("no issuer", json!({"iss": null}), Some(700_021)),
        ("another tenant's endpoint", json!({"aud": elsewhere}), Some(700_023)),
        (
            "another host",
            json!({"aud": format!("https://login.test/{DEFAULT_TENANT_ID}/oauth2/v2.0/token")}),
            Some(700_023),
        ),
        ("Graph", json!({"aud": "https://graph.microsoft.com"}), Some(700_023)),
        ("no audience", json!({"aud": null}), Some(700_023)),
        (
            "an id in capitals",
            json!({"iss": DEFAULT_CLIENT_ID.to_uppercase()}),
            None,
        ),
    ];
    for (what, change, number) in cases {
        let mut claims = claims();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let answer = ask(&client, &sign(&header(&own), &claims, &RSA_PSS_SHA256), Some(TYPE)).await;
        match number {
            Some(number) => refused(&answer, number, what),
            None => assert_eq!(answer.status, 200, "{what}: {}", answer.json()),
        }
    }
    // A missing beginning shows as 1970, as people know it from Entra.
    let mut old = claims();
    (old["nbf"], old["exp"]) = (Value::Null, (NOW - 1000).into());
    let answer = ask(&client, &sign(&header(&own), &old, &RSA_PSS_SHA256), Some(TYPE))
        .await
        .json();
    let text = answer["error_description"].as_str().unwrap();
    assert!(
        text.contains("assertion valid from 1970-01-01T00:00:00Z, expiry time of assertion 2026-02-03T07:43:20Z"),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_serves_its_own_app_and_every_grant() {
    let own = certificate("own.test");
    let client = with(&own).await;
    let other = "22222222-3a54-4c8e-8f21-6d1e0c9a4b77";
    client.simulator.register_app(other, "other-secret", &["Mail.Read"]);
    let mut theirs = claims();
    (theirs["iss"], theirs["sub"]) = (other.into(), other.into());
    let assertion = sign(&header(&own), &theirs, &RSA_PSS_SHA256);
    let fields = |client_id, assertion| {
        form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
            ("scope", "https://graph.microsoft.com/.default"),
        ])
    };
    let answer = client
        .token_request(DEFAULT_TENANT_ID, &fields(other, &assertion))
        .await;
    refused(&answer, 700_027, "the other app has no such certificate");
    refused(
        &ask(&client, &assertion, Some(TYPE)).await,
        700_021,
        "and its assertion is not ours",
    );
    // The client is checked first, whatever is redeemed: the code is what is wrong, not the client.
    let good = sign(&header(&own), &claims(), &RSA_PSS_SHA256);
    for (assertion, error) in [(good.as_str(), "invalid_grant"), (assertion.as_str(), "invalid_client")] {
        let body = form(&[
            ("grant_type", "refresh_token"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
            ("refresh_token", "never-given"),
        ]);
        let answer = client.token_request(DEFAULT_TENANT_ID, &body).await.json();
        assert_eq!(answer["error"], error, "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_certificate_or_no_app_is_not_registered() {
    let client = desk(options()).await;
    for (body, word) in [
        (
            json!({"clientId": DEFAULT_CLIENT_ID, "pem": "no certificate"}),
            "not taken",
        ),
        (
            json!({"clientId": "nobody", "pem": certificate("own.test").pem()}),
            "nobody",
        ),
        (json!({"clientId": DEFAULT_CLIENT_ID}), "pem"),
    ] {
        let answer = client
            .send(Method::POST, "/_control/add-certificate", &[], &body.to_string())
            .await;
        let said = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 400 && said.contains(word), "{said}");
    }
}
