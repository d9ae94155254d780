//! Clouds in which a folder's changes are not offered: its list is read, nothing is lost and nothing comes twice.

use std::time::Duration;

use shared::{
    account::{FolderName, Start},
    import::{RunOptions, folder::Walk, report::Outcome},
    ports::Clock as _,
};
use simulator::{Delivery, RequestKind};
use tests::world::{DESK, Point, World};

const ANSWERS: [&str; 3] = ["badRequest", "notFound", "notImplemented"];

fn track(world: &World, how: &str) {
    let mut readings = world.simulator.readings();
    readings.set(&format!("changeTracking={how}")).expect("a reading");
    world.simulator.set_readings(readings);
}

fn mail(subject: &str) -> Delivery {
    let text = format!("From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@b.example>\r\n\r\nhello\r\n");
    Delivery::inbox(text.into_bytes())
}

/// A mail that came so long ago, in the archive folder.
fn elsewhere(world: &World, subject: &str, days: i64) -> String {
    let received = world.clock.now().as_millisecond() - days * 86_400_000;
    let delivery = mail(subject).folder("archive").received(received);
    world.simulator.deliver(DESK, delivery).expect("delivered")
}

fn asked_for_changes(world: &World) -> u64 {
    let stats = world.simulator.stats();
    stats.by_kind.get(&RequestKind::Delta).copied().unwrap_or_default()
}

