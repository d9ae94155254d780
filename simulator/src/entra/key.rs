//! The key the simulator signs its tokens with. It is public on purpose: it guards nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{self, KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// PKCS#8, RSA 2048, made for this simulator only: every checkout has the same one.
const SIMULATOR_SIGNING_KEY: &[u8] = include_bytes!("simulator-signing-key.pkcs8.der");

/// Name of the key in the JWT header and in the key set.
pub(crate) const KEY_ID: &str = "postroom-simulator-key-1";

/// Read once for all simulators of a program: reading a key tries it, which takes as long as signing with it.
static PAIR: LazyLock<Option<KeyPair>> = LazyLock::new(|| KeyPair::from_pkcs8(SIMULATOR_SIGNING_KEY).ok());
/// What light access tokens are sealed with.
static SEAL: LazyLock<hmac::Key> = LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, SIMULATOR_SIGNING_KEY));

pub(crate) struct SigningKey {
    // The file is part of the program; a test sees that it is read.
    pair: Option<&'static KeyPair>,
    light: bool,
}

impl SigningKey {
    /// The simulator's own; `light`: access tokens are sealed with a keyed hash.
    pub(crate) fn embedded(light: bool) -> Self {
        Self {
            pair: PAIR.as_ref(),
            light,
        }
    }

    /// An access token over these claims. Only Graph reads it, so that its seal is the simulator's own affair.
    pub(crate) fn access_token(&self, claims: &Value) -> String {
        if !self.light {
            return self.sign(claims);
        }
        let text = unsigned("HS256", claims);
        let seal = hmac::sign(&SEAL, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(seal))
    }

    /// A compact JWS (RFC 7515) over these claims, RS256.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let text = unsigned("RS256", claims);
        let Some(pair) = self.pair else { return text };
        let mut signature = vec![0; pair.public().modulus_len()];
        // PKCS #1 v1.5 signing fails only for a wrong length of the buffer.
        let _ = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of an access token this key made.
    pub(crate) fn verify(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if self.light {
            hmac::verify(&SEAL, text.as_bytes(), &signature).ok()?;
        } else {
            let public = signature::UnparsedPublicKey::new(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                self.pair?.public_key().as_ref(),
            );
            public.verify(text.as_bytes(), &signature).ok()?;
        }
        let claims = URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
        serde_json::from_slice(&claims).ok()
    }

    /// The key as a JWK (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let Some(pair) = self.pair else {
            return Value::Null;
        };
        let parts: PublicKeyComponents<Vec<u8>> = pair.public().into();
        json!({
            "kty": "RSA", "use": "sig", "kid": KEY_ID, "x5t": KEY_ID, "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
        })
    }
}

/// Header and claims, as they are signed.
fn unsigned(algorithm: &str, claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": algorithm, "kid": KEY_ID, "x5t": KEY_ID});
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_and_what_is_changed_is_not() {
        for light in [false, true] {
            let key = SigningKey::embedded(light);
            let token = key.access_token(&json!({"aud": "x"}));
            assert_eq!(key.verify(&token), Some(json!({"aud": "x"})));
            let forged = token.replacen("ey", "ez", 2);
            assert_eq!(key.verify(&forged), None);
            assert_eq!(SigningKey::embedded(!light).verify(&token), None, "each takes its own");
            assert_eq!(key.jwk()["e"], "AQAB");
        }
    }
}
