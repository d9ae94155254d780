//! Client assertions by certificate (`private_key_jwt`): checked for real, refused in Entra's words.
//!
//! Source: Microsoft identity platform, "Application authentication certificate credentials"; RFC 7523; RFC 7518 3.5. PS256
//! with `x5t#S256` is what is documented now; RS256 with `x5t` (SHA-1) is the older form that libraries still send.

use super::App;
use super::error::Refusal;
use crate::clock::graph_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use serde_json::Value;
use webpki::EndEntityCert;
use webpki::ring::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY};

/// The only `client_assertion_type` (RFC 7523 2.2).
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Clocks may differ by so many seconds.
const SKEW: i64 = 300;

/// An assertion as it came.
pub(super) struct Assertion<'a> {
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
    pub(super) header: Value,
    claims: Value,
}

impl<'a> Assertion<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self {
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            header: json(header)?,
            claims: json(claims)?,
        })
    }

    pub(super) fn said(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A `NumericDate`, whole seconds of it: it may have a fraction (RFC 7519 2), and MSAL for Python sends one.
    pub(super) fn time(&self, name: &str) -> i64 {
        let said = self.claims.get(name);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float becomes the nearest integer there is"
        )]
        let fraction = || said.and_then(Value::as_f64).map(|seconds| seconds as i64);
        said.and_then(Value::as_i64).or_else(fraction).unwrap_or_default()
    }

    /// The certificate of the app that its header names, and the algorithm it says.
    fn certificate<'c>(&self, app: &'c App) -> Option<(&'c CertificateDer<'static>, Algorithm)> {
        let header = |name: &str| self.header.get(name).and_then(Value::as_str);
        let (print, algorithm, kind) = match header("x5t#S256") {
            Some(print) => (print, &SHA256, header("alg")),
            None => (header("x5t")?, &SHA1_FOR_LEGACY_USE_ONLY, header("alg")),
        };
        let algorithm_said: Algorithm = match kind? {
            "PS256" => RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            "RS256" => RSA_PKCS1_2048_8192_SHA256,
            _ => return None,
        };
        let found = app.certificates.iter().find(|certificate| {
            let known = URL_SAFE_NO_PAD.encode(digest(algorithm, certificate));
            known == print.trim_end_matches('=')
        });
        Some((found?, algorithm_said))
    }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Whether the request says what kind of assertion it carries.
pub(super) fn check_kind(kind: Option<&str>) -> Result<(), Refusal> {
    if kind == Some(TYPE) {
        return Ok(());
    }
    Err(Refusal::bad(
        "invalid_request",
        900_144,
        format!(
            "The request body must contain the following parameter: 'client_assertion_type' with the value '{TYPE}'."
        ),
    ))
}

/// Whether the assertion is the app's own, fresh, and meant for this endpoint.
pub(super) fn check(app: &App, text: &str, audiences: &[String], now_s: i64) -> Result<(), Refusal> {
    let refused = |what: &str| {
        Refusal::client(
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {what}]"
            ),
        )
    };
    let assertion =
        Assertion::parse(text).ok_or_else(|| Refusal::client(50_027, "JWT token is invalid or malformed."))?;
    let (certificate, algorithm) = assertion
        .certificate(app)
        .ok_or_else(|| refused("The key was not found."))?;
    let known = EndEntityCert::try_from(certificate).map_err(|_| refused("The key cannot be used."))?;
    known
        .verify_signature(algorithm, assertion.signed.as_bytes(), &assertion.signature)
        .map_err(|_| refused("Client assertion contains an invalid signature."))?;
    let (from, until) = (assertion.time("nbf"), assertion.time("exp"));
    if now_s + SKEW < from || now_s - SKEW > until {
        return Err(Refusal::client(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of assertion {}.",
                told(now_s),
                told(from),
                told(until)
            ),
        ));
    }
    let client = [assertion.said("iss"), assertion.said("sub")];
    if client.iter().any(|said| !said.eq_ignore_ascii_case(&app.client_id)) {
        return Err(Refusal::client(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ));
    }
    let audience = assertion.said("aud");
    if !audiences.iter().any(|one| one.eq_ignore_ascii_case(audience)) {
        return Err(Refusal::client(
            700_023,
            format!("Client assertion audience claim does not match Realm issuer. The audience was '{audience}'."),
        ));
    }
    Ok(())
}

/// Seconds since 1970 as Entra tells them.
fn told(seconds: i64) -> String {
    graph_time(seconds.saturating_mul(1000))
}
