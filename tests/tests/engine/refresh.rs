//! Refreshing is safe: many at once, deaths at any step, three kinds of server, a vault that answers badly.
//!
//! The measure is the truth of the server: as long as the vault holds a refresh token that the server takes, there must be
//! a usable access token in the end. `POSTROOM_REFRESH_SEEDS` says how many seeds (default 1,000 per kind of server).

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use shared::{
    memory::{VaultCall, VaultFault},
    ports::{Clock as _, Stage, TokenNeed, Tokens as _},
};
use tests::world::{Crash, Point};

use super::token_bench::{Bench, Model};

const AT_ONCE: usize = 64;
const PROCESSES: usize = 4;

fn seeds() -> u64 {
    let set = tests::binary::setting("POSTROOM_REFRESH_SEEDS");
    set.map_or(1_000, |text| text.parse().expect("a number of seeds"))
}

/// 64 at once in four processes, one of which dies; the others go on, then the last asks.
async fn storm(model: Model, seed: u64) -> (bool, u32) {
    let bench = Bench::new(model, seed).await;
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
    let victim = rng.random_range(0..PROCESSES * 2);
    let step = rng.random_range(0..26);
    let buried = rng.random_bool(0.5);
    let faults = [
        (VaultCall::Stage, VaultFault::AcknowledgementLost),
        (VaultCall::Stage, VaultFault::Unavailable),
        (VaultCall::Promote, VaultFault::AcknowledgementLost),
        (VaultCall::Promote, VaultFault::Unavailable),
        (VaultCall::Promote, VaultFault::Conflict),
        (VaultCall::Put, VaultFault::AcknowledgementLost),
        (VaultCall::Put, VaultFault::Conflict),
        (VaultCall::Read, VaultFault::Unavailable),
    ];
    if rng.random_bool(0.6) {
        let (call, fault) = faults[rng.random_range(0..faults.len())];
        let skip = if call == VaultCall::Read { 3 } else { 0 };
        bench
            .memory
            .vault
            .faults()
            .arm_after(call, fault, skip, rng.random_range(1..3));
    }
    if rng.random_bool(0.1) {
        bench.server.truth().lose = Some(1);
    }
    let crashes: Vec<Crash> = (0..PROCESSES).map(|_| Crash::default()).collect();
    let mut all = FuturesUnordered::new();
    for (process, crash) in crashes.iter().enumerate() {
        if process == victim {
            crash.arm(if rng.random_bool(0.5) {
                Point::Before(step)
            } else {
                Point::After(step)
            });
        }
        let tokens = Arc::new(bench.tokens(&format!("process-{process}"), crash));
        let starts: Vec<u64> = (0..AT_ONCE / PROCESSES).map(|_| rng.random_range(0..300)).collect();
        let (memory, name) = (bench.memory.clone(), format!("process-{process}"));
        all.push(
            async move {
                let work = futures::future::join_all(starts.into_iter().map(|start| {
                    let tokens = Arc::clone(&tokens);
                    async move {
                        tokio::time::sleep(Duration::from_millis(start)).await;
                        let _ = tokens.access_token("app", TokenNeed::Usable).await;
                    }
                }));
                let died = crash.or(work).await.is_none();
                if died && buried {
                    memory.bury(&name);
                }
                died
            }
            .boxed(),
        );
    }
    let mut died = false;
    while let Some(one) = all.next().await {
        died |= one;
    }
    let requests = bench.server.truth().requests;
    bench.memory.vault.faults().clear();
    let (good, lost) = (bench.good().await, bench.server.truth().lose.is_some());
    let (stored, newest) = (bench.stored().await, format!("r-{}", bench.server.truth().given));
    let end = bench.in_the_end().await;
    assert!(bench.at(Stage::Current).await.is_some(), "a grant is never deleted");
    match &end {
        Ok(()) => {}
        Err(what) => {
            assert!(model != Model::OldStaysValid, "Entra keeps the old one: {what}");
            assert!(died || lost, "nobody died and no answer was lost, and yet: {what}");
            assert!(good.is_empty(), "{good:?} would have served: {what}");
            // The one window: the server gave a token that the vault was never told.
            assert!(!stored.contains(&newest), "{newest} was in the vault: {what}");
        }
    }
    (end.is_ok(), requests)
}

