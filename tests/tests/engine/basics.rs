//! The main path, under every reading of disputed facts.

use shared::{import::report::Outcome, message::Fidelity};
use simulator::{Options, Readings, RequestKind};
use tests::world::{DESK, World};

#[tokio::test(start_paused = true)]
async fn a_mailbox_imports_whole_and_the_next_run_is_idle() {
    let world = World::new(1);
    world.fill(60);
    world.usual(|_| {}).await;
    let report = world.run("desk").await;
    assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
    assert_eq!(report.exit_code(), 0);
    world.audit().all_imported().await;
    let before = world.wire.count();
    let idle = world.run("desk").await;
    assert_eq!(
        (idle.outcome, idle.imported, idle.requests_total),
        (Outcome::Done, 0, 1),
        "{idle:#?}"
    );
    assert_eq!(
        world.wire.count() - before,
        1,
        "an idle poll is one request per folder, and no token request"
    );
    assert_eq!(world.simulator.stats().tokens_issued, 1);
    assert_eq!(world.row("desk").await.idle_runs, 1);
}

#[tokio::test(start_paused = true)]
async fn the_main_path_holds_under_every_reading() {
    for (number, readings) in Readings::all_variants().into_iter().enumerate() {
        let world = World::with(
            number as u64,
            Options {
                readings,
                ..Options::default()
            },
        );
        world.fill(25);
        world
            .usual(|account| account.after_import = shared::account::AfterImport::MarkRead)
            .await;
        world.settle("desk", 3).await;
        world.fill(5);
        world.settle("desk", 3).await;
        world.audit().all_imported().await;
        let truth = world.simulator.truth(Some(DESK));
        assert!(
            truth.iter().filter(|mail| !mail.draft).all(|mail| mail.read),
            "{readings:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn requests_per_mail_are_one_for_mime_and_one_per_write() {
    let world = World::new(3);
    world.fill(200);
    world
        .usual(|account| account.after_import = shared::account::AfterImport::MarkRead)
        .await;
    let report = world.settle("desk", 2).await;
    world.audit().all_imported().await;
    let stats = world.simulator.stats();
    // A mail whose last part has no end is asked for once more, in case it was cut on the way.
    let twice = world
        .messages("desk")
        .await
        .values()
        .filter(|mail| mail.fidelity == Some(Fidelity::Incomplete))
        .count();
    assert_eq!(stats.count(RequestKind::Value), 200 + twice as u64);
    assert_eq!(stats.count(RequestKind::Patch), 200);
    assert_eq!(stats.count(RequestKind::Get), 0);
    assert_eq!(stats.mailboxes[DESK].throttled, 0, "{report:#?}");
    assert!(stats.mailboxes[DESK].max_concurrent <= 4);
}
