//! Every fault of the wire, alone and in pairs: the run heals or says exactly what is owed; others go on.

use std::time::Duration;

use shared::import::report::Outcome;
use simulator::{Cut, Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::World;

const NEIGHBOUR: &str = "neighbour@harbour-homes.example";

fn every_fault() -> Vec<FaultSpec> {
    let mut all = Vec::new();
    let retry_afters = [
        RetryAfter::Seconds(2),
        RetryAfter::Decimal(2.128),
        RetryAfter::DateIn(7),
        RetryAfter::Absent,
        RetryAfter::Absurd,
        RetryAfter::Negative,
        RetryAfter::Zero,
        RetryAfter::Text("soon".into()),
    ];
    for retry_after in retry_afters {
        for wording in [Wording::Json, Wording::BareText, Wording::Empty] {
            let fault = Fault::TooManyRequests {
                retry_after: retry_after.clone(),
                wording,
            };
            all.push(FaultSpec::once(RequestKind::Any, fault).after(2));
        }
    }
    for on in [
        RequestKind::Delta,
        RequestKind::Value,
        RequestKind::Patch,
        RequestKind::Folders,
    ] {
        for fault in [
            Fault::Unavailable {
                retry_after: RetryAfter::Absent,
                wording: Wording::Empty,
            },
            Fault::Unavailable {
                retry_after: RetryAfter::Seconds(3),
                wording: Wording::Json,
            },
            Fault::Status {
                status: 500,
                code: Some("ErrorInternalServerError".into()),
                message: "no".into(),
            },
            Fault::Status {
                status: 502,
                code: None,
                message: String::new(),
            },
            Fault::Status {
                status: 504,
                code: Some("UnknownError".into()),
                message: String::new(),
            },
            Fault::TokenExpired,
            Fault::EmptyNotFound,
            Fault::Reset,
            Fault::HtmlPage,
            Fault::ErrorInside200,
            Fault::ControlCharacters,
            Fault::SlowBody {
                chunk: 100,
                delay_ms: 20,
            },
        ] {
            // MIME is no JSON: control characters are at home in it.
            if !(on == RequestKind::Value && fault == Fault::ControlCharacters) {
                all.push(FaultSpec::once(on, fault));
            }
        }
        for how in [Cut::ShortLength, Cut::Abort] {
            all.push(FaultSpec::once(on, Fault::CutBody { after: 40, how }));
        }
    }
    all.push(FaultSpec::once(RequestKind::Delta, Fault::Gone { location: true }));
    all.push(FaultSpec::once(RequestKind::Delta, Fault::SyncStateNotFound));
    all.push(FaultSpec::once(RequestKind::Delta, Fault::EmptyPage));
    all.push(FaultSpec::once(RequestKind::Delta, Fault::Duplicates));
    all.push(FaultSpec::once(
        RequestKind::Delta,
        Fault::LoopingLink { changing: false },
    ));
    all.push(FaultSpec::once(RequestKind::Value, Fault::CorruptData));
    all.push(FaultSpec::once(
        RequestKind::Delta,
        Fault::ForeignLink {
            url: "http://evil.example/".into(),
        },
    ));
    all
}

/// A world with two mailboxes in which these faults are armed; settled, everything of both is imported.
async fn heals(seed: u64, faults: &[FaultSpec]) {
    let world = World::new(seed);
    world.simulator.add_mailbox(NEIGHBOUR);
    world.fill(30);
    world.simulator.fill(NEIGHBOUR, "inbox", 4, 30).expect("a mailbox");
    world
        .usual(|account| account.after_import = shared::account::AfterImport::MarkRead)
        .await;
    let mut neighbour = world.account("neighbour");
    neighbour.mailbox = shared::account::Mailbox::parse(NEIGHBOUR).expect("an address");
    world.add_account(&neighbour).await;
    for fault in faults {
        // Tokens belong to no mailbox; the first request for one is for this mailbox's run.
        world.simulator.arm(if fault.on == RequestKind::Token {
            FaultSpec {
                after: 0,
                ..fault.clone()
            }
        } else {
            fault.clone().mailbox(tests::world::DESK)
        });
    }
    let first = world.run("desk").await;
    let mut others = world.run("neighbour").await;
    if others.outcome == Outcome::Waiting && faults.iter().any(|fault| fault.on == RequestKind::Token) {
        // Both have one credential, which Microsoft told to wait: no longer than it said.
        tokio::time::sleep(Duration::from_secs(61)).await;
        others = world.run("neighbour").await;
    }
    assert_eq!(
        (others.imported, others.outcome),
        (4, Outcome::Done),
        "another mailbox goes on: {faults:?}"
    );
    if first.owed > 0 || first.actions_pending > 0 || first.more {
        assert_ne!(
            (first.outcome, first.exit_code()),
            (Outcome::Done, 0),
            "what is owed is said: {first:#?}"
        );
    }
    // A fault that was not met in the first run is met later, or never: what matters is where it ends.
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(1_000)).await;
        let report = world.run("desk").await;
        if report.outcome == Outcome::Done && report.owed == 0 && report.actions_pending == 0 {
            break;
        }
    }
    world.simulator.clear_faults();
    retry_quarantined(&world).await;
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
    world.settle("desk", 6).await;
    world.audit().all_imported().await;
    world.audit().of("neighbour", NEIGHBOUR).all_imported().await;
    assert!(world.wire.asked().iter().all(|(host, _)| host == "simulator.test"));
}

