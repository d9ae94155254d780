//! What storms found, each told by itself.

use std::{sync::Arc, time::Duration};

use shared::{
    account::FolderName,
    import::{RunOptions, report::Outcome},
    records::accounts::Accounts,
};
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::{DESK, World};

fn accounts(world: &World) -> Accounts {
    Accounts::new(Arc::new(world.memory.store.clone()))
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_removed_and_added_again_still_owes_what_it_owed() {
    let world = World::new(1);
    world.fill(3);
    world.usual(|_| {}).await;
    world.owe(1).await;
    accounts(&world)
        .remove(&world.row("desk").await)
        .await
        .expect("removed");
    world.add_account(&world.account("desk")).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_cannot_be_removed_while_its_counters_change() {
    let world = World::new(2);
    world.fill(2);
    world.usual(|_| {}).await;
    let looked_at = world.row("desk").await;
    let fault = FaultSpec::once(RequestKind::Value, Fault::CorruptData).times(2);
    world.simulator.arm(fault);
    world.run("desk").await;
    accounts(&world)
        .remove(&looked_at)
        .await
        .expect_err("what was looked at is not what is there");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_thirty_years_is_not_believed_of_the_token_endpoint_either() {
    let world = World::new(3);
    world.fill(2);
    world.usual(|_| {}).await;
    let absurd = Fault::TooManyRequests {
        retry_after: RetryAfter::Absurd,
        wording: Wording::Json,
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Token, absurd).times(20));
    assert_eq!(world.run("desk").await.outcome, Outcome::Waiting);
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(16 * 60)).await;
    world.settle("desk", 1).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn accounts_that_share_a_mailbox_wait_for_each_other_s_pauses() {
    let world = World::new(4);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(3);
    world.usual(|_| {}).await;
    let mut second = world.account("orders");
    second.folders = vec![FolderName::parse("Orders").expect("a folder")];
    world.add_account(&second).await;
    let later = Fault::TooManyRequests {
        retry_after: RetryAfter::Seconds(300),
        wording: Wording::Json,
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Delta, later));
    assert_eq!(world.run("desk").await.outcome, Outcome::Waiting);
    let asked = world.wire.count();
    let other = world
        .importer()
        .run("orders", &RunOptions::new("test"))
        .await
        .expect("a run");
    assert_eq!(
        (other.outcome, world.wire.count()),
        (Outcome::Waiting, asked),
        "{other:#?}"
    );
    tokio::time::sleep(Duration::from_secs(301)).await;
    world.settle("orders", 1).await;
    world.settle("desk", 1).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn what_one_account_filtered_and_another_imports_is_the_other_s() {
    let world = World::new(5);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.usual(|_| {}).await;
    let mut second = world.account("orders");
    second.folders = vec![FolderName::parse("Orders").expect("a folder")];
    world.add_account(&second).await;
    let mut draft = simulator::Delivery::inbox("Subject: a draft\r\n\r\nnot yet\r\n").folder("Orders");
    draft.draft = true;
    let id = world.simulator.deliver(DESK, draft).expect("a draft");
    assert_eq!(world.run("orders").await.filtered, 1);
    world.simulator.send_draft(DESK, &id).expect("sent");
    world.simulator.move_message(DESK, &id, "inbox").expect("moved");
    world.settle("desk", 1).await;
    let message = world
        .audit()
        .consistent()
        .await
        .remove(&id)
        .expect("a record of `desk`");
    assert_eq!((message.account.as_str(), message.folder.as_str()), ("desk", "inbox"));
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_fed_by_listing_and_is_made_anew_is_found_again() {
    let world = World::new(6);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.simulator.fill(DESK, "Orders", 2, 1).expect("filled");
    world
        .usual(|account| account.folders = vec![FolderName::parse("Orders").expect("a folder")])
        .await;
    let fault = Fault::Status {
        status: 500,
        code: None,
        message: String::new(),
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Delta, fault).always());
    assert_eq!(world.run("desk").await.imported, 2, "by listing");
    world.simulator.delete_folder(DESK, "Orders").expect("deleted");
    world.simulator.clear_faults();
    world.run("desk").await;
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.simulator.fill(DESK, "Orders", 1, 1).expect("filled");
    let report = world.settle("desk", 2).await;
    assert_eq!((report.outcome, world.row("desk").await.recorded), (Outcome::Done, 3));
}

#[tokio::test(start_paused = true)]
async fn empty_pages_without_end_are_not_read_five_hundred_times_in_every_run() {
    let world = World::new(7);
    world.fill(2);
    world.usual(|_| {}).await;
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Delta, Fault::EmptyPage).always());
    for _ in 0..4 {
        world.run("desk").await;
    }
    let report = world.run("desk").await;
    assert!(report.requests_total <= 30, "{report:#?}");
    assert_eq!(world.row("desk").await.recorded, 2, "by listing");
    world.simulator.clear_faults();
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}
