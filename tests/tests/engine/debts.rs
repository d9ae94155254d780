//! Debts in the hands of an admin.

use std::time::Duration;

use shared::{
    import::debt::{Verb, admin},
    message::Disposition,
    records::{accounts::Accounts, debts::Debts},
};
use simulator::{Fault, FaultSpec, RequestKind};
use tests::world::{DESK, World};

#[tokio::test(start_paused = true)]
async fn a_dismissed_debt_is_on_record_and_stays_dismissed() {
    let world = World::new(1);
    world.fill(3);
    world.usual(|_| {}).await;
    let bad = world.simulator.truth(None)[1].immutable_id.clone();
    world.simulator.arm(
        FaultSpec::once(RequestKind::Value, Fault::CorruptData)
            .message(&bad)
            .always(),
    );
    let report = world.run("desk").await;
    assert_eq!((report.imported, report.quarantined), (2, 1), "{report:#?}");
    let debts = Debts::new(world.ports().store);
    let debt = debts.page("desk", 10, None).await.expect("debts").records.remove(0);
    assert!(debt.quarantined && debt.next_try.is_none());
    admin(&world.ports(), "desk", &debt.key, Verb::Dismiss)
        .await
        .expect("dismissed");
    world.simulator.clear_faults();
    world.simulator.evict_delta_state(DESK, "inbox").expect("evicted");
    world.settle("desk", 2).await;
    let messages = world.audit().consistent().await;
    assert_eq!(messages[&bad].disposition, Disposition::Filtered);
    assert!(
        messages[&bad]
            .reason
            .as_deref()
            .is_some_and(|reason| reason.contains("dismissed"))
    );
    assert!(
        admin(&world.ports(), "desk", &debt.key, Verb::Retry).await.is_err(),
        "there is no such debt any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_goes_away_while_it_is_owed_is_gone_not_owed_for_ever() {
    let world = World::new(2);
    world.fill(2);
    world.usual(|_| {}).await;
    let bad = world.owe(0).await;
    world.simulator.purge_message(tests::world::DESK, &bad).expect("purged");
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    world.settle("desk", 2).await;
    assert_eq!(world.audit().consistent().await[&bad].disposition, Disposition::Gone);
}

#[tokio::test(start_paused = true)]
async fn tries_end_in_quarantine_with_a_reason() {
    let world = World::new(3);
    world.fill(1);
    world.usual(|_| {}).await;
    let fault = Fault::Status {
        status: 500,
        code: None,
        message: String::new(),
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Value, fault).always());
    let mut runs = 0;
    while world.row("desk").await.quarantined == 0 {
        world.run("desk").await;
        tokio::time::sleep(std::time::Duration::from_secs(12 * 3600 + 60)).await;
        runs += 1;
        assert!(runs < 30, "never set aside");
    }
    world.simulator.clear_faults();
    let debt = Debts::new(world.ports().store)
        .page("desk", 10, None)
        .await
        .expect("debts")
        .records
        .remove(0);
    assert!(debt.attempts >= 12 && debt.reason.contains("HTTP 500"), "{debt:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_removed_account_owed_is_taken_over_and_not_imported_twice() {
    let world = World::new(4);
    world
        .simulator
        .create_folder(tests::world::DESK, "Orders", false)
        .expect("a folder");
    world.fill(3);
    world.usual(|_| {}).await;
    world.owe(1).await;
    let accounts = shared::records::accounts::Accounts::new(world.ports().store);
    accounts.remove(&world.row("desk").await).await.expect("removed");
    world.add_account(&world.account("successor")).await;
    let report = world.settle("successor", 2).await;
    assert_eq!(
        (report.imported, world.messages("successor").await.len()),
        (1, 3),
        "{report:#?}"
    );
    // The first one comes back for another folder and finds that its debt is paid.
    let mut again = world.account("desk");
    again.folders = vec![shared::account::FolderName::parse("Orders").expect("a folder")];
    world.add_account(&again).await;
    tokio::time::sleep(std::time::Duration::from_secs(100_000)).await;
    world.settle("desk", 2).await;
    assert_eq!(world.row("desk").await.owed, 0);
    assert_eq!(
        (world.events("desk").len(), world.events("successor").len()),
        (2, 1),
        "one event each"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mail_over_the_limit_is_stopped_told_and_not_fetched_again() {
    let world = World::new(5);
    world.fill(1);
    world.simulator.deliver_sized(DESK, 3_000_000).expect("a mailbox");
    world.usual(|account| account.max_message = 1_000_000).await;
    let report = world.run("desk").await;
    assert_eq!(
        (report.imported, report.quarantined, report.set_aside),
        (1, 1, 1),
        "{report:#?}"
    );
    let told = |what: &str| what.contains("larger than the 1MB") && what.contains("--max-message");
    assert!(report.problems.iter().any(|problem| told(&problem.what)), "{report:#?}");
    assert!(
        report.bytes < 2_000_000,
        "stopped on the stream, at {} bytes",
        report.bytes
    );
    let fetched = || world.simulator.stats().by_kind.get(&RequestKind::Value).copied();
    let before = fetched();
    tokio::time::sleep(Duration::from_hours(48)).await;
    assert_eq!(world.run("desk").await.imported, 0);
    assert_eq!(fetched(), before, "not fetched again by itself");

    let accounts = Accounts::new(world.ports().store);
    let row = accounts.get("desk").await.expect("the account");
    let mut raised = row.account.clone();
    raised.max_message = 4_000_000;
    accounts.edit(&raised, &row).await.expect("changed");
    let debts = Debts::new(world.ports().store);
    let debt = debts.page("desk", 10, None).await.expect("debts").records.remove(0);
    admin(&world.ports(), "desk", &debt.key, Verb::Retry)
        .await
        .expect("asked for");
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}
