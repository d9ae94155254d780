//! A certificate: read from PEM, with its key or with the name of the key that KMS keeps, and what Entra wants to know of it.

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
use x509_parser::{
    prelude::{FromDer as _, X509Certificate},
    public_key::PublicKey,
};

use crate::{field::FieldError, secret::Secret};

const FIELD: &str = "certificate";
/// More than a chain of long keys needs; the vault takes 64 KiB.
const MOST: usize = 48 * 1024;
const DAMAGED: &str = "a certificate in it is damaged; copy the whole text again";
const NOT_X509: &str = "a certificate in it is no X.509 certificate";

/// What a certificate is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-1 in upper-case hexadecimal, as the portal shows it.
    pub thumbprint: String,
    /// `x5t#S256` (RFC 7515 section 4.1.8).
    pub print: String,
    /// Whose it says it is.
    pub subject: String,
    /// When it expires (`notAfter`).
    pub expires_at: Timestamp,
}

impl CertificateFacts {
    fn of(der: &[u8], parsed: &X509Certificate<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            thumbprint: hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()),
            print: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
            subject: crate::message::cut(&parsed.subject().to_string(), 200),
            expires_at: Timestamp::from_second(parsed.validity().not_after.timestamp())
                .map_err(|_| FieldError::new(FIELD, "its end is no time"))?,
        })
    }
}

/// A certificate and the key that belongs to it.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Both as PEM, for the vault.
    pub pem: Secret,
    /// What the certificate is known by.
    pub facts: CertificateFacts,
    key: Arc<RsaKeyPair>,
}

/// A certificate whose key lies in AWS KMS, which signs with it and gives it to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsCertificate {
    /// The key's ARN.
    pub key: String,
    /// What the certificate is known by.
    pub facts: CertificateFacts,
}

impl KmsCertificate {
    /// From PEM that holds one certificate and no key, and the ARN of the key in KMS. Whether the two belong together is
    /// not known here: a signature that does not fit is refused by Entra (AADSTS700027).
    pub fn from_pem(pem: &str, key: &str) -> Result<Self, FieldError> {
        let wrong = |reason: &str| FieldError::new(FIELD, reason);
        if pem.len() > MOST {
            return Err(wrong("it is longer than 48 KiB; leave out the chain"));
        }
        if pem.contains("PRIVATE KEY") {
            return Err(wrong(
                "it holds a private key, but the key is to be the one in KMS; give the certificate alone",
            ));
        }
        let mut found = None;
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|_| wrong(DAMAGED))?;
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| wrong(NOT_X509))?;
            if found.replace(CertificateFacts::of(&der, &parsed)?).is_some() {
                return Err(wrong(
                    "it holds several certificates; give the one of the key in KMS alone",
                ));
            }
            match parsed.public_key().parsed() {
                Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= 2048 => {}
                _ => {
                    return Err(wrong(
                        "its key is no RSA key of 2048 bits and more; Entra takes no other",
                    ));
                }
            }
        }
        Ok(Self {
            facts: found.ok_or_else(|| wrong("it holds no certificate: give one PEM text with BEGIN CERTIFICATE"))?,
            key: arn(key)?,
        })
    }
}

/// The ARN of a key as rights name it: an alias can be turned to another key, and no right can be given on one.
fn arn(typed: &str) -> Result<String, FieldError> {
    let typed = typed.trim();
    let parts: Vec<&str> = typed.split(':').collect();
    let fits = |text: &str| {
        !text.is_empty() && text.len() <= 100 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if let ["arn", partition, "kms", region, account, key] = parts[..]
        && [partition, region, account].into_iter().all(fits)
        && key.strip_prefix("key/").is_some_and(fits)
    {
        return Ok(typed.to_owned());
    }
    Err(FieldError::new(
        "KMS key",
        "it is not the ARN of a key, such as arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab (no alias)",
    ))
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
            wrong("it holds no private key: give one PEM text with BEGIN CERTIFICATE and BEGIN PRIVATE KEY (on AWS the key may lie in KMS: name it beside the certificate)")
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
            let der = der.map_err(|_| wrong(DAMAGED))?;
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| wrong(NOT_X509))?;
            seen = true;
            if parsed.public_key().subject_public_key.data.as_ref()
                == ring::signature::KeyPair::public_key(&key).as_ref()
            {
                return Ok(Self {
                    facts: CertificateFacts::of(&der, &parsed)?,
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

    /// The signature of the assertion `unsigned`.
    pub(crate) fn signature(&self, unsigned: &str) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                unsigned.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(signature)
    }
}

/// The assertion by which the app proves itself, made anew for every request, before it is signed: header and claims
/// (Microsoft, "Application authentication certificate credentials"; RFC 7523; RFC 7518 section 3.5: PS256 salts with 32 bytes).
/// `print`: the certificate's `x5t#S256`.
pub(crate) fn unsigned_assertion(print: &str, audience: &str, client_id: &str, jti: &str, now: Timestamp) -> String {
    let from = now.as_second();
    let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": print});
    let claims = serde_json::json!({
        "aud": audience, "iss": client_id, "sub": client_id, "jti": jti, "iat": from, "nbf": from, "exp": from + 600,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(&header), part(&claims))
}

/// The assertion with its signature.
pub(crate) fn signed_assertion(unsigned: &str, signature: &[u8]) -> Secret {
    Secret::new(format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
