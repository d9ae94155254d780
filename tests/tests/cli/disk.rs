//! What a disk may do: a file in the way, rights too wide, damage, a missing key. A sentence, an exit code, nothing lost.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tests::cli::{Bench, DESK};

#[test]
fn a_data_directory_that_cannot_be_used_is_refused() {
    let bench = Bench::new();
    let file = bench.beside("file");
    fs::write(&file, "x").unwrap();
    let done = bench.run(&["--data-dir", file.to_str().unwrap(), "status"]).expect(2);
    assert!(done.stderr.contains("it is a file"), "{}", done.stderr);
    let open = bench.beside("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let done = bench.run(&["--data-dir", open.to_str().unwrap(), "status"]).expect(6);
    assert!(done.stderr.contains("chmod 700"), "{}", done.stderr);
    let output = bench
        .command(&["status"])
        .env_remove("POSTROOM_DATA_DIR")
        .output()
        .unwrap();
    let done = tests::cli::Done::of(&output).expect(2);
    assert!(done.stderr.contains("--data-dir"), "{}", done.stderr);
}

#[test]
fn damage_and_a_missing_key_stop_with_a_sentence() {
    let bench = Bench::new();
    bench.simulator.fill(DESK, "inbox", 3, 5).unwrap();
    bench.add_credential("sim");
    bench.add_account("desk", DESK, &[]);
    let key = bench.data().join("secrets.key");
    let away = bench.beside("key");
    fs::rename(&key, &away).unwrap();
    let done = bench.run(&["--json", "import", "desk"]).expect(6);
    let what = done.json()["error"]["what"].as_str().unwrap().to_owned();
    assert!(
        what.contains("secrets.key") && what.contains("No new key was made"),
        "{what}"
    );
    assert!(!key.exists());
    fs::rename(&away, &key).unwrap();
    assert_eq!(bench.json(&["import", "desk"])["imported"], 3);

    let database = bench.data().join("postroom.db");
    fs::write(&database, "this is no database, whatever its name says").unwrap();
    let done = bench.run(&["messages"]).expect(6);
    assert!(done.stderr.contains("postroom.db"), "{}", done.stderr);
}

#[test]
fn the_vault_takes_its_key_from_a_passphrase() {
    let bench = Bench::new();
    bench.add_credential("sim");
    assert_eq!(bench.json(&["vault", "status"])["key_source"], "key-file");
    let file = bench.beside("passphrase");
    fs::write(&file, "correct horse\n").unwrap();
    let run = |arguments: &[&str]| {
        let output = bench
            .command(arguments)
            .env("POSTROOM_PASSPHRASE_FILE", &file)
            .output()
            .unwrap();
        tests::cli::Done::of(&output)
    };
    let _ = run(&["vault", "rewrap", "--to", "passphrase"]).expect(0);
    assert!(!bench.data().join("secrets.key").exists());
    let _ = run(&["credential", "authorize", "sim"]).expect(0);
    let done = bench.run(&["credential", "authorize", "sim"]).expect(6);
    assert!(done.stderr.contains("POSTROOM_PASSPHRASE_FILE"), "{}", done.stderr);
    fs::write(&file, "wrong\n").unwrap();
    let _ = run(&["credential", "authorize", "sim"]).expect(6);
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let bench = Bench::new();
    for (name, value) in [
        ("POSTROOM_TRUST_ENDPOINTS", "nonsense"),
        ("POSTROOM_PATIENCE_SECONDS", "long"),
        ("POSTROOM_LOG_FORMAT", "xml"),
        ("POSTROOM_CA_FILE", "/nowhere/ca.pem"),
    ] {
        let output = bench.command(&["status"]).env(name, value).output().unwrap();
        let done = tests::cli::Done::of(&output).expect(2);
        assert!(done.stderr.contains(name), "{name}: {}", done.stderr);
    }
}