async fn a_day_later() {
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_without_changes_is_fed_by_its_list() {
    for (seed, answer) in (1..).zip(ANSWERS) {
        let world = World::new(seed);
        track(&world, answer);
        world.fill(450);
        let moved = elsewhere(&world, "moved-in", 3);
        let deep = elsewhere(&world, "moved-deep-down", 900);
        world.usual(|_| {}).await;
        let first = world.run("desk").await;
        assert!(
            first
                .problems
                .iter()
                .any(|problem| problem.what.contains("does not offer the changes")),
            "{answer}: {first:#?}"
        );
        world.settle("desk", 3).await;
        world.audit().all_imported().await;
        let row = world.row("desk").await;
        let folder = row.folders.values().next().expect("a folder");
        assert!(
            folder.no_delta && folder.walk == Walk::Following,
            "{answer}: {folder:#?}"
        );
        assert!(
            folder
                .listing
                .as_deref()
                .is_some_and(|why| why.contains("list is read"))
        );

        // From now on nobody asks for changes, and a run without news reads the beginning of the list only.
        let before = asked_for_changes(&world);
        for subject in ["new-1", "new-2", "new-3"] {
            world.simulator.deliver(DESK, mail(subject)).expect("delivered");
        }
        world.simulator.move_message(DESK, &moved, "inbox").expect("moved");
        world.simulator.move_message(DESK, &deep, "inbox").expect("moved");
        let report = world.run("desk").await;
        assert_eq!(
            (report.imported, report.outcome),
            (4, Outcome::Done),
            "{answer}: {report:#?}"
        );
        let quiet = world.run("desk").await;
        assert!(quiet.imported == 0 && quiet.pages <= 3, "{answer}: {quiet:#?}");
        assert_eq!(asked_for_changes(&world), before, "{answer}: remembered");

        // Once a day the whole list, after asking for changes again.
        a_day_later().await;
        let report = world.run("desk").await;
        assert_eq!(report.imported, 1, "{answer}: what was moved in deep down: {report:#?}");
        assert!(asked_for_changes(&world) > before, "{answer}: asked again");
        world.audit().all_imported().await;

        // Offered after all.
        track(&world, "offered");
        a_day_later().await;
        world.fill(2);
        let report = world.settle("desk", 3).await;
        assert_eq!(report.outcome, Outcome::Done);
        world.audit().all_imported().await;
        let row = world.row("desk").await;
        let folder = row.folders.values().next().expect("a folder");
        assert!(
            !folder.no_delta && folder.listing.is_none() && folder.link.is_some(),
            "{folder:#?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_the_start_stays_out_and_what_is_moved_in_comes_in() {
    for (seed, answer) in (11..).zip(ANSWERS) {
        let world = World::new(seed);
        track(&world, answer);
        world.fill(250);
        let moved = elsewhere(&world, "moved-in", 40);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.usual(|account| account.start = Start::Now).await;
        let first = world.run("desk").await;
        assert_eq!((first.imported, first.before_start), (0, 250), "{answer}: {first:#?}");
        let old = world.simulator.truth(None)[17].immutable_id.clone();
        world.simulator.mark(DESK, &old, true).expect("marked");
        assert_eq!(
            world.run("desk").await.imported,
            0,
            "{answer}: somebody read an old mail"
        );
        world.simulator.move_message(DESK, &moved, "inbox").expect("moved");
        world.simulator.deliver(DESK, mail("new")).expect("delivered");
        assert_eq!(world.run("desk").await.imported, 2, "{answer}");
        for how in [answer, "offered"] {
            track(&world, how);
            a_day_later().await;
            assert_eq!(
                world.run("desk").await.imported,
                0,
                "{answer}, {how}: nothing old is new on another day"
            );
        }
        world.audit().accounted(250).await;
    }
}

/// Changes end one day, as when a mailbox moves between clouds: what came in between is on the list.
#[tokio::test(start_paused = true)]
async fn changes_that_end_one_day_lose_nothing() {
    for (seed, answer) in (21..).zip(ANSWERS) {
        let world = World::new(seed);
        // More than the pages that are read of a list day by day: what is old stands behind them.
        world.fill(400);
        let moved = elsewhere(&world, "moved-in", 400);
        world.usual(|_| {}).await;
        world.settle("desk", 2).await;
        track(&world, answer);
        world.simulator.move_message(DESK, &moved, "inbox").expect("moved");
        world.fill(2);
        world.settle("desk", 4).await;
        world.audit().all_imported().await;
        assert!(
            world.row("desk").await.folders.values().all(|folder| folder.no_delta),
            "{answer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn deaths_on_the_way_lose_nothing() {
    for (seed, answer) in (31..).zip(ANSWERS) {
        let world = World::new(seed);
        track(&world, answer);
        world.fill(230);
        let moved = elsewhere(&world, "moved-in", 400);
        world.usual(|_| {}).await;
        for (life, step) in [6, 9, 14, 40, 90, 200, 400].into_iter().enumerate() {
            world.crash.arm(Point::After(step));
            let (importer, options) = (world.importer(), RunOptions::new("test"));
            let died = world.crash.or(importer.run("desk", &options)).await.is_none();
            world.restart();
            assert!(died || step > 100, "{answer}: step {step}");
            if life == 4 {
                world.simulator.move_message(DESK, &moved, "inbox").expect("moved");
                world.fill(4);
            }
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
        world.crash.disarm();
        world.settle("desk", 4).await;
        a_day_later().await;
        world.settle("desk", 4).await;
        world.audit().all_imported().await;
    }
}

/// Others move mail away while the list is read: what slips past the pages is found all the same.
#[tokio::test(start_paused = true)]
async fn a_list_that_shifts_while_it_is_read_hides_nothing_for_long() {
    let world = World::new(41);
    track(&world, "notImplemented");
    world.fill(450);
    world.usual(|_| {}).await;
    for step in [30, 60, 120] {
        world.crash.arm(Point::After(step));
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        assert!(world.crash.or(importer.run("desk", &options)).await.is_none());
        world.restart();
        // The newest go: everything older moves up by as many places as a page of the list has.
        let mut newest = world.simulator.truth(None);
        newest.retain(|one| {
            one.folder
                .as_deref()
                .is_some_and(|folder| folder.eq_ignore_ascii_case("inbox"))
        });
        newest.sort_by_key(|one| std::cmp::Reverse(one.received_ms));
        for one in newest.iter().take(35) {
            if world.messages("desk").await.contains_key(&one.immutable_id) {
                world
                    .simulator
                    .move_message(DESK, &one.immutable_id, "archive")
                    .expect("moved");
            }
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
    }
    world.crash.disarm();
    world.settle("desk", 4).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_gone_is_gone_in_every_cloud() {
    for (seed, answer) in (51..).zip(ANSWERS.into_iter().chain(["offered"])) {
        let world = World::new(seed);
        track(&world, answer);
        world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
        world.simulator.fill(DESK, "Orders", 2, 1).expect("filled");
        world
            .usual(|account| account.folders = vec![FolderName::parse("Orders").expect("a folder")])
            .await;
        world.settle("desk", 2).await;
        world.simulator.delete_folder(DESK, "Orders").expect("deleted");
        let report = world.run("desk").await;
        assert!(
            report
                .problems
                .iter()
                .any(|problem| problem.what.contains("not there any more")),
            "{answer}: {report:#?}"
        );
        world.simulator.create_folder(DESK, "Orders", false).expect("a folder");
        world.simulator.fill(DESK, "Orders", 1, 1).expect("filled");
        let report = world.settle("desk", 2).await;
        assert_eq!(
            (report.outcome, world.row("desk").await.recorded),
            (Outcome::Done, 3),
            "{answer}"
        );
    }
}
