//! The archive over a directory: writes are durable before they are acknowledged; probed before work begins.

use std::{path::Path, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem};
use shared::ports::StoreError;

use super::OpenError;

/// So much must be writable when the archive is opened: one message part, not a forecast.
const PROBE_BYTES: usize = 256 * 1024;

/// Opens the archive in this directory, which exists, and checks that it can be written to.
///
/// Files get the process's default mode; what keeps others out is the directory's 0700.
pub fn open_archive(directory: &Path) -> Result<Arc<dyn ObjectStore>, OpenError> {
    probe(directory)?;
    let files = LocalFileSystem::new_with_prefix(directory)
        .map_err(|error| StoreError::CannotWrite(format!("the archive {}: {error}", directory.display())))?;
    // Files and their directories are synchronised: a record may only point at bytes that are there.
    Ok(Arc::new(files.with_fsync(true)))
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
