//! Tokens: reused, renewed once, and what is said when there is none (P6, P7, P13, P14).

use std::{sync::Arc, time::Duration};

use shared::{
    error::AccountState,
    import::report::Outcome,
    oauth::TokenService,
    ports::{TokenNeed, Tokens as _, Vault as _},
    secret::Secret,
};
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::World;

#[tokio::test(start_paused = true)]
async fn a_token_is_reused_over_runs_and_processes_until_it_is_due() {
    let world = World::new(1);
    world.fill(3);
    world.usual(|_| {}).await;
    for _ in 0..8 {
        world.run("desk").await;
        tokio::time::sleep(Duration::from_secs(300)).await;
    }
    assert_eq!(
        world.simulator.stats().tokens_issued,
        1,
        "40 minutes, 8 processes, one token"
    );
    tokio::time::sleep(Duration::from_secs(3600)).await;
    world.run("desk").await;
    assert_eq!(world.simulator.stats().tokens_issued, 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_revoked_in_the_middle_is_renewed_once_and_the_run_goes_on() {
    let world = World::new(2);
    world.fill(30);
    world.usual(|_| {}).await;
    world.run("desk").await;
    world.simulator.revoke_tokens();
    world.fill(30);
    let report = world.run("desk").await;
    assert_eq!((report.imported, report.outcome), (30, Outcome::Done), "{report:#?}");
    assert_eq!(
        world.simulator.stats().tokens_issued,
        2,
        "four requests in flight share one renewal"
    );
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_gone_from_the_vault_is_asked_for_again() {
    let world = World::new(4);
    world.fill(3);
    world.usual(|_| {}).await;
    world.run("desk").await;
    let access = shared::ports::SecretName("access/app".into());
    assert!(world.memory.vault.version(&access).await.expect("a vault").is_some());
    world.memory.vault.remove(&access).await.expect("a vault");
    world.fill(3);
    let report = world.run("desk").await;
    assert_eq!((report.imported, report.outcome), (3, Outcome::Done), "{report:#?}");
    assert_eq!(world.simulator.stats().tokens_issued, 2);
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_or_expired_secret_is_said_in_the_admins_words_and_heals() {
    for (expired, number) in [(false, "AADSTS7000215"), (true, "AADSTS7000222")] {
        let world = World::new(3);
        world.fill(2);
        world.usual(|_| {}).await;
        let registration = world.simulator.registration();
        let name = shared::ports::SecretName("client/app".into());
        let good = if expired {
            world
                .simulator
                .rotate_secret(&registration.client_id, "the next secret", true)
                .expect("rotated");
            "the next secret"
        } else {
            let version = world.memory.vault.version(&name).await.expect("a vault");
            world
                .memory
                .vault
                .put(&name, &Secret::new("a wrong one"), version.as_ref())
                .await
                .expect("a vault");
            registration.client_secret.as_str()
        };
        let report = world.run("desk").await;
        assert_eq!(
            (report.outcome, report.state, report.exit_code()),
            (Outcome::Failed, AccountState::NeedsAdmin, 4),
            "{report:#?}"
        );
        let said = &report.problems[0].what;
        assert!(
            said.contains("Certificates & secrets") && said.contains(number),
            "{said}"
        );
        let version = world.memory.vault.version(&name).await.expect("a vault");
        world
            .memory
            .vault
            .put(&name, &Secret::new(good), version.as_ref())
            .await
            .expect("a vault");
        world.settle("desk", 2).await;
        world.audit().all_imported().await;
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_at_the_token_endpoint_is_no_verdict_on_the_credential() {
    for fault in [
        Fault::TooManyRequests {
            retry_after: RetryAfter::Seconds(60),
            wording: Wording::BareText,
        },
        Fault::Unavailable {
            retry_after: RetryAfter::Absent,
            wording: Wording::Empty,
        },
        Fault::Entra {
            status: 400,
            error: "temporarily_unavailable".into(),
            code: 90033,
            message: "later".into(),
        },
        Fault::Reset,
    ] {
        let world = World::new(4);
        world.fill(2);
        world.usual(|_| {}).await;
        world.simulator.arm(FaultSpec::once(RequestKind::Token, fault.clone()));
        let report = world.run("desk").await;
        assert_eq!(
            (report.outcome, report.state),
            (Outcome::Waiting, AccountState::Waiting),
            "{fault:?}: {report:#?}"
        );
        tokio::time::sleep(Duration::from_secs(120)).await;
        world.settle("desk", 2).await;
        world.audit().all_imported().await;
    }
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_share_one_request() {
    let world = World::new(5);
    world.add_credential("app").await;
    let processes: Vec<_> = (0..8).map(|_| Arc::new(TokenService::new(world.ports()))).collect();
    let asked = (0..64).map(|number| {
        let service = Arc::clone(&processes[number % 8]);
        async move { service.access_token("app", TokenNeed::Usable).await }
    });
    let answers = futures::future::join_all(asked).await;
    let versions: std::collections::BTreeSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect("a token").version.0)
        .collect();
    assert_eq!(versions.len(), 1);
    assert_eq!(world.simulator.stats().tokens_issued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_roles_is_no_error_until_graph_says_so() {
    let world = World::new(6);
    world.fill(1);
    world.usual(|_| {}).await;
    let client = world.simulator.registration().client_id;
    world.simulator.set_roles(&client, &[]).expect("set");
    let report = world.run("desk").await;
    assert_eq!((report.outcome, report.exit_code()), (Outcome::Failed, 4));
    assert!(report.problems[0].what.contains("API permissions"), "{report:#?}");
    // Rights that were granted meanwhile are in new tokens only. An importer that holds the old one learns of the new
    // one that an admin asked for elsewhere.
    let importer = world.importer();
    let options = shared::import::RunOptions::new("test");
    assert_eq!(
        importer.run("desk", &options).await.expect("a run").outcome,
        Outcome::Failed
    );
    world.simulator.set_roles(&client, &["Mail.ReadWrite"]).expect("set");
    let elsewhere = TokenService::new(world.ports());
    elsewhere.access_token("app", TokenNeed::New).await.expect("a token");
    assert_eq!(
        importer.run("desk", &options).await.expect("a run").outcome,
        Outcome::Done
    );
    world.audit().all_imported().await;
}

#[test]
fn tokens_are_due_at_different_times_and_each_at_its_own() {
    use shared::{
        oauth::{USABLE_FOR, token_due},
        time::{between, minus, plus},
    };
    let got = jiff::Timestamp::UNIX_EPOCH;
    // 75 minutes, Entra's average: between 20 and 10 minutes before the end.
    let end = plus(got, Duration::from_mins(75));
    let due: Vec<_> = (0..500).map(|at| token_due(&format!("app-{at}"), got, end)).collect();
    assert_eq!(due[7], token_due("app-7", got, end));
    let before_end = |at: &jiff::Timestamp| between(*at, end).as_secs();
    let (first, last) = (due.iter().map(before_end).max(), due.iter().map(before_end).min());
    assert!(first <= Some(1_200) && last >= Some(600), "{first:?} to {last:?}");
    let mut minutes: Vec<u64> = due.iter().map(|at| before_end(at) / 60).collect();
    minutes.sort_unstable();
    minutes.dedup();
    assert_eq!(minutes.len(), 10, "spread over all ten minutes: {minutes:?}");
    // Short lives: never in the last five minutes, whatever else would be said.
    for minutes in [6, 10, 55, 60] {
        let end = plus(got, Duration::from_mins(minutes));
        let due = token_due("app", got, end);
        assert!(due <= minus(end, USABLE_FOR), "{minutes}");
    }
}
