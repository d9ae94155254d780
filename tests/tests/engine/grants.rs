//! The refresh token in the vault: never put back by somebody who was overtaken, and never only one.

use std::{task::Poll, time::Duration};

use shared::{
    oauth::TokenErrorKind,
    ports::{Stage, TokenNeed, Tokens as _},
};
use tests::world::Crash;

use super::token_bench::{Bench, Model};

/// A machine that sleeps, a sandbox that is frozen: a renewal stands still at any moment, another one passes it, it goes on.
#[tokio::test(start_paused = true)]
async fn whoever_was_overtaken_puts_no_token_over_a_newer_one() {
    let mut overtaken = 0;
    for moment in 0..60 {
        let bench = Bench::new(Model::OldStaysValid, 11).await;
        let (slow, quick) = (
            bench.tokens("slow", &Crash::default()),
            bench.tokens("quick", &Crash::default()),
        );
        let mut renewal = std::pin::pin!(slow.access_token("app", TokenNeed::New));
        let mut ended = None;
        for _ in 0..moment {
            if let Poll::Ready(done) = futures::poll!(&mut renewal) {
                ended = Some(done);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_mins(20)).await;
        quick.access_token("app", TokenNeed::New).await.expect("a token");
        let newer = bench.at(Stage::Current).await.expect("a grant");
        if ended.is_none() {
            overtaken += 1;
            let _ = renewal.await;
        }
        let after = bench.at(Stage::Current).await.expect("a grant");
        let number = |token: &str| token.trim_start_matches("r-").parse::<u32>().expect("a number");
        assert!(
            number(&after) >= number(&newer),
            "moment {moment}: {after} over {newer}"
        );
    }
    println!("overtaken at {overtaken} of 60 moments");
    assert!(overtaken >= 20, "only {overtaken}");
}

/// Where a token is good once, whoever comes late with it is refused; the newer one in the vault counts, not the refusal.
#[tokio::test(start_paused = true)]
async fn whoever_comes_late_with_a_used_token_takes_the_newer_one() {
    let bench = Bench::new(Model::Strict, 14).await;
    let (slow, quick) = (
        bench.tokens("slow", &Crash::default()),
        bench.tokens("quick", &Crash::default()),
    );
    let mut renewal = std::pin::pin!(slow.access_token("app", TokenNeed::New));
    assert!(futures::poll!(&mut renewal).is_pending(), "its request is on the way");
    // The slow one is thought to be dead, and is not.
    bench.memory.bury("slow");
    quick.access_token("app", TokenNeed::New).await.expect("a token");
    assert_eq!(bench.server.truth().requests, 1);
    renewal.await.expect("a token, by the newer one");
    assert_eq!(bench.server.truth().requests, 3, "refused once, then taken");
    bench.in_the_end().await.expect("still signed in");
}

#[tokio::test(start_paused = true)]
async fn the_token_before_is_tried_before_anybody_is_troubled() {
    let bench = Bench::new(Model::OldStaysValid, 12).await;
    let tokens = bench.tokens("one", &Crash::default());
    tokens.access_token("app", TokenNeed::New).await.expect("a token");
    assert_eq!(bench.at(Stage::Current).await.as_deref(), Some("r-1"));
    bench.server.truth().valid.remove("r-1");
    tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect("a token, by the one before");
    assert_eq!(bench.at(Stage::Current).await.as_deref(), Some("r-2"));
}

#[tokio::test(start_paused = true)]
async fn one_refusal_alone_troubles_nobody() {
    let bench = Bench::new(Model::OldStaysValid, 13).await;
    let tokens = bench.tokens("one", &Crash::default());
    bench.server.truth().valid.clear();
    let first = tokens.access_token("app", TokenNeed::New).await.expect_err("refused");
    assert!(matches!(first.kind, TokenErrorKind::Transient { .. }), "{first:?}");
    tokio::time::sleep(Duration::from_secs(61)).await;
    let second = tokens
        .access_token("app", TokenNeed::New)
        .await
        .expect_err("refused again");
    assert_eq!(second.kind, TokenErrorKind::SignIn, "{second:?}");
    assert_eq!(
        bench.at(Stage::Current).await.as_deref(),
        Some("r-0"),
        "the grant stays"
    );
}
