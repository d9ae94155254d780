//! A thousand credentials: one app's expired secret is one app's trouble, and all that come due at once are renewed in time.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use shared::{
    credential::CredentialForm,
    oauth::{TokenService, USABLE_FOR},
    ports::{Clock as _, Ports, Store, TokenNeed, Tokens as _, Vault},
    records::{
        apps::Apps,
        credentials::{CredentialRow, Credentials},
    },
    time::between,
    watch::{Which, renew},
};
use simulator::{Latency, Options, RequestKind, User};
use tests::world::{Backend, Calls, Counting, ORIGIN, World};

const ADA: &str = "ada@harbour-homes.example";
const MANY: usize = 1_000;
/// Every twenty-fifth credential is of the other app.
const OTHER: usize = 25;
const OTHER_APP: &str = "99999999-2222-4333-8444-555555555555";

/// A thousand credentials of two apps.
async fn many(seed: u64) -> (World, Vec<String>) {
    let world = World::on(seed, Options::default(), Backend::Memory, None);
    let registration = world.simulator.registration();
    world
        .simulator
        .register_app(OTHER_APP, &registration.client_secret, &["Mail.ReadWrite"]);
    let mut ids = Vec::new();
    for number in 0..MANY {
        let id = format!("app-{number}");
        let other = number % OTHER == 0;
        world
            .store_credential(CredentialForm {
                id: id.clone(),
                description: "test".to_owned(),
                grant_type: Some(shared::credential::GrantType::ClientCredentials),
                token_url: format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id),
                client_id: if other {
                    OTHER_APP.into()
                } else {
                    registration.client_id.clone()
                },
                scope: "https://graph.microsoft.com/.default".to_owned(),
                graph_url: Some(format!("{ORIGIN}/v1.0")),
                ..CredentialForm::default()
            })
            .await;
        ids.push(id);
    }
    (world, ids)
}

async fn rows(world: &World) -> Vec<CredentialRow> {
    Credentials::new(world.store()).all().await.expect("credentials")
}

fn asked(world: &World) -> u64 {
    let stats = world.simulator.stats();
    stats.by_kind.get(&RequestKind::Token).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_expired_secret_among_a_thousand_credentials_flags_one_app() {
    let (world, ids) = many(1).await;
    world
        .simulator
        .rotate_secret(OTHER_APP, "the next secret", true)
        .expect("rotated");
    let tokens = world.tokens();
    for _ in 0..5 {
        let now = world.clock.now();
        renew(&rows(&world).await, &tokens, &ids, Which::All, now).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    let flagged = Apps::new(world.store()).all().await.expect("apps");
    assert_eq!(flagged.len(), 1, "{flagged:#?}");
    assert_eq!(flagged[0].client_id, OTHER_APP);
    assert!(flagged[0].problem.contains("7000222"), "{}", flagged[0].problem);
    let rows = rows(&world).await;
    assert!(
        rows.iter().all(|row| !row.needs_sign_in),
        "no mailbox waits for a person"
    );
    let good = rows.iter().filter(|row| row.token.is_some()).count();
    assert_eq!(good, MANY - MANY / OTHER, "all of the other app have theirs");
    let refused = asked(&world) - u64::try_from(good).expect("a number");
    // Each credential has a copy of the secret of its own; the first refusal speaks for all of them.
    println!("{refused} requests with the expired secret");
    assert!(
        (1..=20).contains(&refused),
        "{refused} requests with the expired secret"
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_come_due_in_one_minute_are_spread_and_renewed_in_time() {
    let (world, ids) = many(2).await;
    world.simulator.set_token_lifetime(Some(4_500));
    let tokens = world.tokens();
    let first = rows(&world).await;
    renew(&first, &tokens, &ids, Which::All, world.clock.now()).await;
    let given = rows(&world).await;
    let ends: Vec<_> = given
        .iter()
        .map(|row| row.token.as_ref().expect("a token").expires_at)
        .collect();
    let span = between(*ends.iter().min().expect("some"), *ends.iter().max().expect("some"));
    assert!(
        span < Duration::from_mins(1),
        "all were given within a minute: {span:?}"
    );
    // A login host that takes its time.
    world.simulator.set_latency(Latency {
        service: Duration::from_millis(300),
        network: Duration::from_millis(100),
    });
    let (mut busiest, mut quiet) = (0, 0);
    for minute in 0..75 {
        tokio::time::sleep(Duration::from_mins(1)).await;
        if minute < 48 {
            continue;
        }
        let before = asked(&world);
        renew(&rows(&world).await, &tokens, &ids, Which::All, world.clock.now()).await;
        let new = asked(&world) - before;
        busiest = busiest.max(new);
        quiet += u64::from(new == 0);
    }
    let renewed = rows(&world).await;
    for (row, end) in renewed.iter().zip(&ends) {
        let token = row.token.as_ref().expect("a token");
        assert!(
            token.obtained_at < *end && token.expires_at > *end,
            "{}",
            row.credential.id
        );
        let left = between(token.obtained_at, *end);
        assert!(
            left >= USABLE_FOR,
            "{}: renewed {left:?} before its end",
            row.credential.id
        );
    }
    // Ten minutes by a hash: a hundred in each, give or take.
    assert!((50..=180).contains(&busiest), "{busiest} in the busiest minute");
    assert!(quiet >= 10, "nobody is asked before it is time");
}

/// What a renewal costs where every call is billed for: once a process has seen the credential, one request and three calls of
/// the store; of the vault two for an app, whose secret is read each time, and six for a person: the grant is looked for in both stages and goes through both.
#[tokio::test(start_paused = true)]
async fn what_a_renewal_costs_is_counted() {
    let world = World::with(
        3,
        Options {
            users: vec![User::new(ADA, "Ada Moor")],
            ..Options::default()
        },
    );
    world.usual(|_| {}).await;
    let person = world.add_delegated("person", "Mail.ReadWrite offline_access").await;
    world.sign_in(&person, ADA).await.expect("signed in");
    let calls = Arc::new(Calls::default());
    let ports = world.ports();
    let ports = Ports {
        store: Arc::new(Counting::<dyn Store>::new(&calls, ports.store)),
        vault: Arc::new(Counting::<dyn Vault>::new(&calls, ports.vault)),
        ..ports
    };
    let tokens = TokenService::new(ports);
    for (credential, of_the_vault) in [("app", 2), ("person", 6)] {
        for first in [true, false, false] {
            tokio::time::sleep(Duration::from_hours(2)).await;
            calls.reset();
            let before = asked(&world);
            tokens
                .access_token(credential, TokenNeed::Usable)
                .await
                .expect("a token");
            assert_eq!(asked(&world) - before, 1, "{credential}: one request");
            let (store, vault) = (calls.table.load(SeqCst), calls.secrets.load(SeqCst));
            println!("{credential}: {store} calls of the store, {vault} of the vault");
            if !first {
                assert!(
                    store <= 3 && vault <= of_the_vault,
                    "{credential}: {store} calls of the store, {vault} of the vault"
                );
            }
            calls.reset();
            tokens
                .access_token(credential, TokenNeed::Usable)
                .await
                .expect("a token");
            let (store, vault) = (calls.table.load(SeqCst), calls.secrets.load(SeqCst));
            assert_eq!((store, vault), (1, 0), "{credential}: a token on record");
        }
    }
}