async fn retry_quarantined(world: &World) {
    let debts = shared::records::debts::Debts::new(world.ports().store);
    for debt in debts.page("desk", 100, None).await.expect("debts").records {
        shared::import::debt::admin(&world.ports(), "desk", &debt.key, shared::import::debt::Verb::Retry)
            .await
            .expect("retried");
    }
}

#[tokio::test(start_paused = true)]
async fn each_alone() {
    for (seed, fault) in every_fault().into_iter().enumerate() {
        println!("{fault:?}");
        heals(seed as u64, &[fault]).await;
    }
}

/// One fault of each sort; the rate limit in all its forms.
fn sorts_of_faults() -> Vec<FaultSpec> {
    let throttled = |retry_after| Fault::TooManyRequests {
        retry_after,
        wording: Wording::Json,
    };
    let status = |status| Fault::Status {
        status,
        code: None,
        message: String::new(),
    };
    let busy = Fault::Unavailable {
        retry_after: RetryAfter::Absent,
        wording: Wording::Empty,
    };
    let cut = |how| Fault::CutBody { after: 40, how };
    [
        (RequestKind::Any, throttled(RetryAfter::Seconds(2))),
        (RequestKind::Value, throttled(RetryAfter::Decimal(2.128))),
        (RequestKind::Delta, throttled(RetryAfter::DateIn(7))),
        (RequestKind::Patch, throttled(RetryAfter::Absent)),
        (RequestKind::Value, throttled(RetryAfter::Absurd)),
        (RequestKind::Any, throttled(RetryAfter::Negative)),
        (RequestKind::Value, busy),
        (RequestKind::Delta, status(500)),
        (RequestKind::Value, status(504)),
        (RequestKind::Delta, Fault::Gone { location: true }),
        (RequestKind::Delta, Fault::SyncStateNotFound),
        (RequestKind::Value, Fault::TokenExpired),
        (RequestKind::Token, throttled(RetryAfter::Seconds(60))),
        (RequestKind::Value, cut(Cut::ShortLength)),
        (RequestKind::Delta, cut(Cut::Abort)),
        (
            RequestKind::Value,
            Fault::SlowBody {
                chunk: 50,
                delay_ms: 20,
            },
        ),
        (RequestKind::Value, Fault::MimeConversion),
        (RequestKind::Value, Fault::CorruptData),
        (RequestKind::Delta, Fault::EmptyPage),
        (RequestKind::Delta, Fault::Duplicates),
        (RequestKind::Value, Fault::EmptyNotFound),
        (RequestKind::Delta, Fault::LoopingLink { changing: true }),
        (
            RequestKind::Delta,
            Fault::ForeignLink {
                url: "http://evil.example/".into(),
            },
        ),
        (RequestKind::Patch, Fault::Reset),
    ]
    .into_iter()
    .map(|(on, fault)| FaultSpec::once(on, fault))
    .collect()
}

#[tokio::test(start_paused = true)]
async fn in_pairs() {
    let all = sorts_of_faults();
    let mut pairs = 0;
    for (at, first) in all.iter().enumerate() {
        for (next, second) in all.iter().enumerate().skip(at + 1) {
            println!("{first:?} + {second:?}");
            heals((at * 31 + next) as u64, &[first.clone(), second.clone().after(1)]).await;
            pairs += 1;
        }
    }
    println!("{pairs} pairs");
}
