//! Real mail: the ham of the `SpamAssassin` corpus, fetched from npm when testing and never committed.

use std::path::PathBuf;

use bytes::Bytes;

use super::setting;

/// The folders of the corpus that hold mail people wanted.
const HAM: [&str; 3] = ["easy-ham-1", "easy-ham-2", "hard-ham-1"];

/// Mail of the corpus.
pub struct Corpus {
    /// `folder/file`, and the message without the mbox line some files begin with.
    pub messages: Vec<(String, Bytes)>,
}

/// Reads the corpus from where `POSTROOM_TEST_MAIL` says, else fetches it with `scripts/fetch-mail`. `None`, with a
/// printed word, if it cannot be had; in CI that is a failure.
pub fn corpus() -> Option<Corpus> {
    let Some(root) = setting("POSTROOM_TEST_MAIL").map(PathBuf::from).or_else(fetch) else {
        assert!(setting("CI").is_none(), "CI must not skip the real mail");
        println!("SKIPPED: no real mail; npm is needed to fetch it (scripts/fetch-mail)");
        return None;
    };
    let mut messages = Vec::new();
    for folder in HAM {
        let mut files: Vec<PathBuf> = std::fs::read_dir(root.join(folder))
            .unwrap_or_else(|error| panic!("{}/{folder}: {error}", root.display()))
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            // Beside each message lies the same text as JSON.
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .collect();
        files.sort();
        for path in files {
            let name = path.file_name().expect("a file name").to_string_lossy();
            let bytes = std::fs::read(&path).expect("a message of the corpus");
            messages.push((format!("{folder}/{name}"), without_mbox_line(bytes)));
        }
    }
    Some(Corpus { messages })
}

fn fetch() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/fetch-mail");
    let output = std::process::Command::new(script).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

/// The corpus was cut from mboxes: the line `From address date` before the headers belongs to no message.
fn without_mbox_line(bytes: Vec<u8>) -> Bytes {
    let bytes = Bytes::from(bytes);
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if bytes.starts_with(b"From ") => bytes.slice(end + 1..),
        _ => bytes,
    }
}
