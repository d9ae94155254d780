//! Workload identity federation: tokens of other issuers that stand for an app, checked for real.
//!
//! Source: Microsoft Entra, "Workload identity federation" and "Configure a federated identity credential": issuer, subject
//! and audience must equal `iss`, `sub`, `aud` letter by letter; RS256 only; keys come from the issuer's discovery document.

use super::App;
use super::assertion::Assertion;
use super::error::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Entra keeps only so many keys of an issuer.
const MOST_KEYS: usize = 100;
/// The most bytes of a document of an issuer's.
const MOST_BYTES: u64 = 256 * 1024;
/// Clocks may differ by so many seconds.
const SKEW: i64 = 300;

/// What an app trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedCredential {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
}

/// The issuer an assertion names, if it is one that this app trusts: only such an issuer is ever asked for its keys.
pub(super) fn issuer_of(app: &App, assertion: &str) -> Option<String> {
    let assertion = Assertion::parse(assertion)?;
    let issuer = assertion.said("iss");
    let trusted = app.federated.iter().any(|one| one.issuer == issuer);
    trusted.then(|| issuer.to_owned())
}

/// Whether the assertion comes from an issuer of tokens, which is called by a URL, and not from an app, which is called by
/// its id.
pub(super) fn is_foreign(assertion: &str) -> bool {
    Assertion::parse(assertion).is_some_and(|assertion| assertion.said("iss").contains("://"))
}

/// The keys of an issuer, fetched anew: by its discovery document, over plain HTTP. `None`: they could not be had.
pub(super) async fn keys_of(issuer: &str) -> Option<Vec<Value>> {
    let document = fetch(&format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    ))
    .await?;
    if document.get("issuer")?.as_str()? != issuer {
        return None;
    }
    let set = fetch(document.get("jwks_uri")?.as_str()?).await?;
    Some(set.get("keys")?.as_array()?.iter().take(MOST_KEYS).cloned().collect())
}

/// Whether the token stands for the app.
pub(super) fn check(app: &App, text: &str, keys: Option<&[Value]>, now_s: i64) -> Result<(), Refusal> {
    let assertion =
        Assertion::parse(text).ok_or_else(|| Refusal::client(50_027, "JWT token is invalid or malformed."))?;
    let (issuer, subject) = (assertion.said("iss"), assertion.said("sub"));
    let of_issuer: Vec<&FederatedCredential> = app.federated.iter().filter(|one| one.issuer == issuer).collect();
    if of_issuer.is_empty() {
        return Err(Refusal::client(
            700_211,
            format!("No matching federated identity record found for presented assertion issuer '{issuer}'."),
        ));
    }
    let Some(known) = of_issuer.iter().find(|one| one.subject == subject) else {
        let case_only = of_issuer.iter().any(|one| one.subject.eq_ignore_ascii_case(subject));
        return Err(Refusal::client(
            if case_only { 7_002_138 } else { 700_213 },
            format!("No matching federated identity record found for presented assertion subject '{subject}'."),
        ));
    };
    let audience = assertion.said("aud");
    if known.audience != audience {
        return Err(Refusal::client(
            700_212,
            format!("No matching federated identity record found for presented assertion audience '{audience}'."),
        ));
    }
    let signed = keys.unwrap_or_default().iter().any(|key| verifies(key, &assertion));
    if assertion.header.get("alg").and_then(Value::as_str) != Some("RS256") || !signed {
        return Err(Refusal::client(
            50_012,
            "Authentication failed: the signature of the assertion could not be verified with the issuer's keys.",
        ));
    }
    let (from, until) = (assertion.time("nbf"), assertion.time("exp"));
    if now_s + SKEW < from || now_s > until + SKEW {
        return Err(Refusal::client(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {now_s}, assertion valid from {from}, expiry time of assertion {until}."
            ),
        ));
    }
    Ok(())
}

fn verifies(key: &Value, assertion: &Assertion<'_>) -> bool {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let kid = assertion.header.get("kid").and_then(Value::as_str);
    if kid.is_some() && kid != text("kid") {
        return false;
    }
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let (Some(n), Some(e)) = (number("n"), number("e")) else {
        return false;
    };
    RsaPublicKeyComponents { n, e }
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            assertion.signed.as_bytes(),
            &assertion.signature,
        )
        .is_ok()
}

/// A JSON document over plain HTTP/1.0: issuers of tests stand on this machine.
async fn fetch(url: &str) -> Option<Value> {
    let url = url::Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    let work = async {
        let mut stream = TcpStream::connect((host, port)).await.ok()?;
        let request = format!(
            "GET {} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n",
            url.path()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut answer).await.ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let ok = answer.get(9..12) == Some(b"200");
        ok.then(|| serde_json::from_slice(answer.get(end + 4..)?).ok())
            .flatten()
    };
    tokio::time::timeout(Duration::from_secs(5), work).await.ok()?
}
