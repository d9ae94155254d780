//! The format of the sealed file: one line of JSON that says how it is sealed, then the sealed body.
//!
//! The header line is authenticated together with the body, so neither can be exchanged or changed unnoticed.
//! Cipher: `XChaCha20-Poly1305` (draft-irtf-cfrg-xchacha-03), whose 24-byte nonce may be random for every write.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use shared::{ports::Rng, secret::Secret};
use zeroize::Zeroizing;

/// The newest format this program knows.
pub(super) const FORMAT: u32 = 1;
const KIND: &str = "postroom secrets";
const CIPHER: &str = "XChaCha20-Poly1305";

/// Where the key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// A file beside the sealed one, mode 0600: protects backups and copies of the sealed file, not against whoever reads the whole directory.
    KeyFile,
    /// The operating system's keyring.
    Keyring,
    /// A passphrase, through argon2id.
    Passphrase,
}

impl KeySource {
    /// As it stands in the header and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyFile => "key-file",
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
        }
    }
}

/// A key of 32 bytes; wiped when dropped.
#[derive(Clone)]
pub(super) struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// A new random key.
    pub(super) fn random(rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Self(bytes)
    }

    /// From 64 hexadecimal digits; white space around them is fine.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// As 64 hexadecimal digits: for the key file and the keyring.
    pub(super) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// A name of the key that tells nothing about it.
    pub(super) fn id(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"postroom key id")
            .chain_update(self.0.as_slice())
            .finalize();
        digest[..8]
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// How a key is derived from a passphrase: argon2id (RFC 9106), with the parameters kept so that they can grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Derivation {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

impl Derivation {
    /// OWASP's minimum memory (19 MiB, which fits our memory goal) with one pass more than it asks for, and a new salt.
    pub(super) fn new(rng: &dyn Rng) -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 3,
            lanes: 1,
            salt: rng.hex(16),
        }
    }

    /// The key, or why not. The bounds keep a doctored header from eating the machine before it can be recognised.
    pub(super) fn key(&self, passphrase: &Secret) -> Result<SealKey, String> {
        if self.memory_kib > 256 * 1024 || self.passes > 20 || self.lanes > 4 {
            return Err("the header asks for an unreasonable key derivation".into());
        }
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|error| error.to_string())?;
        let mut bytes = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), self.salt.as_bytes(), bytes.as_mut())
            .map_err(|error| error.to_string())?;
        Ok(SealKey(bytes))
    }
}

/// The first line of a sealed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    kind: String,
    format: u32,
    cipher: String,
    pub(super) key_source: KeySource,
    pub(super) key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) argon2id: Option<Derivation>,
    nonce: String,
}

/// Why a file is no sealed file of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormatError {
    /// Not the beginning of a sealed file.
    NoHeader,
    /// A format from the future.
    Newer(u32),
    /// Key and file do not fit together, or the file was changed.
    NotAuthentic,
}

/// Seals the body under the key.
pub(super) fn seal(
    key_source: KeySource,
    argon2id: Option<Derivation>,
    key: &SealKey,
    body: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>, FormatError> {
    let mut nonce = [0; 24];
    rng.fill(&mut nonce);
    let nonce_hex = nonce
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let header = Header {
        kind: KIND.into(),
        format: FORMAT,
        cipher: CIPHER.into(),
        key_source,
        key_id: key.id(),
        argon2id,
        nonce: nonce_hex,
    };
    let mut file = serde_json::to_vec(&header).map_err(|_| FormatError::NoHeader)?;
    file.push(b'\n');
    let cipher = XChaCha20Poly1305::new(key.0.as_slice().into());
    let sealed = cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: body, aad: &file })
        .map_err(|_| FormatError::NotAuthentic)?;
    file.extend_from_slice(&sealed);
    Ok(file)
}

/// Reads the header line; answers it and how many bytes it takes.
pub(super) fn header(file: &[u8]) -> Result<(Header, usize), FormatError> {
    let end = file
        .iter()
        .take(4096)
        .position(|byte| *byte == b'\n')
        .ok_or(FormatError::NoHeader)?
        + 1;
    // The version is looked at first: a later format may have other fields.
    let version: serde_json::Value = serde_json::from_slice(&file[..end]).map_err(|_| FormatError::NoHeader)?;
    if version["kind"] != KIND {
        return Err(FormatError::NoHeader);
    }
    match version["format"].as_u64().and_then(|format| u32::try_from(format).ok()) {
        Some(FORMAT) => {}
        Some(newer) if newer > FORMAT => return Err(FormatError::Newer(newer)),
        _ => return Err(FormatError::NoHeader),
    }
    let header: Header = serde_json::from_value(version).map_err(|_| FormatError::NoHeader)?;
    if header.cipher == CIPHER {
        Ok((header, end))
    } else {
        Err(FormatError::NoHeader)
    }
}

/// Opens the body with the key. `header` and `end` are from [`header()`] on the same bytes.
pub(super) fn unseal(
    file: &[u8],
    header: &Header,
    end: usize,
    key: &SealKey,
) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let nonce: Vec<u8> = (0..header.nonce.len() / 2)
        .map(|at| {
            header
                .nonce
                .get(2 * at..2 * at + 2)
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        })
        .collect::<Option<_>>()
        .ok_or(FormatError::NoHeader)?;
    if nonce.len() != 24 {
        return Err(FormatError::NoHeader);
    }
    let cipher = XChaCha20Poly1305::new(key.0.as_slice().into());
    let payload = Payload {
        msg: &file[end..],
        aad: &file[..end],
    };
    cipher
        .decrypt(XNonce::from_slice(&nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| FormatError::NotAuthentic)
}

#[cfg(test)]
mod tests {
    use shared::memory::SeededRng;

    use super::{FormatError, KeySource, SealKey, header, seal, unseal};

    #[test]
    fn every_changed_bit_is_noticed() {
        let rng = SeededRng::new(1);
        let key = SealKey::random(&rng);
        let file = seal(KeySource::KeyFile, None, &key, b"body", &rng).unwrap();
        let (head, end) = header(&file).unwrap();
        assert_eq!(unseal(&file, &head, end, &key).unwrap().as_slice(), b"body");
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let opened = header(&changed).and_then(|(head, end)| unseal(&changed, &head, end, &key));
            assert!(opened.is_err(), "byte {at} can be changed");
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let file = b"{\"kind\":\"postroom secrets\",\"format\":7,\"other\":1}\nxyz";
        assert_eq!(header(file).unwrap_err(), FormatError::Newer(7));
    }

    #[test]
    fn keys_survive_hex() {
        let key = SealKey::random(&SeededRng::new(2));
        assert_eq!(SealKey::from_hex(&key.to_hex()).unwrap().id(), key.id());
        assert!(SealKey::from_hex("zz").is_none());
        assert!(SealKey::from_hex(&"é".repeat(32)).is_none());
    }
}
