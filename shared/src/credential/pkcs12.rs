//! A certificate with its key from a PKCS#12 file (`.pfx`, `.p12`; RFC 7292), as Windows and key stores export it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p12_keystore::{Pkcs12Archive, error::Error};

use tokio::{sync::Semaphore, task::spawn_blocking};
use zeroize::Zeroizing;

use crate::{field::FieldError, secret::Secret};

use super::certificate::ClientCertificate;

const FIELD: &str = "certificate";
const PASSWORD: &str = "certificate password";
/// The most bytes of such a file: one with a key, its certificate and a chain has some 6,000.
const MOST: usize = 16 * 1024;
/// The most keys and certificates that are looked at.
const ENTRIES: usize = 32;
/// The most parts that may be sealed: each costs as many rounds as the file says. Files of OpenSSL and Windows have two.
const SEALED: usize = 8;
/// How a sealed part says so: PBES2, the ways of PKCS#12 itself, and scrypt, whose memory the file names (DER of RFC 8018,
/// RFC 7292 appendix C, RFC 7914).
const PBES2: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PKCS12_PBE: &[u8] = &[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
const SCRYPT: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
const AS_PEM: &str = "make PEM of it: `openssl pkcs12 -in FILE -nodes -out both.pem`";
/// One file at a time is opened: it costs a second, and nobody is in a hurry.
static ONE: Semaphore = Semaphore::const_new(1);

/// Whether these bytes begin as a PKCS#12 file does, and as no PEM text and no certificate does: an ASN.1 sequence that begins
/// with the version 3 (RFC 7292 section 4).
pub fn is_pkcs12(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x30, 0x80, 0x02, 0x01, 0x03, ..]
            | [0x30, 0x81, _, 0x02, 0x01, 0x03, ..]
            | [0x30, 0x82, _, _, 0x02, 0x01, 0x03, ..]
            | [0x30, 0x83, _, _, _, 0x02, 0x01, 0x03, ..]
    )
}

/// The bytes of a PKCS#12 file in base64, as it can be pasted into a form, with or without the lines that `certutil -encode`
/// puts around it; `None` if the text is something else.
fn pkcs12_in_base64(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let packed = Zeroizing::new(lines.flat_map(str::split_whitespace).collect::<String>());
    let bytes = STANDARD.decode(packed.as_bytes()).ok()?;
    is_pkcs12(&bytes).then_some(bytes)
}

impl ClientCertificate {
    /// From PEM, or from a PKCS#12 file in base64, which the password opens; beside the work of the runtime, since that costs
    /// as much as the file asks for. A password without such a file is told: it was meant for something.
    pub async fn from_text(text: &Secret, password: Option<&Secret>) -> Result<Self, FieldError> {
        let Some(bytes) = pkcs12_in_base64(text.expose()).map(Zeroizing::new) else {
            return match password {
                Some(_) => Err(FieldError::new(
                    PASSWORD,
                    "it goes with a PKCS#12 file; PEM text has none",
                )),
                None => Self::from_pem(text),
            };
        };
        let password = password.cloned().unwrap_or_else(|| Secret::new(""));
        let gone = || FieldError::new(FIELD, "it could not be read just now; try again");
        let _one = ONE.acquire().await.map_err(|_| gone())?;
        let read = spawn_blocking(move || Self::from_pkcs12(&bytes, &password)).await;
        read.map_err(|_| gone())?
    }

    /// Of all keys and certificates in the file, the first RSA key with the certificate that belongs to it. The rest, such as
    /// the chain, is left out: Entra does not ask for it.
    pub fn from_pkcs12(bytes: &[u8], password: &Secret) -> Result<Self, FieldError> {
        let wrong = |reason: &str| FieldError::new(FIELD, reason);
        if bytes.len() > MOST {
            return Err(wrong("it is longer than 16 KiB; export it without the chain"));
        }
        let has = |what: &[u8]| bytes.windows(what.len()).filter(|window| *window == what).count();
        if has(PBES2) + has(PKCS12_PBE) > SEALED || has(SCRYPT) > 0 {
            return Err(wrong(&format!(
                "the PKCS#12 file is sealed in a way that is not opened here; {AS_PEM}"
            )));
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
                let mut text = Zeroizing::new(String::new());
                pem(&mut text, "CERTIFICATE", certificate.cert.as_der());
                pem(&mut text, "PRIVATE KEY", key.key.as_der());
                match Self::from_pem(&Secret::new(text.as_str())) {
                    Ok(found) => return Ok(found),
                    Err(error) => why = Some(error),
                }
            }
        }
        Err(why.unwrap_or_else(|| wrong("the PKCS#12 file holds nothing that can be used")))
    }
}

fn refused(error: &Error) -> FieldError {
    match error {
        Error::MacError(_) | Error::UnpadError => FieldError::new(
            PASSWORD,
            "it does not open the PKCS#12 file: the password is wrong, or the file is damaged",
        ),
        other => FieldError::new(
            FIELD,
            format!("the PKCS#12 file is not opened here ({other}); {AS_PEM}"),
        ),
    }
}

/// RFC 7468. The text holds a key: it is made in one place, which is wiped.
fn pem(text: &mut Zeroizing<String>, label: &str, der: &[u8]) {
    let packed = Zeroizing::new(STANDARD.encode(der));
    // No copy is left behind by growing.
    text.reserve(packed.len() + packed.len() / 64 + 2 * label.len() + 64);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for (at, character) in packed.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
}
