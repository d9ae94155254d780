//! What an admin's disk may do to us: full, read-only, damaged, too open, from the future. Each ends in a clear error.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
    sync::Arc,
};

use local::adapters::{
    DataDir, EventLog, KeySource, OpenError, OpenOptions, Passphrase, SealedVault, SqliteStore, SystemRng, open,
    open_archive,
};
use object_store::ObjectStoreExt as _;
use serde_json::json;
use shared::{
    memory::ManualClock,
    ports::{Key, Publisher, SecretName, Stage, Store, StoreError, Vault, VaultError, Write},
    secret::Secret,
};
use tests::conformance::publisher::events;

use super::embedded::{directory, sealed, sqlite};

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
                assert!(text.contains("postroom.db") && text.contains("backup"), "{text}")
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
            .expect("execute")
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
    let large = vec![json!({"sequence": 4, "text": "x".repeat(2_000_000)})];
    let error = opened
        .ports
        .publisher
        .publish("a", &large)
        .await
        .expect_err("a full disk");
    assert!(error.delivered == 0 && error.reason.contains("a.jsonl"), "{error}");
    let error = opened
        .ports
        .vault
        .put(&name, &Secret::new("x".repeat(60_000)), Some(&version))
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
            .read(&name, Stage::Current)
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
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("free some space"), "{error}");

    // Space again: all goes on, and what was acknowledged is there.
    fs::remove_file(&filler).expect("remove");
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
        .put(&name, &Secret::new("next"), Some(&version))
        .await
        .expect("the vault goes on");
    assert_eq!(
        opened.events.tail("a").expect("a tail").poll().expect("poll"),
        events(1..=5),
        "nothing half-written is left behind"
    );

    // A disk that turns read-only while files are open for writing is the kernel's doing and cannot be staged here.
    let data_dir = opened.data_dir.clone();
    drop(opened);
    assert!(
        run("mount", &["-o", "remount,ro", disk.to_str().expect("a name")]),
        "a remount"
    );
    let before = fs::read(data_dir.database()).expect("read");
    for error in [
        open(data_dir.clone(), &OpenOptions::default()).err().expect("refused"),
        open_store(&data_dir).err().expect("refused"),
        open_archive(&data_dir.archive()).err().expect("refused"),
    ] {
        let text = error.to_string();
        assert!(
            text.to_lowercase().contains("read-only") && text.contains("writable"),
            "{text}"
        );
    }
    let text = refusal(&data_dir, None, None);
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

#[tokio::test(flavor = "multi_thread")]
async fn torn_lines_of_the_event_log_are_dropped() {
    let (_kept, data_dir) = directory();
    let log = EventLog::new(data_dir.events());
    let path = data_dir.events().join("a.jsonl");
    log.publish("a", &events(1..=3)).await.expect("publish");
    let whole = fs::read(&path).expect("read");
    for tail in [
        b"{\"sequence\":4,\"id\"".as_slice(),
        b"\n",
        b"{\"sequence\":4,\n",
        &[0; 5000],
        b"\0\0\n\0",
        b"{\"no\":1}\n",
    ] {
        fs::write(&path, [&whole, tail].concat()).expect("write");
        log.publish("a", &events(3..=5)).await.expect("publish");
        assert_eq!(
            log.tail("a").expect("a tail").poll().expect("poll"),
            events(1..=5),
            "after {:?}",
            String::from_utf8_lossy(tail)
        );
        assert_eq!(fs::read_to_string(&path).expect("read").lines().count(), 5);
    }
    // A first line that is torn, and a file that is no event log.
    fs::write(&path, "{\"seq").expect("write");
    log.publish("a", &events(1..=1)).await.expect("publish");
    fs::write(&path, "something\nelse\n").expect("write");
    let error = log.publish("a", &events(1..=1)).await.expect_err("no event log");
    assert!(error.reason.contains("restore"), "{error}");
    assert_eq!(
        fs::read_to_string(&path).expect("read"),
        "something\nelse\n",
        "it is left alone"
    );
    assert!(
        log.publish("../a", &events(1..=1)).await.is_err(),
        "an account id is no path"
    );
    assert_eq!(log.accounts().expect("accounts"), ["a"]);
}

fn reopen(
    data_dir: &DataDir,
    wanted: Option<KeySource>,
    passphrase: Option<&'static str>,
) -> Result<SealedVault, VaultError> {
    let passphrase = passphrase.map(|text| Arc::new(move || Ok(Secret::new(text))) as Passphrase);
    SealedVault::open(
        data_dir.secrets(),
        wanted,
        passphrase,
        Arc::new(ManualClock::default()),
        Arc::new(SystemRng),
    )
}

