//! Resident memory of the real binary: 64 MB, also with 10,000 messages or one of 150 MB.

use simulator::Options;
use tests::binary::{Desk, Said};

/// The promise, in KiB.
const MOST_KIB: u64 = 64 * 1024;

fn keeps_the_promise(said: &Said, what: &str) {
    if said.peak_kib == 0 {
        assert_ne!(std::env::consts::OS, "linux", "Linux tells the peak of a process");
        println!("SKIPPED: peak memory is read from /proc, which is not here");
        return;
    }
    println!("{what}: peak {} KiB", said.peak_kib);
    assert!(
        said.peak_kib < MOST_KIB,
        "{what} took {} KiB of {MOST_KIB}",
        said.peak_kib
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages() {
    let desk = Desk::open(Options::default()).await;
    // Two mailboxes side by side: one alone may have 9,600 requests in ten minutes.
    for (account, mailbox) in [
        ("one", "one@harbour-homes.example"),
        ("two", "two@harbour-homes.example"),
    ] {
        desk.add_account(account, mailbox, &[]).await;
        desk.simulator.fill(mailbox, "inbox", 5_000, 365).expect("a mailbox");
    }
    let said = desk.run(&["--json", "import", "--all"]).await.exits(0);
    let imported: u64 = said
        .json()
        .as_array()
        .expect("two reports")
        .iter()
        .filter_map(|report| report["imported"].as_u64())
        .sum();
    assert_eq!(imported, 10_000);
    keeps_the_promise(&said, "10,000 messages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_of_150_megabytes() {
    let mailbox = "desk@harbour-homes.example";
    let desk = Desk::open(Options::default()).await;
    desk.add_account("desk", mailbox, &[]).await;
    desk.simulator.deliver_sized(mailbox, 150_000_000).expect("a mailbox");
    let said = desk.run(&["--json", "import", "desk"]).await.exits(0);
    assert_eq!(said.json()["imported"], 1);
    let truth = desk.simulator.truth(Some(mailbox));
    assert!(truth.iter().all(|one| one.size > 149_000_000), "{truth:#?}");
    desk.books().check("desk", "inbox", &truth, true).await;
    keeps_the_promise(&said, "one message of 150 MB");
}
