//! The archive over a directory: files that become durable many at a time; probed before work begins.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures::future::try_join_all;
use object_store::{ObjectStore, local::LocalFileSystem};
use shared::{archive::Settle, ports::StoreError};
use tokio::task::spawn_blocking;

use super::OpenError;

/// So much must be writable when the archive is opened: one message part, not a forecast.
const PROBE_BYTES: usize = 256 * 1024;

/// How many files are waited for at once: the disk writes them together.
const AT_ONCE: usize = 8;

/// Opens the archive in this directory, which exists, and checks that it can be written to.
///
/// Files get the process's default mode; what keeps others out is the directory's 0700.
pub fn open_archive(directory: &Path) -> Result<Arc<dyn ObjectStore>, OpenError> {
    probe(directory)?;
    let files = LocalFileSystem::new_with_prefix(directory)
        .map_err(|error| StoreError::CannotWrite(format!("the archive {}: {error}", directory.display())))?;
    // Not synchronised one by one: before a record points at bytes, `Files` makes them durable.
    Ok(Arc::new(files))
}

/// The same directory, for making what was written there durable.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Of the archive in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { root: directory.into() }
    }
}

#[async_trait]
impl Settle for Files {
    async fn settle(&self, paths: &[String]) -> object_store::Result<()> {
        let (root, paths) = (self.root.clone(), paths.to_vec());
        let found = blocking(move || found(&root, &paths)).await?;
        // First the bytes, then the names under which they are found.
        let chunk = found.files.len().div_ceil(AT_ONCE).max(1);
        let chunks: Vec<Vec<PathBuf>> = found.files.chunks(chunk).map(<[_]>::to_vec).collect();
        try_join_all(chunks.into_iter().map(|files| blocking(move || synchronise(&files)))).await?;
        blocking(move || synchronise(&found.directories)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> object_store::Result<T> {
    let failed = |source| object_store::Error::Generic {
        store: "directory",
        source,
    };
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(error.into())),
        Err(error) => Err(failed(error.into())),
    }
}

/// What has to reach the disk.
struct Found {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

/// Everything below these paths, and the directories that lead to them.
fn found(root: &Path, paths: &[String]) -> io::Result<Found> {
    let (mut files, mut directories) = (Vec::new(), BTreeSet::from([root.to_owned()]));
    for path in paths {
        // Objects are called by safe characters alone, so their paths are those of files.
        let mut here = root.to_owned();
        for part in path.split('/') {
            here.push(part);
            directories.insert(here.clone());
        }
        let mut open = vec![here];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    directories.insert(entry.path());
                    open.push(entry.path());
                } else {
                    files.push(entry.path());
                }
            }
        }
    }
    Ok(Found {
        files,
        directories: directories.into_iter().collect(),
    })
}

/// Waits until these files or directories are on the disk. Where directories cannot be opened (Windows), their entries are
/// durable with the file.
fn synchronise(paths: &[PathBuf]) -> io::Result<()> {
    for path in paths {
        if cfg!(unix) || !path.is_dir() {
            File::options()
                .read(true)
                .write(cfg!(windows))
                .open(path)
                .and_then(|file| file.sync_all())
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        }
    }
    Ok(())
}

/// Writes and removes a file, so that a full or read-only disk is told now and not in the middle of a run.
fn probe(directory: &Path) -> Result<(), OpenError> {
    // One per process: several may start at once. The archive ignores names it did not make.
    let path = directory.join(format!(".probe-{}", std::process::id()));
    let written = super::private_file::private_options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &vec![0; PROBE_BYTES]));
    let removed = std::fs::remove_file(&path);
    written.and(removed).map_err(|error| {
        let text = format!(
            "the archive {}: {error}; make it writable for this user and free some space",
            directory.display()
        );
        OpenError::Store(StoreError::CannotWrite(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_lies_below_and_what_leads_there_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for name in [
            "a/m1/1-0/message.eml",
            "a/m1/1-0/attachments/001",
            "a/m2/1-4/message.eml",
        ] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), name).unwrap();
        }
        let mut found = found(root, &["a/m1/1-0".to_owned()]).unwrap();
        found.files.sort();
        let below = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
        assert_eq!(
            found.files,
            below(&["a/m1/1-0/attachments/001", "a/m1/1-0/message.eml"])
        );
        assert_eq!(
            found.directories,
            below(&["", "a", "a/m1", "a/m1/1-0", "a/m1/1-0/attachments"])
        );
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_settled() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path());
        fs::create_dir_all(directory.path().join("a/m1/1-0")).unwrap();
        files.settle(&["a/m1/1-0".to_owned()]).await.unwrap();
        assert!(files.settle(&["a/m1/1-4".to_owned()]).await.is_err());
    }
}
