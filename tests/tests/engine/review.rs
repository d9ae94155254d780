//! What must not hold an account up, lose a mail or accuse one: cases of single rules that meet.

use std::time::Duration;

use shared::{
    account::{AfterImport, FolderName},
    error::AccountState,
    import::{RunOptions, report::Outcome},
    memory::{StoreCall, StoreFault},
    ports::Clock as _,
    records::accounts::Accounts,
};
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::{DESK, World};

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_in_hand_when_a_run_has_to_wait_gets_no_strike() {
    let world = World::new(1);
    world.fill(3);
    world.usual(|_| {}).await;
    let throttled = Fault::TooManyRequests {
        retry_after: RetryAfter::Seconds(300),
        wording: Wording::Json,
    };
    for _ in 0..6 {
        world
            .simulator
            .arm(FaultSpec::once(RequestKind::Value, throttled.clone()));
        assert_eq!(world.run("desk").await.outcome, Outcome::Waiting);
        assert!(world.row("desk").await.in_flight.is_empty(), "nothing died");
        later(301).await;
    }
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn links_that_always_lead_elsewhere_end_every_run() {
    let world = World::new(2);
    world.fill(250);
    world.usual(|_| {}).await;
    let foreign = Fault::ForeignLink {
        url: "https://evil.example/v1.0/users/x/messages".into(),
    };
    for kind in [RequestKind::Delta, RequestKind::List] {
        world.simulator.arm(FaultSpec::once(kind, foreign.clone()).always());
    }
    for _ in 0..6 {
        let before = world.wire.count();
        let report = world.run("desk").await;
        assert!(world.wire.count() - before < 300, "{report:#?}");
        assert_ne!(report.outcome, Outcome::Done);
        later(300).await;
    }
    world.simulator.clear_faults();
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn an_absurd_wait_of_the_login_host_is_cut() {
    let world = World::new(3);
    world.fill(2);
    world.usual(|_| {}).await;
    let busy = Fault::TooManyRequests {
        retry_after: RetryAfter::Absurd,
        wording: Wording::Json,
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Token, busy));
    assert_eq!(world.run("desk").await.outcome, Outcome::Waiting);
    later(16 * 60).await;
    assert_eq!(world.run("desk").await.imported, 2);
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_not_the_admins_fault() {
    let world = World::new(4);
    world.fill(2);
    world.usual(|_| {}).await;
    world
        .memory
        .store
        .faults()
        .arm(StoreCall::Get, StoreFault::Unavailable, 1);
    let report = world.run("desk").await;
    assert_eq!(
        (report.outcome, report.state),
        (Outcome::Waiting, AccountState::Waiting),
        "{report:#?}"
    );
    later(200).await;
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_gone_holds_no_other_in_any_run() {
    let world = World::new(5);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(2);
    world
        .usual(|account| account.folders.push(FolderName::parse("Orders").expect("a folder")))
        .await;
    world.settle("desk", 2).await;
    world.simulator.delete_folder(DESK, "Orders").expect("deleted");
    for _ in 0..3 {
        world.fill(2);
        let report = world.run("desk").await;
        assert_eq!(
            (report.imported, report.state),
            (2, AccountState::NeedsAdmin),
            "{report:#?}"
        );
        assert_ne!(report.exit_code(), 0);
        later(300).await;
    }
    // It is found again under its name.
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.simulator.fill(DESK, "Orders", 1, 1).expect("filled");
    assert_eq!(world.settle("desk", 2).await.state, AccountState::Healthy);
    assert_eq!(world.row("desk").await.recorded, 9);
}

#[tokio::test(start_paused = true)]
async fn a_move_that_a_gateway_gave_up_on_is_not_sent_again_blindly() {
    let world = World::new(6);
    world.fill(1);
    world
        .usual(|account| account.after_import = AfterImport::parse("move:archive").expect("an action"))
        .await;
    let gave_up = Fault::Status {
        status: 504,
        code: Some("UnknownError".into()),
        message: String::new(),
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Move, gave_up));
    let report = world.run("desk").await;
    assert_eq!(
        (world.simulator.stats().count(RequestKind::Move), report.actions_pending),
        (1, 1),
        "{report:#?}"
    );
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_404_is_no_word_on_a_mail_however_often_it_comes() {
    let world = World::new(8);
    world.fill(3);
    world.usual(|_| {}).await;
    let there = world.simulator.truth(None)[1].immutable_id.clone();
    world.simulator.arm(
        FaultSpec::once(RequestKind::Value, Fault::EmptyNotFound)
            .message(&there)
            .always(),
    );
    let report = world.run("desk").await;
    assert_eq!((report.gone, report.owed), (0, 1), "{report:#?}");
    world.simulator.clear_faults();
    later(600).await;
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_outbox_does_not_carry_a_run_past_its_deadline() {
    let world = World::new(9);
    world.fill(150);
    world.usual(|_| {}).await;
    world
        .memory
        .publisher
        .faults()
        .arm(None, shared::memory::PublisherFault::Refused, 1);
    assert!(world.run("desk").await.undelivered > 0);
    let options = RunOptions {
        deadline: Some(jiff::Timestamp::UNIX_EPOCH),
        ..RunOptions::new("test")
    };
    let report = world.run_with("desk", &options).await;
    assert_eq!((report.delivered, report.more), (0, true), "{report:#?}");
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_can_neither_be_followed_nor_listed_holds_no_other() {
    let world = World::new(10);
    let mut names = Vec::new();
    for number in 0..6 {
        let name = format!("Area {number}");
        world.simulator.create_folder(DESK, &name, false).expect("a folder");
        names.push(FolderName::parse(&name).expect("a folder"));
    }
    world.usual(|account| account.folders.extend(names)).await;
    world.settle("desk", 2).await;
    for number in 0..6 {
        world
            .simulator
            .fill(DESK, &format!("Area {number}"), 1, 1)
            .expect("filled");
    }
    let broken = Fault::Status {
        status: 500,
        code: None,
        message: String::new(),
    };
    for kind in [RequestKind::List, RequestKind::Delta] {
        world.simulator.arm(FaultSpec::once(kind, broken.clone()).always());
    }
    let report = world.run("desk").await;
    let said: std::collections::BTreeSet<_> = report.problems.iter().filter_map(|one| one.folder.clone()).collect();
    assert_eq!(
        (report.outcome, said.len()),
        (Outcome::Incomplete, 7),
        "every folder had its turn: {report:#?}"
    );
    world.simulator.clear_faults();
    world.settle("desk", 3).await;
    assert_eq!(world.row("desk").await.recorded, 6);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_refused_in_words_nobody_foresaw_is_a_lost_state() {
    let world = World::new(11);
    world.fill(3);
    world.usual(|_| {}).await;
    world.settle("desk", 2).await;
    let refused = Fault::Status {
        status: 400,
        code: Some("ErrorInvalidRequest".into()),
        message: "badly formed token".into(),
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Delta, refused));
    world.fill(2);
    assert_eq!(world.run("desk").await.imported, 2);
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_mailbox_from_before_the_start_is_walked_past_in_one_run() {
    let world = World::new(12);
    // More pages than one transaction has rows for.
    world.fill(110 * 200);
    later(3600).await;
    world.usual(|account| account.start = shared::account::Start::Now).await;
    let first = world.run("desk").await;
    assert_eq!(
        (first.before_start, first.outcome),
        (110 * 200, Outcome::Done),
        "{first:#?}"
    );
    let next = world.run("desk").await;
    assert_eq!((next.pages, next.before_start), (1, 0), "{next:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_to_move_to_that_cannot_be_looked_up_holds_no_import() {
    let world = World::new(13);
    world.fill(2);
    world
        .usual(|account| account.after_import = AfterImport::parse("move:Done").expect("an action"))
        .await;
    world.simulator.create_folder(DESK, "Done", false).expect("a folder");
    world.settle("desk", 2).await;
    let broken = Fault::Status {
        status: 500,
        code: None,
        message: String::new(),
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Folders, broken).always());
    world.fill(2);
    let report = world.run("desk").await;
    assert_eq!(
        (report.outcome, report.imported, report.actions_pending),
        (Outcome::Incomplete, 2, 2),
        "{report:#?}"
    );
    world.simulator.clear_faults();
    later(600).await;
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_from_a_clock_that_was_years_ahead_holds_nobody() {
    let world = World::new(14);
    world.fill(2);
    world.usual(|_| {}).await;
    world.run("desk").await;
    world.fill(2);
    let ahead = world.clock.now().as_millisecond() + 400 * 24 * 3_600_000;
    let set = [("lease_until".to_owned(), ahead.into())].into();
    let held = shared::ports::Write::set(Accounts::key("desk"), set);
    world.ports().store.update(held).await.expect("held");
    assert_eq!(world.run("desk").await.imported, 2);
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn kilobytes_where_a_name_belongs_hold_no_account() {
    let world = World::new(15);
    let long = "\\\\\"q ".repeat(14_000);
    let mime = format!(
        "From: \"{long}\" <a@b.example>\r\nTo: \"{long}\" <c@d.example>\r\nSubject: {long}\r\nMessage-ID: <{}@b>\r\n\r\nx\r\n",
        "m".repeat(60_000)
    );
    world
        .simulator
        .deliver(
            DESK,
            simulator::Delivery::inbox(simulator::Mime::from(mime.into_bytes())),
        )
        .expect("delivered");
    world.usual(|_| {}).await;
    world.settle("desk", 1).await;
    world.audit().all_imported().await;
    let size = serde_json::to_string(&world.events("desk")[0]).expect("JSON").len();
    assert!(size < 20_000, "an event of {size} bytes");
}
