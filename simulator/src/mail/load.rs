//! Reads mail from disk: directories of `.eml` files and mbox files, as bytes, whatever their charset.

use bytes::Bytes;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why mail could not be read from disk.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The path cannot be read.
    #[error("cannot read mail from {} (give a directory of .eml or mbox files)", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no mail below the path.
    #[error("no mail found in {}: expected .eml files, mbox files or one message per file", path.display())]
    Nothing {
        /// Where none was found.
        path: PathBuf,
    },
}

/// All messages of a file or of a directory and everything below it, in the order of the paths.
pub fn load(path: &Path) -> Result<Vec<Bytes>, LoadError> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.sort();
    let mut out = Vec::new();
    for file in &files {
        let bytes = fs::read(file).map_err(|source| LoadError::Unreadable {
            path: file.clone(),
            source,
        })?;
        out.extend(split(&bytes));
    }
    if out.is_empty() {
        return Err(LoadError::Nothing {
            path: path.to_path_buf(),
        });
    }
    Ok(out)
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            // A link may point back up: following none keeps the walk finite.
            let link = entry.file_type().map_err(unreadable)?.is_symlink();
            if !hidden && !link {
                collect(&entry.path(), into)?;
            }
        }
    } else {
        fs::metadata(path).map_err(unreadable)?;
        into.push(path.to_path_buf());
    }
    Ok(())
}

/// One message, or the messages of an mbox (RFC 4155; `>From ` is unquoted once, the mboxrd way).
fn split(bytes: &[u8]) -> Vec<Bytes> {
    if bytes.is_empty() {
        return Vec::new();
    }
    if !bytes.starts_with(b"From ") {
        return if looks_like_mail(bytes) {
            vec![Bytes::copy_from_slice(bytes)]
        } else {
            Vec::new()
        };
    }
    let mut out = Vec::new();
    let mut current: Vec<u8> = Vec::new();
    let mut blank_before = true;
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        at += line.len();
        // A paragraph may begin with "From " where a mailer did not quote it: a message begins with a header.
        let begins = blank_before && line.starts_with(b"From ") && looks_like_mail(bytes.get(at..).unwrap_or_default());
        if begins {
            finish(&mut current, &mut out);
        } else {
            let signs = line.iter().take_while(|b| **b == b'>').count();
            let quoted = signs > 0 && line.get(signs..).is_some_and(|rest| rest.starts_with(b"From "));
            current.extend_from_slice(if quoted {
                line.get(1..).unwrap_or_default()
            } else {
                line
            });
        }
        blank_before = matches!(line, b"\n" | b"\r\n");
    }
    finish(&mut current, &mut out);
    out
}

fn finish(current: &mut Vec<u8>, out: &mut Vec<Bytes>) {
    // The empty line before the next `From ` belongs to the mbox, not to the message.
    if current.ends_with(b"\r\n\r\n") {
        current.truncate(current.len() - 2);
    } else if current.ends_with(b"\n\n") {
        current.truncate(current.len() - 1);
    }
    if !current.is_empty() {
        out.push(Bytes::from(std::mem::take(current)));
    }
}

/// A first line with a colon after printable letters: what a header field looks like (RFC 5322 2.2).
fn looks_like_mail(bytes: &[u8]) -> bool {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let name = line
        .iter()
        .position(|b| *b == b':')
        .and_then(|at| line.get(..at))
        .unwrap_or_default();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mbox_is_split_and_its_quoting_undone_once() {
        let mbox = b"From a@example.com Mon Jan 1\nSubject: 1\n\nHi\n>From here\n>>From there\nFrom inside a paragraph\n\nFrom here on it rains.\nSo it goes.\n\nFrom b@example.com\nSubject: 2\n\nHo\n";
        let got = split(mbox);
        assert_eq!(got.len(), 2);
        assert_eq!(
            &got[0][..],
            b"Subject: 1\n\nHi\nFrom here\n>From there\nFrom inside a paragraph\n\nFrom here on it rains.\nSo it goes.\n"
        );
        assert_eq!(&got[1][..], b"Subject: 2\n\nHo\n");
    }

    #[test]
    fn directories_are_walked_and_other_files_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        fs::write(dir.path().join("deep/a.eml"), b"Subject: caf\xE9\r\n\r\nx").unwrap();
        fs::write(dir.path().join("read me"), b"just text without a header\n").unwrap();
        assert_eq!(
            load(dir.path()).unwrap(),
            vec![Bytes::from_static(b"Subject: caf\xE9\r\n\r\nx")]
        );
        assert!(matches!(
            load(&dir.path().join("nowhere")),
            Err(LoadError::Unreadable { .. })
        ));
    }
}
