//! The data directory: where it is, what lies where in it, who may look, who is at work in it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use shared::ports::{Obituary, Rng};

use super::{OpenError, private_file};

/// Every instance name of one machine begins so; others are not ours to judge.
const INSTANCE_PREFIX: &str = "local-";

/// An opened data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The platform's place for it. `lookup` reads the environment.
    ///
    /// Linux and the like: `$XDG_DATA_HOME/postroom`, else `$HOME/.local/share/postroom` (XDG Base Directory
    /// Specification; a relative `XDG_DATA_HOME` is ignored, as it says). macOS: `~/Library/Application Support/postroom`.
    /// Windows: `%LOCALAPPDATA%\postroom`.
    pub fn default_path(lookup: impl Fn(&str) -> Option<String>) -> Result<PathBuf, OpenError> {
        let path = |name: &'static str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = |name| path(name).ok_or(OpenError::NoHome(name));
        if cfg!(windows) {
            return Ok(home("LOCALAPPDATA")?.join("postroom"));
        }
        if cfg!(target_os = "macos") {
            return Ok(home("HOME")?.join("Library/Application Support/postroom"));
        }
        match path("XDG_DATA_HOME") {
            Some(data) => Ok(data.join("postroom")),
            None => Ok(home("HOME")?.join(".local/share/postroom")),
        }
    }

    /// Opens it, making what is missing with mode 0700. A directory others may write to is refused: they could put a
    /// database or a key in our way.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let root = std::path::absolute(root).map_err(OpenError::io("find", root))?;
        if root.exists() && !root.is_dir() {
            return Err(OpenError::NotADirectory {
                path: root,
                reason: "it is a file".into(),
            });
        }
        make(&root)?;
        let data_dir = Self { root };
        for path in [data_dir.archive(), data_dir.events(), data_dir.locks()] {
            make(&path)?;
        }
        Ok(data_dir)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database of the store.
    pub fn database(&self) -> PathBuf {
        self.root.join("postroom.db")
    }

    /// The lock all processes with the database open share.
    pub fn database_lock(&self) -> PathBuf {
        self.locks().join("database.lock")
    }

    /// The files of the vault.
    pub fn secrets(&self) -> super::SealedPaths {
        let file = |name| self.root.join(name);
        super::SealedPaths {
            sealed: file("secrets.sealed"),
            key: file("secrets.key"),
            lock: file("secrets.lock"),
        }
    }

    /// The directory of the archive.
    pub fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    /// The directory of the event log.
    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The directory of the locks.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Takes the right to serve this directory; it is given back when the answer is dropped or the process dies.
    pub fn serve_lock(&self) -> Result<ServeLock, OpenError> {
        let path = self.root.join("serve.lock");
        let mut file = private_file::open_or_create(&path).map_err(OpenError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                return Err(OpenError::Serving {
                    path: self.root.clone(),
                    pid,
                });
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::io("lock", &path)(source)),
        }
        // For the message of whoever comes second; the lock itself is the operating system's.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(OpenError::io("write", &path))?;
        Ok(ServeLock { _file: file })
    }

    /// Registers this process under a new name, and sweeps away the traces of dead ones.
    pub fn register(&self, rng: &dyn Rng) -> Result<Instance, OpenError> {
        let locks = self.locks();
        sweep(&locks);
        let name = format!("{INSTANCE_PREFIX}{}-{}", std::process::id(), rng.hex(8));
        // Locked before it gets the name that others look at: nobody ever sees it unlocked while we live.
        let (hidden, path) = (locks.join(format!("{name}.new")), locks.join(format!("{name}.lock")));
        let file = private_file::open_or_create(&hidden).map_err(OpenError::io("create", &hidden))?;
        file.lock().map_err(OpenError::io("lock", &hidden))?;
        std::fs::rename(&hidden, &path).map_err(OpenError::io("create", &path))?;
        Ok(Instance {
            name: name.into(),
            path,
            _file: file,
        })
    }

    /// Says whether an instance of this directory is dead: its lock is free, or gone.
    pub fn obituary(&self) -> Obituary {
        let locks = self.locks();
        Arc::new(move |instance| {
            let ours = instance.starts_with(INSTANCE_PREFIX)
                && instance
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if !ours {
                return false;
            }
            match File::open(locks.join(format!("{instance}.lock"))) {
                // Shared, so that two who ask at once do not take each other for the holder.
                Ok(file) => file.try_lock_shared().is_ok(),
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
            }
        })
    }
}

/// The right to serve a data directory.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

/// This process, as others know it: alive as long as this is kept.
#[derive(Debug)]
pub struct Instance {
    name: Arc<str>,
    path: PathBuf,
    _file: File,
}

impl Instance {
    /// The name leases are signed with.
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Left behind it would only be swept up later.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn make(path: &Path) -> Result<(), OpenError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(OpenError::io("create", path))?;
    match private_file::bits_for_others(path, 0o022).map_err(OpenError::io("look at", path))? {
        None => Ok(()),
        Some(mode) => Err(OpenError::TooOpen {
            path: path.to_owned(),
            mode: mode & 0o777,
            wanted: 0o700,
        }),
    }
}

/// Removes the lock files of dead instances. What cannot be removed is left: it harms nobody.
fn sweep(locks: &Path) {
    let Ok(entries) = std::fs::read_dir(locks) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let instance =
            name.starts_with(INSTANCE_PREFIX) && path.extension().is_some_and(|extension| extension == "lock");
        if instance && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DataDir;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_default_follows_the_xdg_specification() {
        let path = |data: Option<&str>, home: Option<&str>| {
            DataDir::default_path(|name| match name {
                "XDG_DATA_HOME" => data.map(Into::into),
                "HOME" => home.map(Into::into),
                _ => None,
            })
        };
        assert_eq!(
            path(Some("/data"), Some("/home/a")).unwrap().to_str(),
            Some("/data/postroom")
        );
        assert_eq!(
            path(Some("relative"), Some("/home/a")).unwrap().to_str(),
            Some("/home/a/.local/share/postroom")
        );
        assert!(path(None, None).unwrap_err().to_string().contains("--data-dir"));
    }
}
