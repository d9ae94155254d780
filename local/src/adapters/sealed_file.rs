//! The vault in one sealed file: read-modify-write under an operating system lock, replaced as a whole.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use shared::{
    memory::{check_name, check_value},
    ports::{Clock, Rng, SecretName, SecretVersion, Stage, Vault, VaultEntry, VaultError},
    secret::Secret,
};
use zeroize::Zeroizing;

use super::{
    private_file,
    seal_key::{Keys, Passphrase, cannot_write},
    sealed_body::{Body, Now},
    sealed_format::{self, FORMAT, FormatError, Header, KeySource, SealKey},
};

/// Larger than any vault of ours; a larger file is not ours and not worth reading into memory.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The files of a sealed vault.
#[derive(Debug, Clone)]
pub struct SealedPaths {
    /// The sealed file.
    pub sealed: PathBuf,
    /// The key file, if the key source is one.
    pub key: PathBuf,
    /// The lock.
    pub lock: PathBuf,
}

/// Secrets in one sealed file.
#[derive(Clone)]
pub struct SealedVault {
    inner: Arc<Inner>,
    /// Keeps callers of one process from queueing up on threads in front of the file lock.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Inner {
    paths: SealedPaths,
    keys: Keys,
    key: Mutex<Option<SealKey>>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl SealedVault {
    /// Opens the vault, and makes an empty one with a new key if there is neither sealed file nor key.
    ///
    /// `wanted` is the key source asked for: `None` takes what the file says, and a key file for a new one. A file with
    /// another source is refused: changing it is [`SealedVault::rewrap`]'s.
    pub fn open(
        paths: SealedPaths,
        wanted: Option<KeySource>,
        passphrase: Option<Passphrase>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, VaultError> {
        let keys = Keys {
            key_file: paths.key.clone(),
            sealed_file: paths.sealed.clone(),
            passphrase,
        };
        let inner = Inner {
            paths,
            keys,
            key: Mutex::new(None),
            clock,
            rng,
        };
        inner.locked(|inner| {
            if let Some((header, _)) = inner.load()? {
                inner.keys.settle(header.key_source, &header.key_id, None)?;
                return match wanted.filter(|wanted| *wanted != header.key_source) {
                    None => Ok(()),
                    Some(wanted) => Err(VaultError::Denied(format!(
                        "{} takes its key from {}, not from {}; change that with a rewrap",
                        inner.paths.sealed.display(),
                        header.key_source.name(),
                        wanted.name()
                    ))),
                };
            }
            inner.seal_with_new_key(wanted.unwrap_or(KeySource::KeyFile), None, &Body::default())
        })?;
        Ok(Self {
            inner: Arc::new(inner),
            turn: Arc::default(),
        })
    }

    /// Where the key comes from, by the file's own word.
    pub fn key_source(&self) -> Result<KeySource, VaultError> {
        self.inner.header().map(|header| header.key_source)
    }

    /// Seals everything with a new key from this source. Other processes find the new key by themselves. Blocks.
    ///
    /// `passphrase` is the new one, if the source is a passphrase. Afterwards this handle still asks for keys as before:
    /// open a new one.
    pub fn rewrap(&self, source: KeySource, passphrase: Option<Passphrase>) -> Result<(), VaultError> {
        self.inner.locked(|inner| {
            let Some((header, body)) = inner.load()? else {
                return Err(gone(&inner.paths.sealed));
            };
            let keys = Keys {
                passphrase,
                ..inner.keys.clone()
            };
            let changed = Inner {
                paths: inner.paths.clone(),
                keys,
                key: Mutex::new(None),
                clock: inner.clock.clone(),
                rng: inner.rng.clone(),
            };
            changed.seal_with_new_key(source, Some(&header), &body)
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let turn = self.turn.clone().lock_owned().await;
        let inner = self.inner.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&inner)
        });
        done.await
            .map_err(|error| VaultError::Unavailable(format!("the vault's thread failed: {error}")))?
    }

    /// Reads, changes and writes under the lock.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Body, &Inner) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        self.run(|inner| {
            inner.locked(|inner| {
                let Some((header, mut body)) = inner.load()? else {
                    return Err(gone(&inner.paths.sealed));
                };
                let answer = change(&mut body, inner)?;
                let key = inner.key_of(&header)?;
                inner.save(header.key_source, header.argon2id, &key, &body)?;
                Ok(answer)
            })
        })
        .await
    }
}

fn gone(sealed: &Path) -> VaultError {
    VaultError::Damaged(format!(
        "{} is gone although it was there: restore it, or start again to begin with an empty one",
        sealed.display()
    ))
}

