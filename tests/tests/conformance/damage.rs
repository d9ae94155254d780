//! What an admin's disk may do to us: full, read-only, damaged, too open, from the future. Each ends in a clear error.
#![cfg(unix)]

use std::{fs, path::Path, process::Command};

use local::adapters::{DataDir, OpenError, OpenOptions, Opened, SqliteStore, open, open_archive};
use object_store::ObjectStoreExt as _;
use serde_json::json;
use shared::{
    ports::{Key, SecretName, SecretVersion, Stage, Store, StoreError, VaultError, Write},
    secret::Secret,
};
use tests::conformance::publisher::events;

use super::{
    damaged_vault::refusal,
    embedded::{directory, sqlite},
};

fn row(at: usize) -> Write {
    Write::put(
        Key::new("rows", format!("{at:05}")),
        [("text".to_owned(), json!("x".repeat(500)))].into(),
    )
}

fn open_store(data_dir: &DataDir) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&data_dir.database(), &data_dir.database_lock())
}

async fn filled() -> (tempfile::TempDir, DataDir) {
    let (kept, data_dir) = directory();
    let store = sqlite(&data_dir);
    for group in 0..20 {
        store
            .transact((0..50).map(|at| row(group * 50 + at)).collect())
            .await
            .expect("transact");
    }
    (kept, data_dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_refused_on_opening() {
    let (_kept, data_dir) = filled().await;
    let path = data_dir.database();
    let whole = fs::read(&path).expect("read");
    assert!(whole.len() > 400_000);
    let mut in_the_middle = whole.clone();
    in_the_middle[200_000..204_096].fill(0xa5);
    let mut in_the_header = whole.clone();
    in_the_header[..100].fill(0xa5);
    for (bytes, what) in [
        (in_the_middle, "a page"),
        (in_the_header, "the header"),
        (whole[..150_000].to_vec(), "the end"),
        (vec![b'x'; 5000], "all"),
    ] {
        fs::write(&path, bytes).expect("write");
        match open_store(&data_dir) {
            Err(OpenError::Store(StoreError::Damaged(text))) => {
                assert!(text.contains("postroom.db") && text.contains("backup"), "{text}");
            }
            Err(error) => panic!("{what} damaged: {error}"),
            Ok(_) => panic!("{what} damaged and opened"),
        }
    }
    fs::write(&path, whole).expect("write");
    let store = open_store(&data_dir).expect("the whole file opens");
    assert!(store.get(&Key::new("rows", "00999")).await.expect("get").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_json_is_named() {
    let (_kept, data_dir) = filled().await;
    let connection = rusqlite::Connection::open(data_dir.database()).expect("open");
    connection
        .execute("UPDATE items SET attributes = '{' WHERE sort = '00007'", [])
        .expect("update");
    drop(connection);
    let answer = open_store(&data_dir)
        .expect("open")
        .get(&Key::new("rows", "00007"))
        .await;
    assert!(
        matches!(&answer, Err(StoreError::Damaged(text)) if text.contains("rows/00007")),
        "{answer:?}"
    );
}

#[test]
fn newer_and_foreign_databases_are_left_alone() {
    let (_kept, data_dir) = directory();
    drop(open_store(&data_dir).expect("open"));
    let execute = |sql: &str| {
        rusqlite::Connection::open(data_dir.database())
            .expect("open")
            .execute_batch(sql)
            .expect("execute");
    };
    execute("PRAGMA user_version = 99");
    let error = open_store(&data_dir).err().expect("refused");
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer Postroom"), "{error}");
    fs::remove_file(data_dir.database()).expect("remove");
    execute("CREATE TABLE others (x)");
    let error = open_store(&data_dir).err().expect("refused");
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_and_a_read_only_disk() {
    let temporary = tempfile::tempdir().expect("a directory");
    let disk = temporary.path().join("disk");
    fs::create_dir(&disk).expect("create");
    let Some(_mounted) = Mounted::new(&disk) else {
        println!("skipped: no right to mount a small disk");
        return;
    };
    let opened = open(
        DataDir::open(&disk.join("data")).expect("a data directory"),
        &OpenOptions::default(),
    )
    .expect("open");
    let name = SecretName("grant/x".into());
    let version = opened
        .ports
        .vault
        .put(&name, &Secret::new("kept"), None)
        .await
        .expect("put");
    opened
        .ports
        .publisher
        .publish("a", &events(1..=3))
        .await
        .expect("publish");
    opened.ports.store.update(row(0)).await.expect("update");

    let filler = disk.join("filler");
    let _ = fs::write(&filler, vec![0_u8; 64 * 1024 * 1024]);
    full(&opened, &name, &version).await;
    fs::remove_file(&filler).expect("remove");
    space_again(&opened, &name, &version).await;
    let data_dir = opened.data_dir.clone();
    drop(opened);
    read_only(&disk, &data_dir);
}

/// Every adapter says that the disk is full, and leaves nothing half-written.
async fn full(opened: &Opened, name: &SecretName, version: &SecretVersion) {
    let mut written = 0;
    let error = loop {
        match opened
            .ports
            .store
            .transact((0..50).map(|at| row(written * 50 + at)).collect())
            .await
        {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1000, "the disk does not fill up");
    };
    assert!(
        matches!(&error, StoreError::CannotWrite(text) if text.contains("postroom.db") && text.contains("free")),
        "{error}"
    );
    let log_bytes = fs::metadata(opened.data_dir.events().join("a.jsonl"))
        .expect("metadata")
        .len();
    let large = vec![json!({"sequence": 4, "text": "x".repeat(2_000_000)})];
    let error = opened
        .ports
        .publisher
        .publish("a", &large)
        .await
        .expect_err("a full disk");
    assert!(error.delivered == 0 && error.reason.contains("a.jsonl"), "{error}");
    assert_eq!(
        fs::metadata(opened.data_dir.events().join("a.jsonl"))
            .expect("metadata")
            .len(),
        log_bytes,
        "half a line is left"
    );
    let error = opened
        .ports
        .vault
        .put(name, &Secret::new("x".repeat(60_000)), Some(version))
        .await
        .expect_err("a full disk");
    assert!(
        matches!(&error, VaultError::Unavailable(text) if text.contains("secrets.sealed")),
        "{error}"
    );
    assert_eq!(
        opened
            .ports
            .vault
            .read(name, Stage::Current)
            .await
            .expect("read")
            .expect("an entry")
            .value
            .expose(),
        "kept"
    );
    assert!(
        !opened.data_dir.root().join("secrets.sealed.tmp").exists(),
        "half a file is left"
    );
    let upload = opened
        .archive
        .put(&object_store::path::Path::from("a/large"), vec![0_u8; 2_000_000].into())
        .await;
    assert!(upload.is_err(), "an object on a full disk");
    let error = open_archive(&opened.data_dir.archive())
        .expect_err("refused")
        .to_string();
    assert!(error.contains("free some space"), "{error}");
}

/// All goes on, and what was acknowledged is there.
async fn space_again(opened: &Opened, name: &SecretName, version: &SecretVersion) {
    opened.ports.store.update(row(9999)).await.expect("the store goes on");
    opened
        .ports
        .publisher
        .publish("a", &events(4..=5))
        .await
        .expect("the event log goes on");
    opened
        .ports
        .vault
        .put(name, &Secret::new("next"), Some(version))
        .await
        .expect("the vault goes on");
    assert_eq!(
        opened.events.tail("a").expect("a tail").poll().expect("poll"),
        events(1..=5),
        "nothing half-written is left behind"
    );
}

/// A disk that turns read-only while files are open for writing is the kernel's doing and cannot be staged here.
fn read_only(disk: &Path, data_dir: &DataDir) {
    assert!(
        run("mount", &["-o", "remount,ro", disk.to_str().expect("a name")]),
        "a remount"
    );
    let before = fs::read(data_dir.database()).expect("read");
    for error in [
        open(data_dir.clone(), &OpenOptions::default()).err().expect("refused"),
        open_store(data_dir).err().expect("refused"),
        open_archive(&data_dir.archive()).expect_err("refused"),
    ] {
        let text = error.to_string();
        assert!(
            text.to_lowercase().contains("read-only") && text.contains("writable"),
            "{text}"
        );
    }
    let text = refusal(data_dir, None, None);
    assert!(text.contains("secrets.lock") && text.contains("writable"), "{text}");
    assert_eq!(fs::read(data_dir.database()).expect("read"), before);
}

/// A small disk in memory.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(at: &Path) -> Option<Self> {
        run("mount", &["-t", "tmpfs", "-o", "size=4m", "tmpfs", at.to_str()?]).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap_or_default()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}
