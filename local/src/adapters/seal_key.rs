//! Where the key of the sealed file comes from: key file, keyring, or passphrase. Never makes a key over an existing file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use shared::{
    ports::{Rng, VaultError},
    secret::Secret,
};
use zeroize::Zeroizing;

use super::{
    keyring, private_file,
    sealed_format::{Derivation, Header, KeySource, SealKey},
};

/// Asks for the passphrase: from a file, or from the person at the terminal. The error says why there is none.
pub type Passphrase = Arc<dyn Fn() -> Result<Secret, String> + Send + Sync>;

/// The places keys are looked for.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) key_file: PathBuf,
    pub(super) sealed_file: PathBuf,
    pub(super) passphrase: Option<Passphrase>,
}

/// A new key that is durable in its place, but not yet the one the sealed file names.
pub(super) struct NewKey {
    pub(super) key: SealKey,
    pub(super) argon2id: Option<Derivation>,
}

impl Keys {
    /// The key this header asks for.
    pub(super) fn find(&self, header: &Header) -> Result<SealKey, VaultError> {
        let id = &header.key_id;
        let sealed = self.sealed_file.display();
        let key = match header.key_source {
            KeySource::KeyFile => return self.find_in_file(id),
            KeySource::Keyring => {
                let text = keyring::read(id).map_err(|reason| {
                    VaultError::Damaged(format!(
                        "{sealed} needs the key {id} from the keyring: {reason}; no new key was made"
                    ))
                })?;
                SealKey::from_hex(&text)
                    .ok_or_else(|| VaultError::Damaged(format!("the keyring's entry for key {id} is no key")))?
            }
            KeySource::Passphrase => {
                let derivation = header
                    .argon2id
                    .as_ref()
                    .ok_or_else(|| VaultError::Damaged(format!("{sealed} does not say how its passphrase is used")))?;
                let passphrase = self.ask(&format!("{sealed} is sealed with a passphrase"))?;
                derivation
                    .key(&passphrase)
                    .map_err(|reason| VaultError::Damaged(format!("{sealed}: {reason}")))?
            }
        };
        if key.id() == *id {
            return Ok(key);
        }
        Err(VaultError::Damaged(match header.key_source {
            KeySource::Passphrase => {
                format!("the passphrase is not the one {sealed} was sealed with")
            }
            _ => format!(
                "{sealed} was sealed with the key {id}, the keyring holds the key {}; restore the right one",
                key.id()
            ),
        }))
    }

    fn ask(&self, why: &str) -> Result<Secret, VaultError> {
        let passphrase = self
            .passphrase
            .as_ref()
            .ok_or_else(|| VaultError::Denied(format!("{why}, and none was given")))?;
        let passphrase = passphrase().map_err(|reason| VaultError::Denied(format!("{why}: {reason}")))?;
        if passphrase.is_empty() {
            Err(VaultError::Denied(format!("{why}; it must not be empty")))
        } else {
            Ok(passphrase)
        }
    }

    fn find_in_file(&self, id: &str) -> Result<SealKey, VaultError> {
        let (sealed, path) = (self.sealed_file.display(), self.key_file.display());
        // A rewrap that died between its two renames has left the right key under the second name.
        // The first is looked at again last: the second may have taken its name in between.
        let found = [self.key_file.clone(), self.next_key_file(), self.key_file.clone()]
            .iter()
            .map(|path| read_key(path))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(key) = found.iter().flatten().find(|key| key.id() == id) {
            return Ok(key.clone());
        }
        Err(VaultError::Damaged(match found.into_iter().flatten().next() {
            Some(other) => format!(
                "{sealed} was sealed with the key {id}, but {path} holds the key {}; restore the right key file",
                other.id()
            ),
            None => format!(
                "{path} is missing, and {sealed} cannot be opened without it (key {id}): restore the key file from a backup. No new key was made. \
                 If it is lost for good, move {sealed} away and enter the client secrets again"
            ),
        }))
    }

