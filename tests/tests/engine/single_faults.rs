//! Single faults and exactly what they lead to: a debt, a wait, a reconstruction, a stop.

use std::time::Duration;

use shared::import::report::Outcome;
use simulator::{Cut, Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::World;

#[tokio::test(start_paused = true)]
async fn one_mail_that_cannot_be_had_is_owed_and_the_others_come_in() {
    let world = World::new(1);
    world.fill(20);
    world.usual(|_| {}).await;
    let bad = world.simulator.truth(None)[7].immutable_id.clone();
    let fault = Fault::Status {
        status: 500,
        code: Some("ErrorInternalServerError".into()),
        message: String::new(),
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Value, fault).message(&bad).always());
    let report = world.run("desk").await;
    assert_eq!(
        (report.imported, report.owed, report.exit_code()),
        (19, 1, 3),
        "{report:#?}"
    );
    let next = world.run("desk").await;
    assert_eq!(
        (next.imported, next.owed),
        (0, 1),
        "the cursor is not held, the debt is not forgotten: {next:#?}"
    );
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let healed = world.run("desk").await;
    assert_eq!(
        (healed.imported, healed.owed, healed.exit_code()),
        (1, 0, 0),
        "{healed:#?}"
    );
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_ends_the_run_saved_and_nothing_is_asked_before_its_time() {
    let world = World::new(2);
    world.fill(50);
    world.usual(|_| {}).await;
    let fault = Fault::TooManyRequests {
        retry_after: RetryAfter::Seconds(300),
        wording: Wording::Json,
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Value, fault).after(20));
    let report = world.run("desk").await;
    assert_eq!(
        (report.outcome, report.more, report.exit_code()),
        (Outcome::Waiting, true, 5),
        "{report:#?}"
    );
    assert!(report.imported > 0, "what was fetched is recorded");
    let before = world.wire.count();
    let early = world.run("desk").await;
    assert_eq!(
        (early.outcome, world.wire.count() - before),
        (Outcome::Waiting, 0),
        "{early:#?}"
    );
    tokio::time::sleep(Duration::from_secs(301)).await;
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn when_mime_cannot_be_made_it_is_put_together_and_labelled() {
    let world = World::new(3);
    world.fill(12);
    world.usual(|_| {}).await;
    let truth = world.simulator.truth(None);
    for mail in &truth {
        world.simulator.arm(
            FaultSpec::once(RequestKind::Value, Fault::MimeConversion)
                .message(&mail.immutable_id)
                .always(),
        );
    }
    let report = world.run("desk").await;
    assert_eq!(report.imported, 12, "{report:#?}");
    let messages = world.audit().consistent().await;
    for mail in truth {
        let message = &messages[&mail.immutable_id];
        assert_eq!(message.fidelity, Some(shared::message::Fidelity::Reconstructed));
        assert_eq!(
            message
                .envelope
                .subject
                .as_deref()
                .unwrap_or_default()
                .chars()
                .take(400)
                .collect::<String>(),
            mail.subject.chars().take(400).collect::<String>()
        );
    }
    world.simulator.clear_faults();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_early_but_properly_is_asked_for_again() {
    let world = World::new(4);
    world.fill(30);
    world.usual(|_| {}).await;
    let multipart = world
        .simulator
        .truth(None)
        .into_iter()
        .find(|mail| {
            let mime = world
                .simulator
                .canonical_mime(tests::world::DESK, &mail.immutable_id)
                .expect("MIME");
            let text = String::from_utf8_lossy(&mime).into_owned();
            text.contains("multipart/mixed") && text.trim_end().ends_with("--")
        })
        .expect("a multipart");
    let cut = Fault::CutBody {
        after: multipart.size - 30,
        how: Cut::Clean,
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Value, cut).message(&multipart.immutable_id));
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_service_does_not_turn_every_mail_into_a_debt() {
    let world = World::new(5);
    world.fill(100);
    world.usual(|_| {}).await;
    let fault = Fault::Status {
        status: 500,
        code: None,
        message: String::new(),
    };
    world.simulator.arm(FaultSpec::once(RequestKind::Value, fault).always());
    let report = world.run("desk").await;
    assert!(report.owed < 12, "{report:#?}");
    assert_eq!(report.outcome, Outcome::Waiting);
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    world.settle("desk", 4).await;
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn near_its_deadline_a_run_saves_and_says_that_there_is_more() {
    let latency = simulator::Latency {
        service: Duration::from_millis(400),
        network: Duration::ZERO,
    };
    let world = World::with(
        6,
        simulator::Options {
            latency,
            ..simulator::Options::default()
        },
    );
    world.fill(120);
    world.usual(|_| {}).await;
    let mut runs = 0;
    loop {
        runs += 1;
        let deadline = shared::time::plus(shared::ports::Clock::now(&world.clock), Duration::from_secs(5));
        let options = shared::import::RunOptions {
            deadline: Some(deadline),
            ..shared::import::RunOptions::new("test")
        };
        let report = world.run_with("desk", &options).await;
        assert!(runs < 20, "{report:#?}");
        if !report.more {
            break;
        }
        assert_eq!(report.outcome, Outcome::Incomplete);
    }
    assert!(runs > 2, "the deadline was never felt");
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn one_mail_that_is_refused_holds_nothing_and_a_missing_right_is_said() {
    let world = World::new(7);
    world.fill(30);
    world.usual(|_| {}).await;
    let bad = world.simulator.truth(None)[3].immutable_id.clone();
    world.simulator.arm(
        FaultSpec::once(RequestKind::Value, Fault::AccessDenied)
            .message(&bad)
            .always(),
    );
    let report = world.run("desk").await;
    assert_eq!(
        (report.imported, report.owed, report.exit_code()),
        (29, 1, 3),
        "{report:#?}"
    );
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.settle("desk", 2).await;
    world.audit().all_imported().await;
    world.fill(20);
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Value, Fault::AccessDenied).always());
    let report = world.run("desk").await;
    assert_eq!(
        (report.outcome, report.exit_code()),
        (Outcome::Failed, 4),
        "{report:#?}"
    );
    assert!(
        report.owed < 4 && report.problems[0].what.contains("Mail.Read"),
        "{report:#?}"
    );
    world.simulator.clear_faults();
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}