impl Inner {
    /// Runs the work while no other process or thread writes.
    fn locked<T>(&self, work: impl FnOnce(&Self) -> Result<T, VaultError>) -> Result<T, VaultError> {
        let path = &self.paths.lock;
        let file = private_file::open_or_create(path).map_err(|error| cannot_write(path, &error))?;
        file.lock()
            .map_err(|error| VaultError::Unavailable(format!("cannot lock {}: {error}", path.display())))?;
        let answer = work(self);
        drop(file);
        answer
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>, VaultError> {
        let path = self.paths.sealed.display();
        match std::fs::metadata(&self.paths.sealed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() > FILE_BYTES => {
                return Err(VaultError::Damaged(format!("{path} is too large to be a sealed file")));
            }
            _ => {}
        }
        std::fs::read(&self.paths.sealed)
            .map(Some)
            .map_err(|error| VaultError::Unavailable(format!("cannot read {path}: {error}")))
    }

    fn explain(&self, error: FormatError) -> VaultError {
        let path = self.paths.sealed.display();
        VaultError::Damaged(match error {
            FormatError::NoHeader => {
                format!("{path} is no sealed file, or its beginning is damaged: restore it from a backup")
            }
            FormatError::Newer(found) => format!(
                "{path} was sealed by a newer Postroom (format {found}, this one knows up to {FORMAT}): use that version"
            ),
            FormatError::NotAuthentic => {
                format!("{path} was changed or damaged after it was sealed: restore it from a backup")
            }
        })
    }

    fn header(&self) -> Result<Header, VaultError> {
        let bytes = self.bytes()?.ok_or_else(|| gone(&self.paths.sealed))?;
        sealed_format::header(&bytes)
            .map(|(header, _)| header)
            .map_err(|error| self.explain(error))
    }

    /// The key this header names: the one at hand, or a look for it if another process has sealed anew.
    fn key_of(&self, header: &Header) -> Result<SealKey, VaultError> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = key.as_ref().filter(|key| key.id() == header.key_id) {
            return Ok(key.clone());
        }
        let found = self.keys.find(header)?;
        *key = Some(found.clone());
        Ok(found)
    }

    fn load(&self) -> Result<Option<(Header, Body)>, VaultError> {
        let Some(bytes) = self.bytes()? else {
            return Ok(None);
        };
        let (header, end) = sealed_format::header(&bytes).map_err(|error| self.explain(error))?;
        let key = self.key_of(&header)?;
        let body = sealed_format::unseal(&bytes, &header, end, &key).map_err(|error| self.explain(error))?;
        let body = serde_json::from_slice(&body).map_err(|_| self.explain(FormatError::NotAuthentic))?;
        Ok(Some((header, body)))
    }

    fn save(
        &self,
        source: KeySource,
        argon2id: Option<sealed_format::Derivation>,
        key: &SealKey,
        body: &Body,
    ) -> Result<(), VaultError> {
        let text = serde_json::to_vec(body)
            .map(Zeroizing::new)
            .map_err(|error| VaultError::Unavailable(error.to_string()))?;
        let bytes =
            sealed_format::seal(source, argon2id, key, &text, &*self.rng).map_err(|error| self.explain(error))?;
        private_file::replace(&self.paths.sealed, &bytes).map_err(|error| cannot_write(&self.paths.sealed, &error))
    }

    /// The order matters: the new key is durable before the file that needs it, the old one goes only after.
    fn seal_with_new_key(&self, source: KeySource, before: Option<&Header>, body: &Body) -> Result<(), VaultError> {
        let new = self.keys.make(source, &*self.rng)?;
        self.save(source, new.argon2id, &new.key, body)?;
        self.keys.settle(source, &new.key.id(), before)?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(new.key);
        Ok(())
    }

    fn now(&self) -> Now<'_> {
        Now {
            time: self.clock.now(),
            rng: &*self.rng,
        }
    }
}

#[async_trait]
impl Vault for SealedVault {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        check_name(name)?;
        let name = name.clone();
        self.run(move |inner| {
            // Reading needs no lock, but for the moment in which another process exchanges key and file.
            let loaded = inner.load().or_else(|_| inner.locked(Inner::load))?;
            let (_, body) = loaded.ok_or_else(|| gone(&inner.paths.sealed))?;
            Ok(body.read(&name, stage))
        })
        .await
    }

    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        Ok(self.read(name, Stage::Current).await?.map(|entry| entry.version))
    }

    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        check_name(name)?;
        check_value(name, value)?;
        let (name, value, expected) = (name.clone(), value.clone(), expected.cloned());
        self.change(move |body, inner| body.put(&name, &value, expected.as_ref(), &inner.now()))
            .await
    }

    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        check_name(name)?;
        check_value(name, value)?;
        let (name, value) = (name.clone(), value.clone());
        self.change(move |body, inner| body.stage(&name, &value, &inner.now()))
            .await
    }

    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        check_name(name)?;
        let (name, version, expected) = (name.clone(), version.clone(), expected.cloned());
        self.change(move |body, _| body.promote(&name, &version, expected.as_ref()))
            .await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        check_name(name)?;
        let name = name.clone();
        self.change(move |body, _| {
            body.remove(&name);
            Ok(())
        })
        .await
    }
}
