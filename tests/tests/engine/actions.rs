//! What is done in the mailbox after import: after the record, with its own tries, holding nothing (P37, P50, P51, P54).

use std::time::Duration;

use shared::{
    account::AfterImport,
    import::report::Outcome,
    memory::{StoreCall, StoreFault},
};
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::{DESK, World};

async fn world(after: &str, count: usize) -> World {
    let world = World::new(1);
    world.fill(count);
    world
        .usual(|account| account.after_import = AfterImport::parse(after).expect("an action"))
        .await;
    world
}

fn folders(world: &World) -> Vec<String> {
    let mut folders: Vec<String> = world
        .simulator
        .truth(Some(DESK))
        .into_iter()
        .filter_map(|mail| mail.folder)
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

#[tokio::test(start_paused = true)]
async fn moved_mail_is_in_its_new_folder_and_stays_imported_once() {
    let world = world("move:archive", 40).await;
    let report = world.settle("desk", 2).await;
    assert_eq!(folders(&world), ["archive"], "{report:#?}");
    world.audit().all_imported().await;
    let idle = world.run("desk").await;
    assert_eq!(
        (idle.imported, idle.requests_total),
        (0, 1),
        "our own moves cost nothing: {idle:#?}"
    );
    let moves = world.simulator.stats();
    assert_eq!(
        (moves.count(RequestKind::Move), moves.count(RequestKind::Get)),
        (40, 0),
        "one request per wanted write"
    );
}

#[tokio::test(start_paused = true)]
async fn deleted_mail_is_deleted_after_it_is_recorded() {
    let world = world("delete", 10).await;
    world.settle("desk", 2).await;
    assert!(!folders(&world).contains(&"inbox".to_owned()), "{:?}", folders(&world));
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_move_whose_answer_is_lost_is_looked_at_and_not_done_twice() {
    let world = world("move:archive", 5).await;
    world.simulator.arm(FaultSpec::once(
        RequestKind::Move,
        Fault::CutBody {
            after: 10,
            how: simulator::Cut::Abort,
        },
    ));
    let first = world.run("desk").await;
    assert_eq!(
        (first.outcome, first.actions_pending),
        (Outcome::Incomplete, 1),
        "{first:#?}"
    );
    world.settle("desk", 3).await;
    let truth = world.simulator.truth(Some(DESK));
    assert!(
        truth.iter().all(|mail| mail.folder_history.len() == 2),
        "each was moved once"
    );
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_to_write_holds_nothing_and_is_said() {
    let world = world("mark-read", 6).await;
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Patch, Fault::AccessDenied).always());
    let report = world.run("desk").await;
    assert_eq!((report.imported, report.actions_pending), (6, 6), "{report:#?}");
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.what.contains("Mail.ReadWrite")),
        "{report:#?}"
    );
    world.fill(1);
    assert_eq!(world.run("desk").await.imported, 1, "import goes on");
    world.simulator.clear_faults();
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
    assert!(world.simulator.truth(Some(DESK)).iter().all(|mail| mail.read));
}

#[tokio::test(start_paused = true)]
async fn a_folder_to_move_to_that_is_not_there_is_said_and_retried() {
    let world = world("move:Done", 3).await;
    let report = world.run("desk").await;
    assert_eq!((report.imported, report.actions_pending), (3, 3));
    assert!(
        report.problems.iter().any(|problem| problem.what.contains("`Done`")),
        "{report:#?}"
    );
    world.simulator.create_folder(DESK, "Done", false).expect("a folder");
    world.settle("desk", 4).await;
    assert_eq!(folders(&world), ["Done"]);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_left_before_its_action_is_no_trouble() {
    let world = world("mark-read", 3).await;
    let gone = world.simulator.truth(None)[1].immutable_id.clone();
    let throttled = Fault::TooManyRequests {
        retry_after: RetryAfter::Seconds(500),
        wording: Wording::Json,
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Patch, throttled).message(&gone));
    world.run("desk").await;
    world.simulator.purge_message(DESK, &gone).expect("purged");
    world.settle("desk", 4).await;
    let messages = world.audit().consistent().await;
    assert_eq!(messages[&gone].action.as_ref().expect("an action").state, "gone");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_answer_is_lost_is_not_done_twice() {
    for fault in [
        Fault::CutBody {
            after: 0,
            how: simulator::Cut::Abort,
        },
        Fault::Reset,
        Fault::Status {
            status: 504,
            code: None,
            message: String::new(),
        },
    ] {
        let world = world("delete", 5).await;
        world
            .simulator
            .arm(FaultSpec::once(RequestKind::Delete, fault.clone()).times(2));
        world.run("desk").await;
        world.settle("desk", 4).await;
        world.audit().all_imported().await;
        let truth = world.simulator.truth(Some(DESK));
        assert!(
            truth.iter().all(|mail| !mail.deleted),
            "{fault:?}: destroyed instead of deleted"
        );
        assert!(
            truth.iter().all(|mail| mail.folder.as_deref() == Some("deleteditems")),
            "{fault:?}"
        );
        world.simulator.clear_faults();
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_last_mail_comes_slowly_the_others_are_acted_on() {
    let world = world("mark-read", 12).await;
    let slow = Fault::SlowBody {
        chunk: usize::MAX,
        delay_ms: 10_000,
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Value, slow));
    let read = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        let truth = world.simulator.truth(Some(DESK));
        truth.iter().filter(|mail| mail.read).count()
    };
    let (report, read) = tokio::join!(world.run("desk"), read);
    assert_eq!(read, 11, "{report:#?}");
    assert_eq!((report.imported, report.acted), (12, 12), "{report:#?}");
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_done_already_is_not_counted_as_done_again_by_a_run_that_is_shown_the_past() {
    let world = world("move:archive", 5).await;
    let unwell = || {
        let fault = Fault::Unavailable {
            retry_after: RetryAfter::Absent,
            wording: Wording::Json,
        };
        FaultSpec::once(RequestKind::Move, fault).always()
    };
    world.simulator.arm(unwell());
    world.run("desk").await;
    assert_eq!(world.row("desk").await.actions, 5);
    world.simulator.clear_faults();
    world.simulator.arm(unwell().after(2));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    world.run("desk").await;
    let left = world.row("desk").await.actions;
    assert!((1..5).contains(&left), "some are done: {left}");
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    world.memory.store.faults().arm(StoreCall::Query, StoreFault::Stale, 4);
    let report = world.run("desk").await;
    world.memory.store.faults().clear();
    assert_eq!(world.row("desk").await.actions, 0, "{report:#?}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.run("desk").await.outcome, Outcome::Done);
    assert_eq!(
        (world.row("desk").await.actions, folders(&world)),
        (0, vec!["archive".to_owned()])
    );
}
