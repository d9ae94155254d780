//! Freeing the archive of what no record names, and of what a killed process left half-written.

use std::{fs, io, path::Path};

use shared::{
    archive::Archive,
    import::reconcile::{ReconcileError, fence_of, nobody_below, orphans},
    ports::Ports,
    records::accounts::AccountRow,
};

/// Why it did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Archive or store said no.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// The directory could not be read or written.
    #[error("the archive {path}: {source}")]
    Directory {
        /// The directory of the account.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Removes objects of an account that no record names and files that were never finished; how many went.
pub(crate) async fn reconcile(
    ports: &Ports,
    archive: &Archive,
    directory: &Path,
    row: &AccountRow,
) -> Result<u64, Error> {
    let removed = orphans(ports, archive, row).await?;
    let fence = nobody_below(ports, row).await.map_err(ReconcileError::from)?;
    let path = directory.join(row.account.id.as_str());
    let halves = half_files(&path, fence).map_err(|source| Error::Directory {
        path: path.display().to_string(),
        source,
    })?;
    Ok(removed + halves)
}

/// Files that the archive was writing when its process died: it writes `NAME#1` and renames. The archive itself never
/// shows them.
fn half_files(account: &Path, fence: i64) -> io::Result<u64> {
    let mut removed = 0;
    for message in entries(account)? {
        for attempt in entries(&message)? {
            let name = attempt.file_name().unwrap_or_default().to_string_lossy();
            if fence_of(&name).is_some_and(|made_under| made_under < fence) {
                removed += remove_halves(&attempt)?;
                remove_halves(&attempt.join("attachments")).map(|more| removed += more)?;
                // Only an empty directory goes.
                let _ = fs::remove_dir(attempt.join("attachments"));
                let _ = fs::remove_dir(&attempt);
            }
        }
    }
    Ok(removed)
}

fn remove_halves(directory: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for file in entries(directory)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let half = name
            .rsplit_once('#')
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        if half && file.is_file() {
            fs::remove_file(&file)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// What is in a directory; nothing if it is not there.
fn entries(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::half_files;

    #[test]
    fn half_files_of_dead_runs_go_and_whole_ones_and_those_at_work_stay() {
        let at = tempfile::tempdir().unwrap();
        let account = at.path().join("desk");
        for file in [
            "k/3-0/message.eml",
            "k/3-0/message.eml#1",
            "k/3-0/attachments/001-a.pdf#12",
            "k/4-0/message.eml#1",
            "m/2-0/message.eml#1",
        ] {
            let path = account.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        assert_eq!(half_files(&account, 4).unwrap(), 3);
        assert!(account.join("k/3-0/message.eml").exists());
        assert!(account.join("k/4-0/message.eml#1").exists(), "fence 4 may be at work");
        assert!(!account.join("m/2-0").exists(), "an empty attempt goes, too");
        assert_eq!(half_files(&at.path().join("nobody"), 4).unwrap(), 0);
    }
}
