//! Several accounts on one mailbox, folders by name, and mailboxes that are none (P26 to P30).

use std::sync::Arc;

use shared::{
    account::{FolderName, Mailbox},
    error::AccountState,
    import::{RunOptions, report::Outcome},
    memory::{StoreCall, StoreFault},
    records::{RecordError, accounts::Accounts},
};
use tests::world::{DESK, World};

fn folder(name: &str) -> FolderName {
    FolderName::parse(name).expect("a folder")
}

#[tokio::test(start_paused = true)]
async fn a_second_account_on_the_same_folder_is_refused_and_on_another_they_take_turns() {
    let world = World::new(1);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(20);
    world.simulator.fill(DESK, "Orders", 7, 10).expect("filled");
    world.usual(|_| {}).await;
    world.run("desk").await;
    let accounts = Accounts::new(world.ports().store);
    let mut second = world.account("orders");
    let key = world.row("desk").await.mailbox;
    let refused = accounts
        .add(&second, &key, jiff::Timestamp::UNIX_EPOCH)
        .await
        .expect_err("the same folder");
    assert!(
        matches!(&refused, RecordError::Field(field) if field.reason.contains("`desk`")),
        "{refused}"
    );
    second.folders = vec![folder("Orders")];
    world.add_account(&second).await;
    let (one, two) = (world.importer(), world.importer());
    let options = shared::import::RunOptions::new("test");
    let (first, other) = tokio::join!(one.run("desk", &options), two.run("orders", &options));
    let outcomes = [first.expect("a run").outcome, other.expect("a run").outcome];
    assert!(
        outcomes.contains(&Outcome::Busy) && outcomes.contains(&Outcome::Done),
        "they take turns: {outcomes:?}"
    );
    world.settle("orders", 2).await;
    world.settle("desk", 2).await;
    assert_eq!(world.row("desk").await.recorded, 20);
    assert_eq!(world.row("orders").await.recorded, 7);
    assert!(world.simulator.stats().mailboxes[DESK].max_concurrent <= 4);
}

