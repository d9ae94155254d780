//! Why the data directory, or something in it, could not be opened: what, why, and where to fix it.

use std::{
    io,
    path::{Path, PathBuf},
};

use shared::ports::{StoreError, VaultError};

/// Why the adapters could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error("cannot {action} {path}: {source}{}", advice(.source))]
    Io {
        /// What was tried, for example `create`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than the owner could read or change what is here.
    #[error("{path} is open to others (mode {mode:o}): run `chmod {wanted:o} {path}`")]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it must have.
        wanted: u32,
    },
    /// No default data directory can be worked out.
    #[error("no place for the data directory: {0} is not set; name one with --data-dir or POSTROOM_DATA_DIR")]
    NoHome(&'static str),
    /// The data directory is not a usable path.
    #[error("{path} cannot be the data directory: {reason}")]
    NotADirectory {
        /// The path.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// Another `serve` works on this data directory.
    #[error("{path} is served already{}: stop that one first, or use another data directory", .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Serving {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it, if it could be read.
        pid: Option<u32>,
    },
    /// The file was written by a newer Postroom.
    #[error(
        "{path} was made by a newer Postroom (format {found}, this one knows up to {known}): use that version, nothing was changed"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// The file belongs to something else.
    #[error("{path} is not a Postroom {what}: nothing was changed; name another data directory")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file with additional certificate authorities.
    #[error(
        "the certificate authorities in {path} cannot be used: {reason}; it must hold certificates in PEM (set by POSTROOM_CA_FILE)"
    )]
    CaFile {
        /// The file.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl OpenError {
    /// Names what was tried on what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Where to fix it, if the system's word tells.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable for this user, or name another data directory"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        _ => "",
    }
}
