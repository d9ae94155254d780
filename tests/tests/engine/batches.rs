//! Marks by the batch: begun where the way to Microsoft is long, and no worse than single ones whatever happens in it.

use std::time::Duration;

use shared::{account::AfterImport, import::report::RunReport};
use simulator::{Fault, FaultSpec, Latency, Options, RequestKind, RetryAfter, Wording};
use tests::world::{DESK, World};

const MAILS: usize = 150;

async fn slow(service: u64, network: u64) -> World {
    let latency = Latency {
        service: Duration::from_millis(service),
        network: Duration::from_millis(network),
    };
    let options = Options {
        latency,
        ..Options::default()
    };
    let world = World::with(7, options);
    world.fill(MAILS);
    world
        .usual(|account| account.after_import = AfterImport::MarkRead)
        .await;
    world
}

/// Imports until nothing is left; everything is imported once and read.
async fn settled(world: &World) -> RunReport {
    let first = world.run("desk").await;
    world.settle("desk", 8).await;
    assert!(
        world.simulator.truth(Some(DESK)).iter().all(|mail| mail.read),
        "{first:#?}"
    );
    world.audit().all_imported().await;
    first
}

#[tokio::test(start_paused = true)]
async fn a_long_way_is_gone_once_for_many_marks() {
    let world = slow(20, 200).await;
    let report = settled(&world).await;
    let requests = report.requests;
    assert!(requests.batches >= 5, "{requests:#?}");
    assert_eq!(requests.writes, MAILS as u64, "one per wanted write: {requests:#?}");
    let stats = world.simulator.stats();
    assert_eq!(
        stats.count(RequestKind::Patch),
        MAILS as u64,
        "and as many at Microsoft"
    );
    assert_eq!(stats.count(RequestKind::Batch), requests.batches);
    assert_eq!(report.throttled, 0, "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_work_is_the_time_marks_go_one_by_one() {
    let world = slow(200, 0).await;
    let requests = settled(&world).await.requests;
    assert!(requests.batches <= 4, "those of the trial: {requests:#?}");
    assert_eq!(requests.writes, MAILS as u64);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_takes_no_other_with_it() {
    let throttled = Fault::TooManyRequests {
        retry_after: RetryAfter::Seconds(3),
        wording: Wording::Json,
    };
    for fault in [
        throttled,
        Fault::AccessDenied,
        Fault::EmptyNotFound,
        Fault::CorruptData,
        Fault::TokenExpired,
    ] {
        let world = slow(20, 200).await;
        // What Microsoft has in its hands already goes on while a part is told to wait: that is no haste of ours.
        world.forgive_haste();
        // The first marks are single ones: what fails later fails within a batch.
        world
            .simulator
            .arm(FaultSpec::once(RequestKind::Patch, fault.clone()).after(60).times(3));
        let report = settled(&world).await;
        assert!(report.requests.batches >= 5, "{fault:?}: {report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_batches_are_refused_marks_go_one_by_one() {
    let status = |status| Fault::Status {
        status,
        code: Some("Nope".into()),
        message: "no batches here".into(),
    };
    for fault in [
        status(403),
        status(404),
        status(405),
        Fault::HtmlPage,
        Fault::ErrorInside200,
    ] {
        let world = slow(20, 200).await;
        world
            .simulator
            .arm(FaultSpec::once(RequestKind::Batch, fault.clone()).always());
        let requests = settled(&world).await.requests;
        world.simulator.clear_faults();
        let tried = world.simulator.stats().count(RequestKind::Batch);
        assert!(tried <= 20, "{fault:?}: {tried} of them, {requests:#?}");
    }
}
