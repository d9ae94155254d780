//! A certificate with its key from a PKCS#12 file (`.pfx`, `.p12`; RFC 7292), as Windows and key stores export it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p12_keystore::{Pkcs12Archive, error::Error};

use crate::{field::FieldError, secret::Secret};

use super::certificate::{ClientCertificate, MOST};

const FIELD: &str = "certificate";
/// The most keys and certificates that are looked at.
const ENTRIES: usize = 32;

/// Whether these bytes begin as a PKCS#12 file does, and as no PEM text does: an ASN.1 sequence with a long length.
pub fn is_pkcs12(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0x84, ..])
}

/// The bytes of a PKCS#12 file in base64, as it can be pasted into a form; `None` if the text is something else.
fn pkcs12_in_base64(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(packed).ok()?;
    is_pkcs12(&bytes).then_some(bytes)
}

impl ClientCertificate {
    /// From PEM, or from a PKCS#12 file in base64, which the password opens.
    pub fn from_text(text: &Secret, password: &Secret) -> Result<Self, FieldError> {
        match pkcs12_in_base64(text.expose()) {
            Some(bytes) => Self::from_pkcs12(&bytes, password),
            None => Self::from_pem(text),
        }
    }

    /// Of all keys and certificates in the file, the first RSA key with the certificate that belongs to it. The rest, such as
    /// the chain, is left out: Entra does not ask for it.
    pub fn from_pkcs12(bytes: &[u8], password: &Secret) -> Result<Self, FieldError> {
        let wrong = |reason: &str| FieldError::new(FIELD, reason);
        if bytes.len() > MOST {
            return Err(wrong("it is longer than 48 KiB; leave out the chain"));
        }
        let archive = Pkcs12Archive::from_pkcs12(bytes, password.expose()).map_err(|error| refused(&error))?;
        if archive.keys.is_empty() {
            return Err(wrong(
                "the PKCS#12 file holds no private key; export it again, with the private key",
            ));
        }
        if archive.certs.is_empty() {
            return Err(wrong("the PKCS#12 file holds a key and no certificate; export both"));
        }
        let mut why = None;
        for key in archive.keys.iter().take(ENTRIES) {
            for certificate in archive.certs.iter().take(ENTRIES) {
                let pem = Secret::new(format!(
                    "{}{}",
                    pem("CERTIFICATE", certificate.cert.as_der()),
                    pem("PRIVATE KEY", key.key.as_der())
                ));
                match Self::from_pem(&pem) {
                    Ok(found) => return Ok(found),
                    Err(error) => why = Some(error),
                }
            }
        }
        Err(why.unwrap_or_else(|| wrong("the PKCS#12 file holds nothing that can be used")))
    }
}

fn refused(error: &Error) -> FieldError {
    let reason = match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => {
            "the PKCS#12 file does not open: the password is wrong, or the file is damaged".to_owned()
        }
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm | Error::InvalidParameters => format!(
            "the PKCS#12 file is sealed in a way that is not opened here ({error}); make PEM of it: `openssl pkcs12 -in FILE -nodes -out both.pem`"
        ),
        other => format!("it is no PKCS#12 file that can be read ({other})"),
    };
    FieldError::new(FIELD, reason)
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    lines.push_str(&format!("-----END {label}-----\n"));
    lines
}
