//! The key the simulator signs its access tokens with. It is public on purpose: it guards nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{self, KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::{Value, json};

/// PKCS#8, RSA 2048, made for this simulator only: every checkout has the same one.
const SIMULATOR_SIGNING_KEY: &[u8] = include_bytes!("simulator-signing-key.pkcs8.der");

/// Name of the key in the JWT header and in the key set.
pub(crate) const KEY_ID: &str = "postroom-simulator-key-1";

pub(crate) struct SigningKey {
    pair: Option<KeyPair>,
}

impl SigningKey {
    pub(crate) fn embedded() -> Self {
        // The file is part of the program; a test sees that it is read.
        Self {
            pair: KeyPair::from_pkcs8(SIMULATOR_SIGNING_KEY).ok(),
        }
    }

    /// A compact JWS (RFC 7515) over these claims, RS256.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": KEY_ID, "x5t": KEY_ID});
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let Some(pair) = &self.pair else { return text };
        let mut signature = vec![0; pair.public().modulus_len()];
        // PKCS #1 v1.5 signing fails only for a wrong length of the buffer.
        let _ = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of a token this key signed.
    pub(crate) fn verify(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = signature::UnparsedPublicKey::new(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            self.pair.as_ref()?.public_key().as_ref(),
        );
        public.verify(text.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
        serde_json::from_slice(&claims).ok()
    }

    /// The key as a JWK (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let Some(pair) = &self.pair else {
            return Value::Null;
        };
        let parts: PublicKeyComponents<Vec<u8>> = pair.public().into();
        json!({
            "kty": "RSA", "use": "sig", "kid": KEY_ID, "x5t": KEY_ID, "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_and_what_is_changed_is_not() {
        let key = SigningKey::embedded();
        let token = key.sign(&json!({"aud": "x"}));
        assert_eq!(key.verify(&token), Some(json!({"aud": "x"})));
        let forged = token.replacen("ey", "ez", 2);
        assert_eq!(key.verify(&forged), None);
        assert_eq!(key.jwk()["e"], "AQAB");
    }
}