    /// Makes a key for a sealed file that does not exist yet, or is about to be sealed anew; durable before it is used.
    pub(super) fn make(&self, source: KeySource, rng: &dyn Rng) -> Result<NewKey, VaultError> {
        match source {
            KeySource::KeyFile => {
                // A key without a sealed file is kept: the file may come back from a backup.
                if !self.sealed_file.exists()
                    && let Some(key) = read_key(&self.key_file)?
                {
                    return Ok(NewKey { key, argon2id: None });
                }
                let key = SealKey::random(rng);
                let path = self.next_key_file();
                let text = Zeroizing::new(format!("{}\n", key.to_hex().as_str()));
                private_file::replace(&path, text.as_bytes()).map_err(|error| cannot_write(&path, &error))?;
                Ok(NewKey { key, argon2id: None })
            }
            KeySource::Keyring => {
                let key = SealKey::random(rng);
                keyring::write(&key.id(), &key.to_hex()).map_err(|reason| {
                    VaultError::Unavailable(format!("the keyring does not take the key: {reason}"))
                })?;
                Ok(NewKey { key, argon2id: None })
            }
            KeySource::Passphrase => {
                let derivation = Derivation::new(rng);
                let passphrase = self.ask("a passphrase is wanted as the key source")?;
                let key = derivation.key(&passphrase).map_err(VaultError::Damaged)?;
                Ok(NewKey {
                    key,
                    argon2id: Some(derivation),
                })
            }
        }
    }

    /// Puts things in order once the sealed file names the key: the new key file takes its name, a superseded one goes.
    ///
    /// `id` is the key the sealed file names now. A next key file with another id belongs to a rewrap that died before it
    /// sealed anything: it must not take the place of the key that counts.
    pub(super) fn settle(&self, source: KeySource, id: &str, before: Option<&Header>) -> Result<(), VaultError> {
        let next = self.next_key_file();
        if source == KeySource::KeyFile {
            if read_key(&next)?.is_some_and(|key| key.id() == id) {
                std::fs::rename(&next, &self.key_file).map_err(|error| cannot_write(&self.key_file, &error))?;
                private_file::sync_parent(&self.key_file).map_err(|error| cannot_write(&self.key_file, &error))?;
            }
        } else if before.is_some_and(|header| header.key_source == KeySource::KeyFile) && self.key_file.exists() {
            std::fs::remove_file(&self.key_file).map_err(|error| cannot_write(&self.key_file, &error))?;
        }
        if let Some(header) = before.filter(|header| header.key_source == KeySource::Keyring) {
            // An entry left over in the keyring opens nothing any more; failing to remove it must not fail the rewrap.
            if let Err(reason) = keyring::remove(&header.key_id) {
                tracing::warn!(key = header.key_id, reason, "the superseded key stays in the keyring");
            }
        }
        Ok(())
    }

    fn next_key_file(&self) -> PathBuf {
        let mut path = self.key_file.as_os_str().to_owned();
        path.push(".next");
        path.into()
    }
}

fn read_key(path: &Path) -> Result<Option<SealKey>, VaultError> {
    match private_file::bits_for_others(path, 0o077) {
        Ok(None) => {}
        Ok(Some(mode)) => {
            let path = path.display();
            return Err(VaultError::Denied(format!(
                "{path} can be read by others (mode {mode:o}): run `chmod 600 {path}`"
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(VaultError::Denied(format!(
                "cannot look at {}: {error}",
                path.display()
            )));
        }
    }
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| VaultError::Denied(format!("cannot read {}: {error}", path.display())))?;
    let key = SealKey::from_hex(&text).ok_or_else(|| {
        VaultError::Damaged(format!(
            "{} is no key: it must hold 64 hexadecimal digits",
            path.display()
        ))
    })?;
    Ok(Some(key))
}

/// What a failed write means to the contract.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> VaultError {
    let text = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            VaultError::Denied(format!("{text}; make the directory writable for this user"))
        }
        _ => VaultError::Unavailable(format!("{text}; what was saved before stays")),
    }
}
