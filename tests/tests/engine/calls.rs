//! What a run costs in calls: these are requests that somebody is billed for on AWS.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use futures::StreamExt as _;
use object_store::ObjectStore as _;
use shared::{
    import::{Importer, RunOptions, report::Outcome},
    message::Fidelity,
    oauth::TokenService,
    ports::{Ports, Publisher, Store, Tokens, Vault},
};
use tests::world::{Calls, Counting, World};

/// An importer as on AWS: its process lives on between runs, and remembers.
fn counted(world: &World) -> (Arc<Calls>, Importer) {
    let calls = Arc::new(Calls::default());
    let ports = world.ports();
    // What token-refresh calls is its own matter: only that it was asked counts here.
    let tokens: Arc<dyn Tokens> = Arc::new(TokenService::new(ports.clone()));
    let ports = Ports {
        store: Arc::new(Counting::<dyn Store>::new(&calls, ports.store)),
        vault: Arc::new(Counting::<dyn Vault>::new(&calls, ports.vault)),
        publisher: Arc::new(Counting::<dyn Publisher>::new(&calls, ports.publisher)),
        ..ports
    };
    let tokens = Arc::new(Counting::<dyn Tokens>::new(&calls, tokens));
    let importer = Importer::new(ports, tokens, world.archive()).remembering(Duration::from_mins(10));
    (calls, importer)
}

async fn run(importer: &Importer) -> u64 {
    let report = importer.run("desk", &RunOptions::new("test")).await.expect("a run");
    assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
    report.requests_total
}

#[tokio::test(start_paused = true)]
async fn an_idle_run_of_a_warm_process_is_one_request_and_two_table_calls() {
    let world = World::new(11);
    world.fill(5);
    world.usual(|_| {}).await;
    let (calls, importer) = counted(&world);
    run(&importer).await;
    for _ in 0..2 {
        calls.reset();
        tokio::time::sleep(Duration::from_secs(280)).await;
        assert_eq!(run(&importer).await, 1, "requests to Graph");
        let seen = [&calls.table, &calls.secrets, &calls.tokens, &calls.events].map(|calls| calls.load(SeqCst));
        assert_eq!(seen, [2, 0, 0, 0], "calls of table, secrets, tokens; events");
        assert_eq!(
            calls.rows(),
            BTreeMap::from([("accounts".to_owned(), 2)]),
            "no row but the account's own"
        );
    }
    // Nobody believes a credential for ever.
    tokio::time::sleep(Duration::from_secs(280)).await;
    calls.reset();
    run(&importer).await;
    assert_eq!(calls.table.load(SeqCst), 3, "it is read anew");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stops_makes_the_next_one_read_the_credential() {
    let world = World::new(12);
    world.fill(3);
    world.usual(|_| {}).await;
    let (calls, importer) = counted(&world);
    run(&importer).await;
    world.simulator.arm(
        simulator::FaultSpec::once(
            simulator::RequestKind::Delta,
            simulator::Fault::Status {
                status: 403,
                code: Some("ErrorAccessDenied".into()),
                message: String::new(),
            },
        )
        .always(),
    );
    let report = importer.run("desk", &RunOptions::new("test")).await.expect("a run");
    assert_ne!(report.outcome, Outcome::Done);
    assert!(report.error_type.is_some(), "it says what stopped it");
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(5)).await;
    calls.reset();
    run(&importer).await;
    assert_eq!(calls.table.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_one_event_three_rows_and_its_objects() {
    const MAILS: usize = 25;
    let world = World::new(13);
    world.fill(MAILS);
    world.usual(|_| {}).await;
    let (calls, importer) = counted(&world);
    run(&importer).await;
    assert_eq!(calls.events.load(SeqCst), MAILS);
    let rows = calls.rows();
    for kind in ["messages", "events", "received"] {
        assert_eq!(rows[kind], MAILS, "rows of {kind}: {rows:?}");
    }
    assert!(
        rows.keys()
            .all(|kind| ["messages", "events", "received", "accounts", "runs", "claims"].contains(&kind.as_str())),
        "{rows:?}"
    );
    // The groups of a run: admission, commits, the end. Far fewer than messages.
    assert!(rows["accounts"] < MAILS / 2, "{rows:?}");
    // Two objects and the attachments. A mail that looks cut off is fetched once more to make sure: two objects over.
    let messages = world.messages("desk").await;
    let archived = messages.values().filter_map(|message| message.archived.as_ref());
    let wanted: usize = archived.map(|archived| 2 + archived.attachments as usize).sum();
    let doubted = messages
        .values()
        .filter(|message| message.fidelity == Some(Fidelity::Incomplete));
    let objects = world.object_store().list(None).count().await;
    assert_eq!(objects, wanted + 2 * doubted.count());
}

#[tokio::test(start_paused = true)]
async fn messages_are_admitted_with_commits_that_are_written_anyway() {
    const MAILS: usize = 240;
    let world = World::new(14);
    world.fill(MAILS);
    world.usual(|_| {}).await;
    let (calls, importer) = counted(&world);
    run(&importer).await;
    // The lease, the first admission, a commit for every thirty messages, one less full between two pages, the end.
    assert!(
        calls.rows()["accounts"] <= 1 + 1 + MAILS / 30 + 1 + 1,
        "{:?}",
        calls.rows()
    );
}
