//! A disk that is full or read-only, a database that is damaged, a key that is gone: said clearly, nothing lost.

use std::path::{Path, PathBuf};

use shared::error::exit::OPERATOR;
use simulator::{Delivery, Options};
use tempfile::TempDir;
use tests::binary::{Desk, Said};

const MAILBOX: &str = "desk@harbour-homes.example";

async fn desk_in(data_dir: Option<PathBuf>) -> Desk {
    let desk = match data_dir {
        Some(data_dir) => Desk::open_in(Options::default(), data_dir).await,
        None => Desk::open(Options::default()).await,
    };
    desk.add_account("desk", MAILBOX, &[]).await;
    desk
}

fn deliver(desk: &Desk, count: usize) {
    for _ in 0..count {
        desk.simulator.deliver_generated(MAILBOX, "inbox").expect("a mailbox");
    }
}

async fn import(desk: &Desk) -> Said {
    desk.run(&["import", "desk"]).await
}

/// An operator must act: the exit code says so, and the text has these words.
fn asks_for_an_operator(said: &Said, words: &[&str]) {
    let text = format!("{}{}", said.out, said.err);
    println!("{text}");
    assert_eq!(said.code, Some(i32::from(OPERATOR)), "{said:#?}");
    for word in words {
        assert!(text.to_lowercase().contains(word), "`{word}` is not said: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// Everything that was ever delivered is there, once.
async fn nothing_is_lost(desk: &Desk) {
    let _ = import(desk).await.exits(0);
    let truth = desk.simulator.truth(Some(MAILBOX));
    desk.books().check("desk", "inbox", &truth, true).await;
}

/// A file system in memory of its own; unmounted on drop.
struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    /// `None`, with a printed word, where this user may not mount.
    fn mount(size: &str) -> Option<Self> {
        let at = tempfile::tempdir().expect("a temporary directory");
        let options = format!("size={size},mode=0700");
        if run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], at.path()) {
            return Some(Self { at });
        }
        println!("SKIPPED: a file system can be mounted by root on Linux only");
        None
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(
            run("mount", &["-o", &options], self.at.path()),
            "remounted with {options}"
        );
    }

    fn data_dir(&self) -> PathBuf {
        self.at.path().join("data")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.at.path());
    }
}

fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
    let mut command = std::process::Command::new(program);
    let output = command.args(arguments).arg(at).output();
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let Some(small) = SmallDisk::mount("6m") else { return };
    let desk = desk_in(Some(small.data_dir())).await;
    deliver(&desk, 5);
    let _ = import(&desk).await.exits(0);
    for _ in 0..30 {
        desk.simulator.deliver_sized(MAILBOX, 400_000).expect("a mailbox");
    }
    asks_for_an_operator(&import(&desk).await, &["space"]);
    // Not even the second try makes it worse.
    asks_for_an_operator(&import(&desk).await, &["space"]);
    small.remount("size=256m");
    nothing_is_lost(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_became_read_only() {
    let Some(small) = SmallDisk::mount("64m") else { return };
    let desk = desk_in(Some(small.data_dir())).await;
    deliver(&desk, 5);
    let _ = import(&desk).await.exits(0);
    deliver(&desk, 5);
    small.remount("ro");
    asks_for_an_operator(&import(&desk).await, &["read-only"]);
    small.remount("rw");
    nothing_is_lost(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_refused_and_its_backup_goes_on() {
    let desk = desk_in(None).await;
    deliver(&desk, 60);
    let _ = import(&desk).await.exits(0);
    let database = desk.program.data_dir.join("postroom.db");
    let good = std::fs::read(&database).expect("the database");
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    for byte in &mut bad[middle..middle + 16 * 1024] {
        *byte = 0xAA;
    }
    std::fs::write(&database, &bad).expect("damage");
    deliver(&desk, 5);
    asks_for_an_operator(&import(&desk).await, &["postroom.db"]);
    assert!(
        std::fs::read(&database).expect("the database") == bad,
        "nothing was changed"
    );
    std::fs::write(&database, &good).expect("the backup");
    nothing_is_lost(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_key_of_the_vault_nothing_is_made_anew() {
    let desk = desk_in(None).await;
    deliver(&desk, 5);
    let _ = import(&desk).await.exits(0);
    deliver(&desk, 5);
    let root = &desk.program.data_dir;
    let (key, away) = (root.join("secrets.key"), root.join("elsewhere.key"));
    let sealed = std::fs::read(root.join("secrets.sealed")).expect("the sealed file");
    std::fs::rename(&key, &away).expect("the key goes away");
    asks_for_an_operator(&import(&desk).await, &["secrets.key"]);
    assert!(!key.exists(), "no new key over an existing sealed file");
    assert!(
        std::fs::read(root.join("secrets.sealed")).expect("the sealed file") == sealed,
        "the sealed file stays as it was"
    );
    std::fs::rename(&away, &key).expect("the key comes back");
    nothing_is_lost(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_says_nothing_is_imported_beside_the_rest() {
    let desk = desk_in(None).await;
    desk.simulator
        .deliver(MAILBOX, Delivery::inbox("\r\n"))
        .expect("a mailbox");
    deliver(&desk, 2);
    nothing_is_lost(&desk).await;
}
