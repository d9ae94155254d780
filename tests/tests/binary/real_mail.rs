//! Real mail: some 3,900 messages of people, imported whole, found again, and read as CPython reads them.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::message::Message;
use simulator::{Delivery, Mime, Options, TrueMessage};
use tests::binary::{Corpus, Desk, corpus, cpython, setting};

const MAILBOX: &str = "archive@harbour-homes.example";
/// How many messages are searched for, by each of their properties.
const SEARCHES: usize = 12;
/// Why CPython's `email` package may see an attachment otherwise. Whatever is not explained here fails the test.
const REASONS: &[(&str, &str)] = &[
    (
        "message-written-anew",
        "CPython takes a message/* part apart and writes it anew; the archive keeps its bytes as sent",
    ),
    (
        "multipart-without-parts",
        "CPython gives the bytes of a multipart without parts as one leaf of that type; here they are the text",
    ),
    (
        "boundary-used-twice",
        "CPython ends a multipart where one inside of it with the same boundary ends, and loses what follows",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_of_real_mail_imports_whole() {
    let Some(corpus) = corpus() else { return };
    assert!(corpus.messages.len() > 3_500, "{} messages", corpus.messages.len());
    let desk = delivered(&corpus).await;
    let report = desk.run(&["--json", "import", "real"]).await.exits(0).json();
    assert_eq!(report["imported"], corpus.messages.len(), "{report:#}");
    let truth = desk.simulator.truth(Some(MAILBOX));
    let books = desk.books();
    // Every message recorded, bytes equal, none set aside, one event each.
    let count = books.check("real", "inbox", &truth, true).await;
    assert_eq!(count, corpus.messages.len());
    let messages = books.messages("real").await;
    drop(books);
    the_search_finds_them(&desk, &truth, &messages).await;
    assert!(
        attachments_are_those_cpython_sees(&desk) > 100,
        "there is something to compare"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cpython_tests_itself_with_is_read_as_cpython_reads_it() {
    let Some(corpus) = cpython() else { return };
    assert!(corpus.messages.len() > 40, "{} messages", corpus.messages.len());
    let desk = delivered(&corpus).await;
    let report = desk.run(&["--json", "import", "real"]).await.exits(0).json();
    assert_eq!(report["imported"], corpus.messages.len(), "{report:#}");
    let truth = desk.simulator.truth(Some(MAILBOX));
    desk.books().check("real", "inbox", &truth, true).await;
    assert!(
        attachments_are_those_cpython_sees(&desk) > 20,
        "there is something to compare"
    );
}

/// A mailbox with these messages in it, and an account `real` on it.
async fn delivered(corpus: &Corpus) -> Desk {
    let desk = Desk::open(Options::default()).await;
    desk.add_account("real", MAILBOX, &[]).await;
    for (_, mime) in &corpus.messages {
        desk.simulator
            .deliver(MAILBOX, Delivery::inbox(Mime::Bytes(mime.clone())))
            .expect("a mailbox");
    }
    desk
}

/// Searches for subjects, senders and Message-IDs of messages spread over the mailbox, and for all that are not ASCII.
async fn the_search_finds_them(desk: &Desk, truth: &[TrueMessage], messages: &BTreeMap<String, Message>) {
    let spread = || truth.iter().step_by((truth.len() / SEARCHES).max(1));
    for one in spread().filter(|one| !one.subject.trim().is_empty()) {
        finds(desk, messages, one, one.subject.trim()).await;
    }
    for one in spread() {
        if let Some(id) = &one.message_id {
            finds(desk, messages, one, id.trim_matches(['<', '>'])).await;
        }
        let sender = messages[&one.immutable_id].envelope.from.clone();
        if let Some(sender) = sender.filter(|sender| !sender.is_empty()) {
            // As somebody may type it.
            finds(desk, messages, one, &sender.to_uppercase()).await;
        }
    }
    let foreign: Vec<&TrueMessage> = truth
        .iter()
        .filter(|one| !one.subject.is_ascii() && !one.subject.contains('\u{FFFD}'))
        .collect();
    assert!(!foreign.is_empty(), "real mail has subjects beyond ASCII");
    for one in foreign.iter().step_by((foreign.len() / SEARCHES).max(1)) {
        finds(desk, messages, one, one.subject.trim()).await;
    }
    let none = search(desk, "no-such-text-in-any-subject-4711").await;
    assert_eq!(none["messages"].as_array().map(Vec::len), Some(0));
    assert_eq!(none["looked_through"], truth.len(), "it looked at everything");
}

async fn search(desk: &Desk, text: &str) -> Value {
    let arguments = ["--json", "messages", "--limit", "1000", "--search", text];
    desk.run(&arguments).await.exits(0).json()
}

async fn finds(desk: &Desk, messages: &BTreeMap<String, Message>, wanted: &TrueMessage, text: &str) {
    let key = messages[&wanted.immutable_id].key.0.as_str();
    let found = search(desk, text).await;
    let hit = found["messages"]
        .as_array()
        .is_some_and(|list| list.iter().any(|one| one["key"] == key));
    assert!(hit, "`{text}` does not find {key}: {found:#}");
}

/// Name and SHA-256 of every attachment, compared with CPython's `email` package. How many there were.
fn attachments_are_those_cpython_sees(desk: &Desk) -> u64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/compare-attachments.py");
    let archive = desk.program.data_dir.join("archive");
    let output = match std::process::Command::new("python3").arg(script).arg(archive).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(setting("CI").is_none(), "CI must not skip the comparison: {error}");
            println!("SKIPPED: attachments are compared with CPython's, and python3 is not there ({error})");
            return u64::MAX;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unexplained = Vec::new();
    for one in said["disagreements"].as_array().expect("a list") {
        let category = one["category"].as_str().unwrap_or_default();
        match REASONS.iter().find(|(name, _)| *name == category) {
            Some((name, _)) => *explained.entry(name).or_default() += 1,
            None => unexplained.push(one),
        }
    }
    println!(
        "{} attachments of {} messages compared; explained: {explained:?}",
        said["attachments"], said["messages"]
    );
    assert!(unexplained.is_empty(), "unexplained: {unexplained:#?}");
    said["attachments"].as_u64().unwrap_or_default()
}
