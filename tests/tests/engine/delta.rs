//! Delta as it really is: removals, resets, loops, empty and failing pages, drafts (P40, P41, P45, rule 4).

use shared::{
    import::{RunOptions, report::Outcome},
    message::Disposition,
};
use simulator::{Corruption, Delivery, Fault, FaultSpec, Mime, RequestKind};
use tests::world::{DESK, Point, World};

fn mail(subject: &str) -> Mime {
    Mime::from(
        format!("From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@b.example>\r\n\r\nhello\r\n")
            .into_bytes(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_reset_in_every_form_walks_anew_and_emits_nothing_twice() {
    for fault in [
        Fault::Gone { location: true },
        Fault::Gone { location: false },
        Fault::SyncStateNotFound,
    ] {
        let world = World::new(1);
        world.fill(450);
        world.usual(|_| {}).await;
        // In the middle of the first walk, and again on the way.
        world
            .simulator
            .arm(FaultSpec::once(RequestKind::Delta, fault.clone()).after(1));
        world.settle("desk", 3).await;
        world.simulator.arm(FaultSpec::once(RequestKind::Delta, fault));
        world.fill(3);
        let report = world.run("desk").await;
        assert_eq!((report.imported, report.outcome), (3, Outcome::Done), "{report:#?}");
        world.audit().all_imported().await;
    }
}

#[tokio::test(start_paused = true)]
async fn three_resets_in_a_row_are_said_loudly_and_mail_still_flows() {
    let world = World::new(2);
    world.fill(5);
    world.usual(|_| {}).await;
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Delta, Fault::SyncStateNotFound).always());
    let mut said = false;
    for _ in 0..4 {
        let report = world.run("desk").await;
        said |= report.problems.iter().any(|problem| problem.what.contains("in a row"));
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    }
    assert!(said, "it was not said");
    world.audit().all_imported().await;
    world.simulator.clear_faults();
    world.fill(2);
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
    assert!(
        world
            .row("desk")
            .await
            .folders
            .values()
            .all(|folder| folder.listing.is_none()),
        "delta again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_item_is_set_aside_and_everything_else_comes_in() {
    for how in [Corruption::InCompany, Corruption::Always] {
        let world = World::new(3);
        world.fill(230);
        let bad = world.simulator.truth(None)[100].immutable_id.clone();
        world.simulator.corrupt(DESK, &bad, Some(how)).expect("corrupt");
        world.usual(|_| {}).await;
        let mut report = world.run("desk").await;
        for _ in 0..3 {
            tokio::time::sleep(std::time::Duration::from_secs(300)).await;
            report = world.run("desk").await;
        }
        let messages = world.audit().consistent().await;
        assert_eq!(
            messages[&bad].disposition,
            Disposition::Quarantined,
            "{how:?} {report:#?}"
        );
        assert!(
            messages[&bad]
                .reason
                .as_deref()
                .is_some_and(|reason| reason.contains("request-id"))
        );
        assert_eq!(messages.len(), 230, "{how:?}: everything else came in: {report:#?}");
        world.fill(2);
        world.run("desk").await;
        assert_eq!(world.messages("desk").await.len(), 232, "{how:?}: new mail goes on");
        world.simulator.corrupt(DESK, &bad, None).expect("repaired");
        let key = messages[&bad].key.clone();
        shared::import::debt::admin(&world.ports(), "desk", &key, shared::import::debt::Verb::Retry)
            .await
            .expect("retried");
        world.settle("desk", 3).await;
        world.audit().all_imported().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_link_gets_nothing_from_us() {
    let world = World::new(4);
    world.fill(250);
    world.usual(|_| {}).await;
    let foreign = Fault::ForeignLink {
        url: "https://evil.example/v1.0/users/x/messages/delta".into(),
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Delta, foreign));
    world.settle("desk", 4).await;
    assert!(
        world.wire.asked().iter().all(|(host, _)| host == "simulator.test"),
        "nothing went elsewhere"
    );
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn loops_empty_pages_and_repetitions_end() {
    for fault in [
        Fault::LoopingLink { changing: false },
        Fault::LoopingLink { changing: true },
        Fault::EmptyPage,
        Fault::Duplicates,
        Fault::ControlCharacters,
    ] {
        let world = World::new(5);
        world.fill(430);
        world.usual(|_| {}).await;
        world
            .simulator
            .arm(FaultSpec::once(RequestKind::Delta, fault.clone()).times(6));
        for _ in 0..5 {
            world.run("desk").await;
            tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        }
        world.simulator.clear_faults();
        world.settle("desk", 3).await;
        println!("{fault:?}");
        world.audit().all_imported().await;
    }
}

#[tokio::test(start_paused = true)]
async fn drafts_wait_chats_stay_out_and_meetings_come_in() {
    let world = World::new(6);
    let mut draft = Delivery::inbox(mail("draft"));
    draft.draft = true;
    let draft = world.simulator.deliver(DESK, draft).expect("delivered");
    let chat = world
        .simulator
        .deliver(DESK, Delivery::inbox(Mime::from(b"Subject: IM\r\n\r\nhi".to_vec())))
        .expect("delivered");
    let invitation = "Subject: meet\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n";
    let meeting = world
        .simulator
        .deliver(DESK, Delivery::inbox(Mime::from(invitation.as_bytes().to_vec())))
        .expect("delivered");
    world.usual(|_| {}).await;
    let report = world.run("desk").await;
    let messages = world.audit().consistent().await;
    assert_eq!(messages[&draft].disposition, Disposition::Filtered, "{report:#?}");
    assert_eq!(messages[&chat].disposition, Disposition::Filtered);
    assert_eq!(messages[&meeting].disposition, Disposition::Imported);
    world.simulator.send_draft(DESK, &draft).expect("sent");
    world.simulator.move_message(DESK, &draft, "inbox").expect("moved");
    // Delta may lose what leaves and comes back; the daily walk finds it.
    tokio::time::sleep(std::time::Duration::from_secs(25 * 3600)).await;
    world.run("desk").await;
    let messages = world.audit().consistent().await;
    assert_eq!(
        messages[&draft].disposition,
        Disposition::Imported,
        "{:?}",
        messages[&draft]
    );
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_visits_another_folder_between_rounds_is_not_lost() {
    for readings in simulator::Readings::all_variants() {
        let world = World::with(
            7,
            simulator::Options {
                readings,
                ..simulator::Options::default()
            },
        );
        world.fill(3);
        world.usual(|_| {}).await;
        world.run("desk").await;
        let new = world
            .simulator
            .deliver(DESK, Delivery::inbox(mail("visitor")))
            .expect("delivered");
        world.simulator.move_message(DESK, &new, "archive").expect("moved");
        world.simulator.move_message(DESK, &new, "inbox").expect("moved back");
        world.run("desk").await;
        // What delta never shows, the daily walk finds.
        tokio::time::sleep(std::time::Duration::from_secs(25 * 3600)).await;
        world.settle("desk", 3).await;
        println!("{readings:?}");
        world.audit().all_imported().await;
    }
}

#[tokio::test(start_paused = true)]
async fn removed_is_asked_about_and_never_believed() {
    let world = World::new(8);
    world.fill(3);
    world.usual(|_| {}).await;
    world.run("desk").await;
    let kept = world.simulator.truth(None)[0].immutable_id.clone();
    world.simulator.move_message(DESK, &kept, "archive").expect("moved");
    let purged = world.simulator.truth(None)[1].immutable_id.clone();
    world.simulator.purge_message(DESK, &purged).expect("purged");
    world.run("desk").await;
    // Nothing imported is ever taken back.
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_folder_is_said_and_another_one_goes_on() {
    let world = World::new(9);
    world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
    world.fill(2);
    world
        .usual(|account| {
            account
                .folders
                .push(shared::account::FolderName::parse("Orders").expect("a folder"));
        })
        .await;
    world.settle("desk", 2).await;
    world.simulator.delete_folder(DESK, "Orders").expect("deleted");
    world.fill(2);
    let report = world.run("desk").await;
    assert_eq!(report.imported, 2, "{report:#?}");
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.folder.as_deref() == Some("Orders")),
        "{report:#?}"
    );
    assert_ne!(report.exit_code(), 0);
}

/// What arrives while an earlier run's round is only half read lies behind: whoever finishes that round reads on.
#[tokio::test(start_paused = true)]
async fn a_round_that_an_earlier_run_began_is_not_the_end_of_a_run() {
    let world = World::new(91);
    world.fill(230);
    world.usual(|_| {}).await;
    let mut step = 40;
    // Whichever step it is that ends a life between two pages.
    loop {
        world.crash.arm(Point::After(step));
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        let died = world.crash.or(importer.run("desk", &options)).await.is_none();
        world.restart();
        world.crash.disarm();
        assert!(died, "the folder was read before a life ended between two of its pages");
        if world.row("desk").await.folders.values().any(|folder| folder.midway) {
            break;
        }
        step += 20;
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    }
    world.fill(1);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    let report = world.run("desk").await;
    assert_eq!((report.outcome, report.more), (Outcome::Done, false), "{report:?}");
    world.audit().all_imported().await;
    let rows = world.row("desk").await.folders;
    assert!(rows.values().all(|folder| !folder.midway), "{rows:?}");
}
