//! What lives that die of one mail leave, and what dead runs leave in the archive. Deaths at every step are the campaign's.

use std::{collections::BTreeMap, time::Duration};

use shared::{
    import::RunOptions,
    message::{Disposition, Message},
};
use tests::world::{Point, World};

/// Lives that die of one mail, until one does not.
async fn lives_until_set_aside(world: &World, killer: &str) -> u32 {
    for life in 1..10 {
        world.wire.kill_on(killer);
        let (importer, options) = (world.importer(), RunOptions::new("test"));
        let run = importer.run("desk", &options);
        // From the third strike on only its bytes are taken, which does no harm.
        let strikes = world
            .row("desk")
            .await
            .in_flight
            .values()
            .copied()
            .max()
            .unwrap_or_default();
        if strikes >= 3 {
            world.wire.spare();
        }
        let died = world.crash.or(run).await.is_none();
        world.restart();
        world.wire.spare();
        if !died {
            return life;
        }
    }
    panic!("it was never set aside");
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_kills_the_process_is_set_aside_after_three_strikes_with_its_bytes() {
    let world = World::new(5);
    world.fill(9);
    world.usual(|_| {}).await;
    let killer = world.simulator.truth(None)[4].immutable_id.clone();
    let lives = lives_until_set_aside(&world, &killer).await;
    assert_eq!(lives, 4, "three deaths, then it is set aside");
    let messages = world.audit().consistent().await;
    let message = &messages[&killer];
    assert_eq!(message.disposition, Disposition::Owed, "{message:?}");
    let archived = message.archived.as_ref().expect("its bytes are kept");
    assert_eq!(archived.sha256, world.simulator.truth(None)[4].sha256);
    let imported = |messages: &BTreeMap<String, Message>| {
        messages
            .values()
            .filter(|mail| mail.disposition == Disposition::Imported)
            .count()
    };
    assert_eq!(imported(&messages), 8, "the others went on");
    // It is tried once more by itself. It kills again: now it stays set aside.
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    lives_until_set_aside(&world, &killer).await;
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    let report = world.run("desk").await;
    assert_eq!(
        (report.owed, report.set_aside, report.exit_code()),
        (0, 1, 3),
        "{report:#?}"
    );
    let messages = world.audit().consistent().await;
    assert_eq!(messages[&killer].disposition, Disposition::Quarantined);
    assert!(messages[&killer].archived.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_only_was_in_hand_when_the_process_was_killed_heals_by_itself() {
    let world = World::new(5);
    world.fill(9);
    world.usual(|_| {}).await;
    let innocent = world.simulator.truth(None)[4].immutable_id.clone();
    lives_until_set_aside(&world, &innocent).await;
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
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