#[tokio::test(start_paused = true)]
async fn a_folder_under_another_name_is_found_out_when_it_is_opened() {
    let world = World::new(2);
    world.fill(3);
    world.usual(|_| {}).await;
    world.run("desk").await;
    let mut second = world.account("second");
    let id = world.simulator.folder_id(DESK, "inbox").expect("an id");
    second.folders = vec![folder(&format!("id:{id}"))];
    world.add_account(&second).await;
    let report = world.run("second").await;
    assert_eq!(
        (report.outcome, report.state, report.imported),
        (Outcome::Failed, AccountState::NeedsAdmin, 0),
        "{report:#?}"
    );
    assert!(report.problems[0].what.contains("`desk`"));
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_moves_between_two_accounts_is_imported_once() {
    let world = World::new(3);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(6);
    world
        .usual(|account| account.after_import = shared::account::AfterImport::Move(folder("Orders")))
        .await;
    let mut second = world.account("orders");
    second.folders = vec![folder("Orders")];
    world.add_account(&second).await;
    world.settle("desk", 2).await;
    let report = world.settle("orders", 2).await;
    assert_eq!((report.imported, report.known), (0, 6), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn folders_by_path_in_any_case_with_subfolders_on_all_pages() {
    let world = World::new(4);
    for number in 0..25 {
        world
            .simulator
            .create_folder(DESK, &format!("Inbox/Area {number:02}"), false)
            .expect("a folder");
    }
    world
        .simulator
        .create_folder(DESK, "Inbox/Area 17/Deep", false)
        .expect("a folder");
    world.simulator.fill(DESK, "Inbox/Area 17/Deep", 3, 1).expect("filled");
    world.simulator.fill(DESK, "Inbox/Area 24", 2, 1).expect("filled");
    world
        .usual(|account| {
            account.folders = vec![folder("INBOX/area 17"), folder("inbox/Area 24")];
            account.subfolders = true;
        })
        .await;
    let report = world.settle("desk", 2).await;
    assert_eq!(report.imported, 5, "{report:#?}");
    // A renamed folder stays the same folder.
    world
        .simulator
        .rename_folder(DESK, "Inbox/Area 24", "Renamed")
        .expect("renamed");
    world.simulator.fill(DESK, "Inbox/Renamed", 1, 1).expect("filled");
    assert_eq!(world.run("desk").await.imported, 1);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_none_is_said_with_its_cause() {
    let world = World::new(5);
    world
        .usual(|account| account.mailbox = Mailbox::parse("nobody@harbour-homes.example").expect("an address"))
        .await;
    let report = world.run("desk").await;
    assert_eq!(
        (report.outcome, report.exit_code()),
        (Outcome::Failed, 4),
        "{report:#?}"
    );
    assert!(
        report.problems[0].what.contains("no mailbox of this address"),
        "{report:#?}"
    );
    assert!(
        report.problems[0].request_id.is_some(),
        "what Microsoft's support asks for"
    );
    let other = World::new(6);
    other.usual(|_| {}).await;
    other.simulator.enable_mailbox(DESK, false).expect("disabled");
    assert!(other.run("desk").await.problems[0].what.contains("licence"));
    other.simulator.enable_mailbox(DESK, true).expect("enabled");
    other.simulator.set_in_policy(DESK, false).expect("set");
    assert!(other.run("desk").await.problems[0].what.contains("access policy"));
    let steps = other
        .importer()
        .check("desk", std::time::Duration::from_secs(5))
        .await
        .expect("a check");
    assert!(
        steps
            .iter()
            .any(|step| !step.ok && step.detail.contains("access policy")),
        "{steps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_folder_is_said_with_what_there_is() {
    let world = World::new(7);
    world
        .simulator
        .create_folder(DESK, "Aufträge", false)
        .expect("a folder");
    world.usual(|account| account.folders = vec![folder("Orders")]).await;
    let report = world.run("desk").await;
    assert!(
        report.problems[0].what.contains("`Orders`") && report.problems[0].what.contains("Aufträge"),
        "{report:#?}"
    );
}

/// Fences go up wherever the lease lies, also when an account comes back beside another one of its mailbox.
#[tokio::test(start_paused = true)]
async fn the_fences_of_an_account_that_comes_back_go_on() {
    let world = World::new(8);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(3);
    world.usual(|_| {}).await;
    for _ in 0..5 {
        world.run("desk").await;
    }
    let accounts = Accounts::new(world.ports().store);
    let alone = world.row("desk").await;
    assert!(alone.fence >= 5, "the lease lay on the account");
    accounts.remove(&alone).await.expect("removed");
    let mut other = world.account("orders");
    other.folders = vec![folder("Orders")];
    world.add_account(&other).await;
    world.add_account(&world.account("desk")).await;
    world.run("desk").await;
    let beside = world.row("desk").await;
    assert_ne!(beside.lease_on, alone.lease_on, "two share it now");
    let item = world
        .ports()
        .store
        .get(&beside.lease_on)
        .await
        .expect("a store")
        .expect("an item");
    let fence = item.attributes["fence"].as_i64().expect("a number");
    assert!(fence > alone.fence, "{fence} after {}", alone.fence);
}

#[tokio::test(start_paused = true)]
async fn after_a_conflict_a_run_takes_the_lease_that_two_accounts_share_and_not_the_one_of_before() {
    let world = World::new(9);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(3);
    world.usual(|_| {}).await;
    // Its run leaves the name of a process on the account's own item, and that process is no more.
    let process = world.process("p1", Arc::new(world.clock.clone()));
    let run = process.importer.run("desk", &RunOptions::new("test")).await;
    assert_eq!(run.expect("a run").outcome, Outcome::Done);
    world.memory.bury(&process.instance);
    let mut other = world.account("orders");
    other.folders = vec![folder("Orders")];
    world.add_account(&other).await;
    let before = world.row("desk").await;
    assert_ne!(before.lease_on, before.key(), "two share it");
    let faults = world.memory.store.faults();
    faults.arm(StoreCall::Update, StoreFault::Conflict, 1);
    let run = world.importer().run("desk", &RunOptions::new("test")).await;
    assert_eq!(run.expect("a run").outcome, Outcome::Done);
    assert_eq!(faults.armed(), 0, "the conflict was met");
    let after = world.row("desk").await;
    assert_eq!(
        after.fence, before.fence,
        "nobody took a lease on the account's own item"
    );
}
