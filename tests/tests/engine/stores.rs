//! A store that answers badly: conflict, a lost acknowledgement, stale reads, and two runs at once.

use std::time::Duration;

use futures::future::BoxFuture;
use shared::{
    import::{
        RunOptions,
        report::{Outcome, RunReport},
    },
    memory::{PublisherFault, StoreCall, StoreFault},
    records::accounts::{AccountRow, Accounts},
};
use simulator::Limits;
use tests::world::{Point, World};

#[tokio::test(start_paused = true)]
async fn every_call_once_with_every_fault() {
    for fault in [
        StoreFault::Conflict,
        StoreFault::AcknowledgementLost,
        StoreFault::Unavailable,
        StoreFault::Stale,
        StoreFault::EmptyPage,
    ] {
        for call in [
            StoreCall::Get,
            StoreCall::GetMany,
            StoreCall::Query,
            StoreCall::Update,
            StoreCall::Transact,
        ] {
            for skip in 0..4 {
                let world = World::new(1);
                world.fill(40);
                world
                    .usual(|account| account.after_import = shared::account::AfterImport::MarkRead)
                    .await;
                world.memory.store.faults().arm_after(call, fault, skip, 1);
                let importer = world.importer();
                // A run whose start fails is an error, not a panic; the next one goes on.
                let first = importer.run("desk", &RunOptions::new("test")).await;
                world.memory.store.faults().clear();
                println!("{fault:?} {call:?} {skip}: {:?}", first.map(|report| report.outcome));
                tokio::time::sleep(Duration::from_secs(600)).await;
                world.settle("desk", 4).await;
                world.audit().all_imported().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_at_once_one_works_and_one_leaves_without_a_request() {
    let world = World::new(2);
    world.fill(30);
    world.usual(|_| {}).await;
    let (one, two) = (world.importer(), world.importer());
    let options = RunOptions::new("test");
    let (first, second) = tokio::join!(one.run("desk", &options), two.run("desk", &options));
    let outcomes = [first.expect("a run"), second.expect("a run")];
    let busy = outcomes
        .iter()
        .find(|report| report.outcome == Outcome::Busy)
        .expect("one was busy");
    assert_eq!(busy.requests_total, 0);
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_run_that_wakes_up_commits_nothing() {
    for step in [20, 40, 60, 90, 120] {
        let world = World::new(3);
        world.fill(35);
        world.usual(|_| {}).await;
        // The streams it stands still in are open as long as nobody closes them; a server does, in the end.
        world.simulator.set_limits(Limits {
            concurrent: 8,
            ..Limits::default()
        });
        // It freezes before a step and is not known to be dead.
        world.crash.arm(Point::Before(step));
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        let mut zombie = Box::pin(importer.run("desk", &options));
        assert!(world.crash.or(&mut zombie).await.is_none(), "step {step}");
        world.crash.disarm();
        assert_eq!(world.run("desk").await.outcome, Outcome::Busy, "its lease still holds");
        tokio::time::sleep(Duration::from_secs(200)).await;
        world.settle("desk", 3).await;
        let before = world.memory.store.dump();
        world.crash.thaw();
        let report = zombie.await.expect("a report");
        assert_ne!(report.outcome, Outcome::Done, "{report:#?}");
        assert_eq!(world.memory.store.dump(), before, "a zombie changed something");
        world.audit().all_imported().await;
    }
}

/// A run over 90 messages that stands still at its 64th step, and the account as it was looked at then.
async fn frozen_in_the_middle(world: &World) -> (BoxFuture<'static, RunReport>, AccountRow) {
    world.fill(90);
    world.usual(|_| {}).await;
    world.crash.arm(Point::Before(64));
    let importer = world.importer();
    let mut run = Box::pin(async move { importer.run("desk", &RunOptions::new("test")).await.expect("a report") });
    assert!(world.crash.or(&mut run).await.is_none());
    world.crash.disarm();
    (run, world.row("desk").await)
}

#[tokio::test(start_paused = true)]
async fn an_edit_in_the_middle_stops_the_run_and_the_next_goes_on() {
    let world = World::new(4);
    let (run, row) = frozen_in_the_middle(&world).await;
    let mut account = row.account.clone();
    account.description = "edited".into();
    Accounts::new(world.ports().store)
        .edit(&account, &row)
        .await
        .expect("edited");
    world.crash.thaw();
    let report = run.await;
    assert_eq!(report.outcome, Outcome::Waiting, "{report:#?}");
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
    assert_eq!(world.row("desk").await.account.description, "edited");
}

#[tokio::test(start_paused = true)]
async fn a_removed_account_is_not_brought_back_and_its_successor_goes_on_counting() {
    let world = World::new(5);
    let (run, row) = frozen_in_the_middle(&world).await;
    let accounts = Accounts::new(world.ports().store);
    accounts.remove(&row).await.expect("removed");
    world.crash.thaw();
    run.await;
    assert!(accounts.get("desk").await.is_err(), "it came back");
    world.add_account(&world.account("desk")).await;
    world.settle("desk", 3).await;
    world.fill(1);
    world.settle("desk", 1).await;
    let messages = world.messages("desk").await;
    assert_eq!(messages.len(), 91);
    let events = world.events("desk");
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence"].as_u64()).collect();
    assert_eq!(numbers, (1..=91).collect::<Vec<u64>>(), "one number each, none twice");
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_sent_wait_in_order() {
    let world = World::new(6);
    world.fill(500);
    world.usual(|_| {}).await;
    world.memory.publisher.faults().arm(None, PublisherFault::Refused, 1);
    let report = world.run("desk").await;
    assert_eq!(
        (report.imported, report.outcome),
        (500, Outcome::Incomplete),
        "{report:#?}"
    );
    assert!(report.undelivered > 0 && report.exit_code() != 0);
    world
        .memory
        .publisher
        .faults()
        .arm(None, PublisherFault::AcknowledgementLost, 1);
    world.run("desk").await;
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_not_applied_twice_when_its_answer_is_lost_and_the_next_read_is_stale() {
    for skip in 0..6 {
        let world = World::new(7);
        world.fill(40);
        world
            .usual(|account| account.after_import = shared::account::AfterImport::MarkRead)
            .await;
        world.settle("desk", 2).await;
        world.fill(40);
        let faults = world.memory.store.faults();
        faults.arm_after(StoreCall::Transact, StoreFault::AcknowledgementLost, skip, 1);
        faults.arm(StoreCall::Get, StoreFault::Stale, 30);
        world.run("desk").await;
        world.memory.store.faults().clear();
        tokio::time::sleep(Duration::from_secs(600)).await;
        world.settle("desk", 4).await;
        world.audit().all_imported().await;
        let row = world.row("desk").await;
        assert_eq!((row.actions, row.recorded), (0, 80), "counted twice (skip {skip})");
    }
}