async fn storms(model: Model) {
    let (mut ends, mut requests) = (0, 0);
    for seed in 0..seeds() {
        let told = std::panic::AssertUnwindSafe(storm(model, seed)).catch_unwind().await;
        let Ok((ok, asked)) = told else {
            panic!("seed {seed} with {model:?}: see above");
        };
        ends += u64::from(!ok);
        requests += asked;
    }
    println!(
        "{model:?}: {} seeds, {requests} requests, {ends} lost in the window that is known",
        seeds()
    );
    // Half of the seeds let somebody die at one of 26 moments: a few of those are in the window, not most.
    assert!(ends <= seeds() / 4, "the window is wider than it should be");
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_where_old_tokens_stay_valid() {
    storms(Model::OldStaysValid).await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_where_old_tokens_end() {
    storms(Model::Strict).await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_where_a_second_use_ends_all() {
    storms(Model::StrictWithFamilyRevocation).await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_share_one_request() {
    let bench = Bench::new(Model::StrictWithFamilyRevocation, 1).await;
    let services: Vec<_> = (0..PROCESSES)
        .map(|at| bench.tokens(&format!("p-{at}"), &Crash::default()))
        .collect();
    let all = (0..AT_ONCE).map(|at| services[at % PROCESSES].access_token("app", TokenNeed::Usable));
    for token in futures::future::join_all(all).await {
        token.expect("a token");
    }
    assert_eq!(bench.server.truth().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn every_step_of_a_renewal_with_every_kind_of_server() {
    for model in [Model::OldStaysValid, Model::Strict, Model::StrictWithFamilyRevocation] {
        let (mut points, mut lost) = (0, Vec::new());
        for step in 0.. {
            let mut ended = 0;
            for point in [Point::Before(step), Point::After(step)] {
                let bench = Bench::new(model, 7).await;
                let crash = Crash::default();
                crash.arm(point);
                let tokens = bench.tokens("first", &crash);
                let done = crash.or(tokens.access_token("app", TokenNeed::Usable)).await;
                ended += u32::from(done.is_some());
                bench.memory.bury("first");
                let asked = bench.server.truth().requests;
                if let Err(what) = bench.in_the_end().await {
                    assert!(what.contains("stopped in the moment"), "{what}");
                    assert_eq!(asked, 1, "only after the server had answered");
                    lost.push(point);
                }
            }
            points += 2 - ended;
            if ended == 2 {
                break;
            }
        }
        println!("{model:?}: {points} points, lost at {lost:?}");
        assert!(points >= 20, "only {points} points");
        // The one window: after the answer, before the new refresh token is staged.
        let most = usize::from(model != Model::OldStaysValid);
        assert!(lost.len() <= most, "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_shows_the_past_does_not_bring_an_old_token_back() {
    for skip in 0..6 {
        let bench = Bench::new(Model::StrictWithFamilyRevocation, 3).await;
        let tokens = bench.tokens("first", &Crash::default());
        for _ in 0..3 {
            tokens.access_token("app", TokenNeed::New).await.expect("a token");
        }
        bench
            .memory
            .vault
            .faults()
            .arm_after(VaultCall::Read, VaultFault::Stale, skip, 2);
        let _ = tokens.access_token("app", TokenNeed::New).await;
        bench.memory.vault.faults().clear();
        bench.in_the_end().await.expect("still signed in");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_restarts_does_not_use_up_the_vault() {
    let bench = Bench::new(Model::OldStaysValid, 4).await;
    let mut given = 0;
    for life in 0..1_000 {
        let crash = Crash::default();
        crash.arm(Point::Before(9 + life % 6));
        let tokens = bench.tokens(&format!("life-{life}"), &crash);
        let done = crash.or(tokens.access_token("app", TokenNeed::New)).await;
        given += u32::from(matches!(done, Some(Ok(_))));
        bench.memory.bury(&format!("life-{life}"));
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    println!(
        "{given} of 1,000 lives got a token, {} requests",
        bench.server.truth().requests
    );
    let renewed = bench.server.truth().given;
    assert!(
        renewed <= 60,
        "renewed {renewed} times within a day: the vault's versions would be used up"
    );
    let day_later: Timestamp = shared::time::plus(bench.clock.now(), Duration::from_hours(24));
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert!(bench.clock.now() >= day_later);
    bench.in_the_end().await.expect("it goes on when the day is over");
}
