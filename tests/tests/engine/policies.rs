//! Policies of the tenant: named, sent back with the next sign-in, never asked again and again.

use std::time::Duration;

use shared::{
    account::FolderName,
    error::{AccountState, Next},
    import::report::Outcome,
    oauth::{AuthorizationFlow, Begin},
    ports::{TokenNeed, Tokens as _},
    records::{
        authorizations::Errand,
        credentials::{CredentialRow, Credentials},
    },
};
use simulator::{ConditionalAccess, Fault, FaultSpec, Options, RequestKind, User};
use tests::world::{REDIRECT_URI, World};
use url::Url;

const ADA: &str = "ada@harbour-homes.example";

fn asked(world: &World, kind: RequestKind) -> u64 {
    world.simulator.stats().by_kind.get(&kind).copied().unwrap_or_default()
}

async fn row(world: &World) -> CredentialRow {
    Credentials::new(world.store()).get("app").await.expect("a credential")
}

/// Where the key of the credential sends a browser.
async fn key(world: &World) -> Url {
    let row = row(world).await;
    let begin = Begin {
        credential: &row.credential,
        errand: Errand::SignIn,
        redirect_uri: Url::parse(REDIRECT_URI).expect("a URL"),
        rebind: false,
        session: None,
        claims: row.claims.as_deref(),
    };
    AuthorizationFlow::new(world.ports())
        .begin(begin)
        .await
        .expect("begun")
        .location
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_named_and_its_claims_go_with_the_next_sign_in() {
    for (access, named, help) in [
        (
            ConditionalAccess {
                require_mfa: true,
                ..ConditionalAccess::default()
            },
            "second factor",
            "by signing in again",
        ),
        (
            ConditionalAccess {
                block: true,
                ..ConditionalAccess::default()
            },
            "blocks access",
            "no sign-in helps",
        ),
    ] {
        let options = Options {
            users: vec![User::new(ADA, "Ada Moor")],
            permissions: ["Mail.ReadWrite", "User.Read"].map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let world = World::with(1, options);
        let credential = world.add_delegated("app", "Mail.ReadWrite offline_access").await;
        world.sign_in(&credential, ADA).await.expect("signed in");
        assert!(!key(&world).await.query_pairs().any(|(name, _)| name == "claims"));
        world.simulator.set_conditional_access(access);
        tokio::time::sleep(Duration::from_hours(2)).await;
        let before = asked(&world, RequestKind::Token);
        // Twelve runs of an hour.
        for _ in 0..12 {
            let error = world
                .tokens()
                .access_token("app", TokenNeed::Usable)
                .await
                .expect_err("a policy");
            assert_eq!(error.next(), Next::Reauthorize, "{error}");
            for words in [named, help, "Conditional Access policy must be met"] {
                assert!(error.what.contains(words), "{words}: {error}");
            }
            tokio::time::sleep(Duration::from_mins(4)).await;
        }
        assert_eq!(
            asked(&world, RequestKind::Token),
            before + 1,
            "a policy's word is not asked for again and again"
        );
        let there = key(&world).await;
        let claims = there
            .query_pairs()
            .find(|(name, _)| name == "claims")
            .expect("claims")
            .1
            .into_owned();
        assert!(
            claims.contains("capolids") && row(&world).await.claims == Some(claims),
            "{there}"
        );
        // Somebody meets it.
        world.simulator.set_conditional_access(ConditionalAccess::default());
        world.sign_in(&credential, ADA).await.expect("signed in");
        assert_eq!(row(&world).await.claims, None);
        assert!(!key(&world).await.query_pairs().any(|(name, _)| name == "claims"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_of_graphs_is_named_and_asked_once_a_run() {
    let kinds = [
        (
            r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#,
            "revoked or changed",
        ),
        (r#"{"access_token":{"xms_rp_ipaddr":{"essential":true}}}"#, "the place"),
        ("no claims at all", "insufficient_claims"),
    ];
    for (claims, named) in kinds {
        let world = World::new(2);
        world.fill(3);
        world.usual(|_| {}).await;
        let fault = Fault::ClaimsChallenge { claims: claims.into() };
        world.simulator.arm(FaultSpec::once(RequestKind::Delta, fault).always());
        for run in 1..=3 {
            let report = world.run("desk").await;
            assert_eq!(
                (report.outcome, report.state),
                (Outcome::Failed, AccountState::NeedsAdmin),
                "{report:#?}"
            );
            let said = &report.problems[0].what;
            for words in [
                named,
                "Conditional Access policy",
                "Sign-in logs",
                "workload identities",
            ] {
                assert!(said.contains(words), "{words}: {said}");
            }
            assert_eq!(asked(&world, RequestKind::Delta), run, "once a run");
            assert_eq!(asked(&world, RequestKind::Token), 1, "no token would help");
            tokio::time::sleep(Duration::from_mins(5)).await;
        }
        world.simulator.clear_faults();
        world.settle("desk", 2).await;
        world.audit().all_imported().await;
    }
}

/// AADSTS50196 and `Retry-After`: whoever asks for the credential, Microsoft is left alone, and no sign-in is thought dead.
#[tokio::test(start_paused = true)]
async fn microsofts_wish_to_be_left_alone_counts_for_all_accounts() {
    let world = World::new(3);
    world.fill(2);
    world.usual(|_| {}).await;
    for (other, folder) in [("orders", "archive"), ("claims", "drafts"), ("returns", "sentitems")] {
        let mut account = world.account(other);
        account.folders = vec![FolderName::parse(folder).expect("a folder")];
        world.add_account(&account).await;
    }
    let looped = Fault::Entra {
        status: 400,
        error: "invalid_grant".into(),
        code: 50196,
        message: "The server terminated an operation because it encountered a client request loop.".into(),
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::Token, looped).always());
    for _ in 0..4 {
        for account in ["desk", "orders", "claims", "returns"] {
            let report = world.run(account).await;
            assert_eq!(
                (report.outcome, report.state),
                (Outcome::Waiting, AccountState::Waiting),
                "{report:#?}"
            );
            assert!(report.goes_on_at.is_some());
        }
        tokio::time::sleep(Duration::from_secs(70)).await;
    }
    assert_eq!(
        asked(&world, RequestKind::Token),
        1,
        "sixteen runs in less than five minutes"
    );
    let left = row(&world).await;
    assert!(!left.needs_sign_in && left.problem.is_none() && left.not_before.is_some());
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.simulator.clear_faults();
    world.settle("desk", 2).await;
    assert_eq!(asked(&world, RequestKind::Token), 2);
    assert_eq!(row(&world).await.not_before, None);
    world.audit().all_imported().await;
}
