//! A certificate with its key: read from PEM, checked, and what Entra wants to know of it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    rand::SystemRandom,
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{field::FieldError, secret::Secret};

const FIELD: &str = "certificate";
/// More than a chain of long keys needs; the vault takes 64 KiB.
pub(super) const MOST: usize = 48 * 1024;

/// A certificate and the key that belongs to it.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Both as PEM, for the vault.
    pub pem: Secret,
    /// SHA-1 in upper-case hexadecimal, as the portal shows it.
    pub thumbprint: String,
    /// `x5t#S256` (RFC 7515 section 4.1.8).
    pub print: String,
    /// Whose it says it is.
    pub subject: String,
    /// When it expires (`notAfter`).
    pub expires_at: Timestamp,
    key: Arc<RsaKeyPair>,
}

impl ClientCertificate {
    /// From PEM that holds a certificate and its RSA key (PKCS#8 or PKCS#1), in any order. Of several certificates the one
    /// that the key belongs to counts.
    pub fn from_pem(pem: &Secret) -> Result<Self, FieldError> {
        let wrong = |reason: &str| FieldError::new(FIELD, reason);
        let text = pem.expose();
        if text.len() > MOST {
            return Err(wrong("it is longer than 48 KiB; leave out the chain"));
        }
        if text.contains("ENCRYPTED") {
            return Err(wrong(
                "its key is sealed with a password; open it first: `openssl pkey -in key.pem -out open.pem`",
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
            wrong("it holds no private key: give one PEM text with BEGIN CERTIFICATE and BEGIN PRIVATE KEY")
        })?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(wrong("its key is no RSA key; Entra takes RSA keys only")),
        }
        .map_err(|reason| {
            wrong(&format!(
                "its key cannot be used ({reason}); Entra takes RSA keys of 2048 bits and more"
            ))
        })?;
        let mut seen = false;
        for der in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let der = der.map_err(|_| wrong("a certificate in it is damaged; copy the whole text again"))?;
            let (_, parsed) =
                X509Certificate::from_der(&der).map_err(|_| wrong("a certificate in it is no X.509 certificate"))?;
            seen = true;
            if parsed.public_key().subject_public_key.data.as_ref()
                == ring::signature::KeyPair::public_key(&key).as_ref()
            {
                return Ok(Self {
                    thumbprint: hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref()),
                    print: URL_SAFE_NO_PAD.encode(digest(&SHA256, &der)),
                    subject: crate::message::cut(&parsed.subject().to_string(), 200),
                    expires_at: Timestamp::from_second(parsed.validity().not_after.timestamp())
                        .map_err(|_| wrong("its end is no time"))?,
                    pem: Secret::new(text),
                    key: Arc::new(key),
                });
            }
        }
        Err(wrong(if seen {
            "certificate and key do not belong together"
        } else {
            "it holds no certificate: give one PEM text with BEGIN CERTIFICATE and BEGIN PRIVATE KEY"
        }))
    }

    /// The assertion by which the app proves itself, made anew for every request (Microsoft, "Application authentication
    /// certificate credentials"; RFC 7523; RFC 7518 section 3.5: PS256 salts with 32 bytes).
    pub fn assertion(&self, audience: &str, client_id: &str, jti: &str, now: Timestamp) -> Option<Secret> {
        let from = now.as_second();
        let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.print});
        let claims = serde_json::json!({
            "aud": audience, "iss": client_id, "sub": client_id, "jti": jti, "iat": from, "nbf": from, "exp": from + 600,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .ok()?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
