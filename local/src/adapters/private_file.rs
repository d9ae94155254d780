//! Files for the owner's eyes only, replaced as a whole and durably: temp file, fsync, rename, fsync of the directory.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// Options that make new files with mode 0600 (on Windows the profile folder's own rights do that).
pub(super) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens for reading and writing, making an empty file if there is none.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    private_options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Replaces the file: whoever reads sees the old content or the new, also after a power cut. Not for two writers at
/// once: the caller holds a lock.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let written = private_options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    if let Err(error) = written.and_then(|()| std::fs::rename(temporary, path)) {
        // Half a file must not stay behind and fill the disk further; the first error is the one to tell.
        let _ = std::fs::remove_file(temporary);
        return Err(error);
    }
    sync_parent(path)
}

/// Makes what happened to the name `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        return File::open(parent)?.sync_all();
    }
    let _ = path;
    Ok(())
}

/// The permission bits of group and others that `path` has and should not: `None` is well.
#[cfg(unix)]
pub(super) fn bits_for_others(path: &Path, refused: u32) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok((mode & refused != 0).then_some(mode))
}

/// Windows keeps a user's folders private by access lists, which are not judged here.
#[cfg(not(unix))]
pub(super) fn bits_for_others(_path: &Path, _refused: u32) -> io::Result<Option<u32>> {
    Ok(None)
}
