//! Signing in, without a browser: who may, what is kept, what a second person changes (P1 to P24).

use std::time::Duration;

use shared::{
    account::{Account, AfterImport, Mailbox},
    error::AccountState,
    import::report::Outcome,
    oauth::TokenErrorKind,
    ports::{Stage, TokenNeed, Tokens as _, Vault as _},
    records::credentials::{CredentialRow, Credentials},
};
use simulator::{Fault, FaultSpec, Options, RequestKind, User};
use tests::world::{DESK, Point, World};

const ADA: &str = "ada@harbour-homes.example";
const BEN: &str = "ben@harbour-homes.example";
const SCOPE: &str = "Mail.ReadWrite offline_access";

fn people(seed: u64, shared: &str) -> World {
    let world = World::with(
        seed,
        Options {
            users: vec![User::new(ADA, "Ada Moor").with_shared(DESK), User::new(BEN, "Ben Quay")],
            permissions: [
                "Mail.ReadWrite",
                "Mail.ReadWrite.Shared",
                "Mail.Read",
                "Mail.Read.Shared",
                "User.Read",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Options::default()
        },
    );
    world.simulator.share(DESK, shared, true).expect("a mailbox");
    world
}

async fn row(world: &World) -> CredentialRow {
    let store = std::sync::Arc::new(world.memory.store.clone());
    Credentials::new(store).get("app").await.expect("a credential")
}

fn account(world: &World, mailbox: &str) -> Account {
    let mut account = world.account("desk");
    account.mailbox = Mailbox::parse(mailbox).expect("a mailbox");
    account
}

#[tokio::test(start_paused = true)]
async fn a_person_signs_in_and_their_own_and_a_shared_mailbox_are_imported() {
    for (mailbox, owner, scope) in [
        ("me", ADA, SCOPE),
        (DESK, DESK, "Mail.ReadWrite.Shared User.Read offline_access"),
    ] {
        let world = people(1, ADA);
        world.simulator.fill(owner, "inbox", 12, 30).expect("a mailbox");
        let credential = world.add_delegated("app", scope).await;
        let redeemed = world.sign_in(&credential, ADA).await.expect("signed in");
        assert_eq!(redeemed.sign_in.who(), ADA);
        assert!(
            redeemed.sign_in.renewable && redeemed.warnings.is_empty(),
            "{redeemed:?}"
        );
        let mut account = account(&world, mailbox);
        account.after_import = AfterImport::MarkRead;
        world.add_account(&account).await;
        let steps = world.importer().check("desk", Duration::ZERO).await.expect("a check");
        assert!(steps.iter().all(|step| step.ok), "{steps:#?}");
        let report = world.settle("desk", 2).await;
        assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
        assert_eq!(world.messages("desk").await.len(), 12);
        let stats = world.simulator.stats();
        let asked = stats.mailboxes.values().filter(|mailbox| mailbox.requests > 0);
        assert!(asked.count() <= 2, "the person's own for the proof, and the account's");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_shared_permission_is_named_before_graph_is_asked() {
    let world = people(2, ADA);
    let credential = world.add_delegated("app", SCOPE).await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    world.add_account(&account(&world, DESK)).await;
    let asked = world.wire.count();
    let steps = world.importer().check("desk", Duration::ZERO).await.expect("a check");
    let last = steps.last().expect("a step");
    assert!(!last.ok && last.detail.contains("`Mail.Read.Shared`"), "{steps:#?}");
    assert_eq!(
        world.wire.count(),
        asked + 1,
        "the login host was asked for its time, and Graph nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_for_months_and_the_one_before_is_kept() {
    let world = people(3, ADA);
    world.simulator.fill(ADA, "inbox", 1, 1).expect("a mailbox");
    let credential = world.add_delegated("app", SCOPE).await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    world.add_account(&account(&world, "me")).await;
    // 100 days, a run every six hours: longer than a refresh token lives unused.
    for _ in 0..400 {
        let report = world.run("desk").await;
        assert_eq!(report.outcome, Outcome::Done, "{report:#?}");
        tokio::time::sleep(Duration::from_secs(6 * 3600)).await;
    }
    let name = credential.grant();
    let current = world.memory.vault.read(&name, Stage::Current).await.expect("a vault");
    let previous = world.memory.vault.read(&name, Stage::Previous).await.expect("a vault");
    assert!(current.is_some() && previous.is_some());
    assert_eq!(row(&world).await.generation, 400);
}

#[tokio::test(start_paused = true)]
async fn another_person_never_takes_over_unless_an_admin_says_so() {
    let world = people(4, ADA);
    let credential = world.add_delegated("app", SCOPE).await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    let before = row(&world).await;
    let grant = world.memory.vault.version(&credential.grant()).await.expect("a vault");
    let refused = world.sign_in(&credential, BEN).await.expect_err("another person");
    assert_eq!(refused.kind, TokenErrorKind::Refused);
    assert!(refused.what.contains(BEN), "{refused}");
    let after = row(&world).await;
    assert_eq!((before.sign_in, before.token), (after.sign_in, after.token));
    assert_eq!(
        grant,
        world.memory.vault.version(&credential.grant()).await.expect("a vault")
    );
    world
        .tokens()
        .access_token("app", TokenNeed::New)
        .await
        .expect("Ada's still serves");

    let mut rebind = world.redemption(&credential, BEN).await;
    rebind.rebind = true;
    world.add_account(&account(&world, "me")).await;
    let refused = world
        .tokens()
        .redeem(rebind.clone())
        .await
        .expect_err("an account on `me`");
    assert!(refused.what.contains("`desk`"), "{refused}");
    let accounts = shared::records::accounts::Accounts::new(world.ports().store);
    accounts.remove(&world.row("desk").await).await.expect("removed");
    let mut rebind = world.redemption(&credential, BEN).await;
    rebind.rebind = true;
    let redeemed = world.tokens().redeem(rebind).await.expect("an admin said so");
    assert_eq!(redeemed.sign_in.who(), BEN);
    // Ada's grant is the one before, and must not serve as Ben's when Ben's is refused.
    world.simulator.revoke_grants(Some(BEN)).expect("a person");
    for _ in 0..3 {
        let error = world
            .tokens()
            .access_token("app", TokenNeed::New)
            .await
            .expect_err("revoked");
        assert!(!error.what.contains(ADA), "{error}");
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    assert!(row(&world).await.needs_sign_in);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_sign_in_waits_for_somebody_keeps_its_grant_and_everything_else() {
    let world = people(5, ADA);
    world.simulator.fill(ADA, "inbox", 3, 1).expect("a mailbox");
    let credential = world.add_delegated("app", SCOPE).await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    world.add_account(&account(&world, "me")).await;
    world.settle("desk", 1).await;
    world.simulator.revoke_grants(Some(ADA)).expect("a person");
    world.simulator.revoke_tokens();
    let first = world.run("desk").await;
    assert_eq!(
        first.state,
        AccountState::Waiting,
        "one refusal troubles nobody: {first:#?}"
    );
    tokio::time::sleep(Duration::from_secs(61)).await;
    let second = world.run("desk").await;
    assert_eq!(
        (second.state, second.exit_code()),
        (AccountState::NeedsSignIn, 4),
        "{second:#?}"
    );
    assert!(second.problems[0].what.contains("credential authorize"), "{second:#?}");
    let (issued, total) = (world.simulator.stats().tokens_issued, world.simulator.stats().total);
    world.run("desk").await;
    // One look with the token on record, which may be good again; no question to the token endpoint.
    let now = world.simulator.stats();
    assert!(now.total <= total + 1 && now.tokens_issued == issued);
    assert!(
        world
            .memory
            .vault
            .read(&credential.grant(), Stage::Current)
            .await
            .expect("a vault")
            .is_some(),
        "only an admin deletes a grant"
    );
    let cursors = world.row("desk").await.folders;
    world.simulator.fill(ADA, "inbox", 2, 1).expect("a mailbox");
    world.sign_in(&credential, ADA).await.expect("signed in again");
    assert_eq!(
        cursors,
        world.row("desk").await.folders,
        "reconnecting keeps the cursors"
    );
    let report = world.settle("desk", 1).await;
    assert_eq!(report.imported, 2, "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn trouble_on_the_way_is_no_verdict_and_the_app_s_trouble_flags_no_sign_in() {
    let world = people(6, ADA);
    let credential = world.add_delegated("app", SCOPE).await;
    world.sign_in(&credential, ADA).await.expect("signed in");
    for fault in [
        Fault::Status {
            status: 503,
            code: None,
            message: String::new(),
        },
        Fault::Reset,
        Fault::Entra {
            status: 400,
            error: "temporarily_unavailable".into(),
            code: 90033,
            message: "Later.".into(),
        },
        Fault::Entra {
            status: 401,
            error: "invalid_client".into(),
            code: 7_000_222,
            message: "Expired.".into(),
        },
    ] {
        world.simulator.arm(FaultSpec::once(RequestKind::Token, fault).times(3));
        for _ in 0..3 {
            world
                .tokens()
                .access_token("app", TokenNeed::New)
                .await
                .expect_err("a fault");
            tokio::time::sleep(Duration::from_secs(70)).await;
        }
        world.simulator.clear_faults();
        let row = row(&world).await;
        assert!(!row.needs_sign_in && row.refused_at.is_none(), "{row:?}");
        world
            .tokens()
            .access_token("app", TokenNeed::New)
            .await
            .expect("it goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_app_is_asked_about_once_not_once_per_credential() {
    let world = people(7, ADA);
    for at in 0..50 {
        world.add_credential(&format!("app-{at}")).await;
    }
    let id = world.simulator.registration().client_id;
    world
        .simulator
        .rotate_secret(&id, "the next secret", true)
        .expect("rotated");
    for at in 0..50 {
        let error = world
            .tokens()
            .access_token(&format!("app-{at}"), TokenNeed::Usable)
            .await
            .expect_err("a wrong secret");
        assert!(matches!(error.kind, TokenErrorKind::Client), "{error:?}");
    }
    // Each credential of this test has its own secret in the vault, so each tries its own; one secret, one question.
    let asked = world.simulator.stats().total;
    for _ in 0..10 {
        let tokens = world.tokens();
        tokens
            .access_token("app-1", TokenNeed::Usable)
            .await
            .expect_err("the circuit is open");
    }
    assert!(world.simulator.stats().total <= asked + 1, "asked again and again");
}

#[tokio::test(start_paused = true)]
async fn permissions_that_were_not_granted_and_extra_ones() {
    let world = people(8, ADA);
    let credential = world.add_delegated("app", "Mail.Read").await;
    let redeemed = world.sign_in(&credential, ADA).await.expect("signed in");
    assert!(!redeemed.sign_in.renewable);
    assert!(
        redeemed
            .warnings
            .iter()
            .any(|warning| warning.contains("offline_access")),
        "{redeemed:?}"
    );
    assert!(
        world
            .memory
            .vault
            .version(&credential.grant())
            .await
            .expect("a vault")
            .is_none()
    );
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let error = world
        .tokens()
        .access_token("app", TokenNeed::Usable)
        .await
        .expect_err("over");
    assert!(
        error.kind == TokenErrorKind::SignIn && error.what.contains("offline_access"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_code_serves_once_and_only_the_app_it_was_asked_for() {
    let world = people(9, ADA);
    let credential = world.add_delegated("app", SCOPE).await;
    let redemption = world.redemption(&credential, ADA).await;
    for change in 0..3 {
        let mut other = redemption.clone();
        match change {
            0 => other.client = "another app".into(),
            1 => other.nonce = shared::secret::Secret::new("another nonce"),
            _ => other.verifier = shared::secret::Secret::new("another verifier of more than forty-three characters"),
        }
        let mut fresh = world.redemption(&credential, ADA).await;
        other.code = fresh.code.clone();
        let error = world.tokens().redeem(other).await.expect_err("changed");
        assert_eq!(error.kind, TokenErrorKind::Refused, "{error:?}");
        fresh.code = redemption.code.clone();
    }
    assert!(row(&world).await.sign_in.is_none(), "nothing was kept");
    world.tokens().redeem(redemption.clone()).await.expect("the first time");
    let error = world.tokens().redeem(redemption).await.expect_err("the second time");
    assert!(error.what.contains("Click the key"), "{error}");
    world
        .tokens()
        .access_token("app", TokenNeed::New)
        .await
        .expect("the first still serves");
}

#[tokio::test(start_paused = true)]
async fn a_death_at_every_step_of_signing_in_leaves_connected_or_not_never_half() {
    let mut died = 0;
    for step in 0.. {
        let mut ended = 0;
        for point in [Point::Before(step), Point::After(step)] {
            let world = people(10, ADA);
            world.simulator.fill(ADA, "inbox", 2, 1).expect("a mailbox");
            let credential = world.add_delegated("app", SCOPE).await;
            world.add_account(&account(&world, "me")).await;
            let redemption = world.redemption(&credential, ADA).await;
            world.crash.arm(point);
            let tokens = world.tokens();
            let finished = world.crash.or(tokens.redeem(redemption)).await.is_some();
            world.restart();
            ended += u32::from(finished);
            let connected = world.tokens().access_token("app", TokenNeed::Usable).await.is_ok();
            if connected {
                let who = row(&world).await.sign_in.expect("who it was is known, too");
                assert_eq!(who.who(), ADA, "{point:?}");
            } else {
                assert!(!finished, "{point:?}");
                world.sign_in(&credential, ADA).await.expect("a fresh sign-in works");
            }
            let report = world.settle("desk", 3).await;
            assert_eq!(
                (report.outcome, world.messages("desk").await.len()),
                (Outcome::Done, 2),
                "{point:?}"
            );
        }
        died += 2 - ended;
        if ended == 2 {
            break;
        }
    }
    assert!(died > 20, "only {died} points");
}