/// The text of the error an opening ends with.
fn refusal(data_dir: &DataDir, wanted: Option<KeySource>, passphrase: Option<&'static str>) -> String {
    match reopen(data_dir, wanted, passphrase) {
        Ok(_) => panic!("it opens"),
        Err(error) => error.to_string(),
    }
}

async fn with_secret() -> (tempfile::TempDir, DataDir, SecretName) {
    let (kept, data_dir) = directory();
    let name = SecretName("client/x".into());
    sealed(&data_dir, &ManualClock::default())
        .put(&name, &Secret::new("canary-5f2e"), None)
        .await
        .expect("put");
    (kept, data_dir, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_wrong_open_or_broken_key_stops_with_a_sentence() {
    let (_kept, data_dir, name) = with_secret().await;
    let paths = data_dir.secrets();
    let (key, sealed_bytes) = (
        fs::read(&paths.key).expect("read"),
        fs::read(&paths.sealed).expect("read"),
    );
    for path in [&paths.key, &paths.sealed, &paths.lock] {
        assert_eq!(
            fs::metadata(path).expect("metadata").permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
    }
    assert!(
        !String::from_utf8_lossy(&sealed_bytes).contains("canary"),
        "the secret lies open"
    );

    fs::remove_file(&paths.key).expect("remove");
    let text = refusal(&data_dir, None, None);
    assert!(
        text.contains("secrets.key is missing") && text.contains("No new key was made"),
        "{text}"
    );
    assert!(!paths.key.exists(), "no new key was made");
    fs::write(&paths.key, "00".repeat(32)).expect("write");
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o600)).expect("chmod");
    assert!(refusal(&data_dir, None, None).contains("restore the right key file"));
    fs::write(&paths.key, "not a key").expect("write");
    assert!(refusal(&data_dir, None, None).contains("64 hexadecimal digits"));
    fs::write(&paths.key, &key).expect("write");
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o640)).expect("chmod");
    let text = refusal(&data_dir, None, None);
    assert!(text.contains("chmod 600") && text.contains("secrets.key"), "{text}");
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o600)).expect("chmod");
    assert!(refusal(&data_dir, Some(KeySource::Passphrase), Some("x")).contains("takes its key from key-file"));

    assert_eq!(
        fs::read(&paths.sealed).expect("read"),
        sealed_bytes,
        "a refused opening changes nothing"
    );
    let vault = reopen(&data_dir, None, None).expect("all is well again");
    assert_eq!(
        vault
            .read(&name, Stage::Current)
            .await
            .expect("read")
            .expect("an entry")
            .value
            .expose(),
        "canary-5f2e"
    );

    // The sealed file alone is lost: its key is kept, for the day it comes back.
    fs::remove_file(&paths.sealed).expect("remove");
    assert!(
        vault.read(&name, Stage::Current).await.is_err(),
        "a vault that vanishes is not an empty one"
    );
    reopen(&data_dir, None, None).expect("an empty one");
    assert_eq!(fs::read(&paths.key).expect("read"), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_sealed_file_is_refused() {
    let (_kept, data_dir, name) = with_secret().await;
    let path = data_dir.secrets().sealed;
    let whole = fs::read(&path).expect("read");
    let vault = reopen(&data_dir, None, None).expect("open");
    let last = whole.len() - 1;
    for (at, what) in [
        (last, "the tag"),
        (whole.len() / 2 + 100, "the body"),
        (60, "the header"),
        (0, "the beginning"),
    ] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).expect("write");
        assert!(refusal(&data_dir, None, None).contains("secrets.sealed"), "{what}");
        let read = vault.read(&name, Stage::Current).await;
        assert!(
            matches!(read, Err(VaultError::Damaged(_))),
            "{what} changed under an open vault"
        );
    }
    for cut in [0, 10, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).expect("write");
        assert!(refusal(&data_dir, None, None).contains("backup"), "cut to {cut}");
    }
    fs::write(&path, "{\"kind\":\"postroom secrets\",\"format\":2}\n").expect("write");
    assert!(refusal(&data_dir, None, None).contains("newer Postroom"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_source_can_be_changed_and_changed_back() {
    let (_kept, data_dir, name) = with_secret().await;
    let paths = data_dir.secrets();
    let passphrase: Passphrase = Arc::new(|| Ok(Secret::new("correct horse")));
    let bystander = reopen(&data_dir, None, Some("correct horse")).expect("open");
    let value = |vault: SealedVault| {
        let name = name.clone();
        async move {
            vault
                .read(&name, Stage::Current)
                .await
                .map(|entry| entry.expect("an entry").value.expose().to_owned())
        }
    };

    reopen(&data_dir, None, None)
        .expect("open")
        .rewrap(KeySource::Passphrase, Some(passphrase))
        .expect("rewrap");
    assert!(!paths.key.exists(), "the superseded key file is gone");
    assert!(refusal(&data_dir, None, None).contains("passphrase"));
    assert!(refusal(&data_dir, None, Some("wrong")).contains("not the one"));
    assert!(refusal(&data_dir, None, Some("")).contains("empty"));
    assert_eq!(
        value(reopen(&data_dir, None, Some("correct horse")).expect("open"))
            .await
            .expect("read"),
        "canary-5f2e"
    );
    assert_eq!(
        value(bystander.clone())
            .await
            .expect("a vault open all the while goes on"),
        "canary-5f2e"
    );

    reopen(&data_dir, None, Some("correct horse"))
        .expect("open")
        .rewrap(KeySource::KeyFile, None)
        .expect("rewrap back");
    let first_key = fs::read(&paths.key).expect("a key file");
    assert_eq!(
        value(reopen(&data_dir, None, None).expect("open")).await.expect("read"),
        "canary-5f2e"
    );
    reopen(&data_dir, None, None)
        .expect("open")
        .rewrap(KeySource::KeyFile, None)
        .expect("a new key");
    let second_key = fs::read(&paths.key).expect("a key file");
    assert_ne!(first_key, second_key);
    assert_eq!(value(bystander).await.expect("read"), "canary-5f2e");

    // A rewrap that died after sealing left its key under the second name; one that died before left a key that opens nothing.
    let next = data_dir.root().join("secrets.key.next");
    fs::rename(&paths.key, &next).expect("rename");
    fs::write(&paths.key, &first_key).expect("write");
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(
        value(reopen(&data_dir, None, None).expect("open")).await.expect("read"),
        "canary-5f2e"
    );
    assert_eq!(fs::read(&paths.key).expect("read"), second_key);
    fs::write(&next, &first_key).expect("write");
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(
        value(reopen(&data_dir, None, None).expect("open")).await.expect("read"),
        "canary-5f2e"
    );
    assert_eq!(
        fs::read(&paths.key).expect("read"),
        second_key,
        "the key that counts stays"
    );
}

#[test]
fn a_keyring_that_was_not_built_in_is_said() {
    let (_kept, data_dir) = directory();
    let text = refusal(&data_dir, Some(KeySource::Keyring), None);
    assert!(text.contains("keyring"), "{text}");
    assert!(!data_dir.secrets().sealed.exists());
}

#[test]
fn a_data_directory_is_private() {
    let temporary = tempfile::tempdir().expect("a directory");
    let root = temporary.path().join("deep/data");
    let data_dir = DataDir::open(&root).expect("open");
    for path in [root.clone(), data_dir.archive(), data_dir.events(), data_dir.locks()] {
        assert_eq!(
            fs::metadata(&path).expect("metadata").permissions().mode() & 0o777,
            0o700,
            "{}",
            path.display()
        );
    }
    drop(open_store(&data_dir).expect("open"));
    assert_eq!(
        fs::metadata(data_dir.database())
            .expect("metadata")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    fs::set_permissions(&root, fs::Permissions::from_mode(0o770)).expect("chmod");
    let error = DataDir::open(&root).expect_err("refused").to_string();
    assert!(error.contains("chmod 700"), "{error}");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("chmod");
    DataDir::open(&root).expect("what others may list is not what they may change");

    let file = temporary.path().join("file");
    fs::write(&file, "").expect("write");
    assert!(matches!(DataDir::open(&file), Err(OpenError::NotADirectory { .. })));
    symlink(temporary.path().join("nowhere"), temporary.path().join("dangling")).expect("a link");
    assert!(DataDir::open(&temporary.path().join("dangling")).is_err());
}

#[test]
fn a_second_serve_is_refused_by_name() {
    let (_kept, data_dir) = directory();
    let first = data_dir.serve_lock().expect("the first");
    let error = data_dir.serve_lock().expect_err("the second");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(first);
    data_dir.serve_lock().expect("after the first ended");
}
