//! What may happen to the sealed file and its key: missing, wrong, changed, exchanged. Each ends in a clear error.
#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use local::adapters::{DataDir, KeySource, Passphrase, SealedVault, SystemRng};
use shared::{
    memory::ManualClock,
    ports::{SecretName, Stage, Vault, VaultError},
    secret::Secret,
};

use super::embedded::{directory, sealed};

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
pub(crate) fn refusal(data_dir: &DataDir, wanted: Option<KeySource>, passphrase: Option<&'static str>) -> String {
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
