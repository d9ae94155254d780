//! The process dies at every step, before and after its effect: the next one loses nothing and doubles nothing.

use shared::import::RunOptions;
use simulator::Options;
use tests::world::{Crash, Point, World};

/// One run that dies at `point`, then runs until it is settled. `false`: there is no such step any more.
async fn dies_at(seed: u64, point: Point, after: &str) -> bool {
    let world = World::with(
        seed,
        Options {
            vary_mime: true,
            ..Options::default()
        },
    );
    world.fill(7);
    world
        .usual(|account| account.after_import = shared::account::AfterImport::parse(after).expect("an action"))
        .await;
    world.crash.arm(point);
    let died = {
        let crash: &Crash = &world.crash;
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        crash.or(importer.run("desk", &options)).await.is_none()
    };
    world.restart();
    world.fill(1);
    world.settle("desk", 6).await;
    world.audit().varying().all_imported().await;
    let row = world.row("desk").await;
    assert!(
        row.in_flight.is_empty(),
        "the strike marker is clear at rest: {:?} {point:?}",
        row.in_flight
    );
    died
}

async fn at_every_step(after: &str) {
    let mut died = 0;
    for step in 0.. {
        let before = dies_at(11, Point::Before(step), after).await;
        let later = dies_at(11, Point::After(step), after).await;
        died += u32::from(before) + u32::from(later);
        if !before && !later {
            break;
        }
    }
    println!("{died} crash points ({after})");
    assert!(died > 60, "only {died} steps were found");
}

#[tokio::test(start_paused = true)]
async fn at_every_step_of_a_plain_import() {
    at_every_step("none").await;
}

#[tokio::test(start_paused = true)]
async fn at_every_step_of_an_import_that_marks() {
    at_every_step("mark-read").await;
}

#[tokio::test(start_paused = true)]
async fn at_every_step_of_an_import_that_moves() {
    at_every_step("move:archive").await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_kills_the_process_is_set_aside_after_three_strikes_with_its_bytes() {
    let world = World::new(5);
    world.fill(9);
    world.usual(|_| {}).await;
    let killer = world.simulator.truth(None)[4].immutable_id.clone();
    for life in 1..=8 {
        // Three lives die of it. After that only its bytes are taken, which does no harm.
        if life <= 3 {
            world.wire.kill_on(&killer);
        }
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        let died = world.crash.or(importer.run("desk", &options)).await.is_none();
        world.restart();
        if !died {
            break;
        }
        assert!(life <= 3, "a life too many");
        world.wire.spare();
    }
    world.wire.spare();
    world.run("desk").await;
    let messages = world.audit().consistent().await;
    let message = &messages[&killer];
    assert_eq!(
        message.disposition,
        shared::message::Disposition::Quarantined,
        "{message:?}"
    );
    let archived = message.archived.as_ref().expect("its bytes are kept");
    assert_eq!(archived.sha256, world.simulator.truth(None)[4].sha256);
    assert_eq!(
        messages
            .values()
            .filter(|mail| mail.disposition == shared::message::Disposition::Imported)
            .count(),
        8,
        "the others went on"
    );
}

#[tokio::test(start_paused = true)]
async fn what_dead_runs_left_in_the_archive_goes_and_nothing_else() {
    let world = World::new(6);
    world.fill(12);
    world.usual(|_| {}).await;
    for step in [25, 30, 35] {
        world.crash.arm(Point::After(step));
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        assert!(
            world.crash.or(importer.run("desk", &options)).await.is_none(),
            "step {step}"
        );
        world.restart();
    }
    world.settle("desk", 3).await;
    // The last lease's own attempts are left alone until the next one.
    world.run("desk").await;
    let row = world.row("desk").await;
    let removed = shared::import::reconcile::orphans(&world.ports(), &world.archive(), &row)
        .await
        .expect("reconciled");
    assert!(removed > 0, "the dead runs left nothing");
    world.audit().all_imported().await;
    let again = shared::import::reconcile::orphans(&world.ports(), &world.archive(), &row)
        .await
        .expect("reconciled");
    assert_eq!(again, 0);
}
