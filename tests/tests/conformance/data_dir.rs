//! The data directory: private, one server, and one event log per account that mends its end.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use local::adapters::{DataDir, EventLog, OpenError, SqliteStore};
use shared::ports::Publisher;
use tests::conformance::publisher::events;

use super::embedded::directory;

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
    drop(SqliteStore::open(&data_dir.database(), &data_dir.database_lock()).expect("open"));
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
