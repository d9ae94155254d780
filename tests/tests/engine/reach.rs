//! What an app reaches: proven mailbox by mailbox, looked at anew every day, a change told once.

use std::time::Duration;

use shared::{
    import::reach::{Looked, ReachError},
    ports::TokenNeed,
    reach::{Everywhere, Expected, Found, Reach, warning},
    records::{credentials::Credentials, warnings::CHANNEL},
};
use simulator::{Fault, FaultSpec, RequestKind, RetryAfter, Wording};
use tests::world::{DESK, World};

const CEO: &str = "ceo@harbour-homes.example";
const SHOP: &str = "shop@harbour-homes.example";
const PATIENCE: Duration = Duration::from_secs(10);

/// An app that must read two mailboxes and must not read a third.
async fn expecting(seed: u64) -> World {
    let world = World::new(seed);
    world.simulator.add_mailbox(CEO);
    world.simulator.add_mailbox(SHOP);
    world.add_credential("app").await;
    let expected = Expected::parse(&[DESK.into(), SHOP.into()], &[CEO.into()]).expect("good");
    let credentials = Credentials::new(world.ports().store);
    credentials.expect("app", &expected).await.expect("noted");
    world
}

fn client_id(world: &World) -> String {
    world.simulator.registration().client_id
}

async fn try_it(world: &World) -> Reach {
    let tried = world.importer().reach("app", TokenNeed::New, PATIENCE).await;
    tried.expect("tried")
}

/// A day later, as `serve` and the importer do it.
async fn next_day(world: &World) -> Looked {
    tokio::time::sleep(Duration::from_secs(24 * 3600 + 1)).await;
    world.importer().look_at_reach(PATIENCE, None).await.expect("a look")
}

async fn warned(world: &World) -> Option<String> {
    let credentials = Credentials::new(world.ports().store);
    warning(&credentials.get("app").await.expect("a row"))
}

#[tokio::test(start_paused = true)]
async fn a_tenant_wide_permission_is_found_told_once_and_scoped_away() {
    let world = expecting(1).await;
    let app = client_id(&world);
    let reach = try_it(&world).await;
    assert_eq!(reach.summary(), "reads 2 of 2 allowed, 1 of 1 forbidden");
    assert_eq!(reach.everywhere(), Everywhere::Yes);
    let told = warned(&world).await.expect("a warning");
    assert!(
        told.contains("every mailbox of the tenant") && told.contains("Mail.ReadWrite"),
        "{told}"
    );
    let events = world.events(CHANNEL);
    assert_eq!((events.len(), &events[0]["type"]), (1, &"credential.reach".into()));
    assert_eq!(
        (&events[0]["as_meant"], &events[0]["everywhere"]),
        (&false.into(), &"yes".into())
    );

    // The scope alone changes nothing: grants add up. That is no news.
    let scoped = [DESK, SHOP];
    let delay = Duration::from_secs(30 * 60);
    world
        .simulator
        .set_exchange_roles(&app, &["Mail.ReadWrite"], &scoped, delay)
        .expect("set");
    assert_eq!(next_day(&world).await.tried, 1);
    assert_eq!(try_it(&world).await.everywhere(), Everywhere::Yes);
    assert_eq!(world.events(CHANNEL).len(), 1, "told once");

    // The tenant-wide permission goes: with it everything else does, or nothing would be proven.
    world.simulator.set_roles(&app, &[]).expect("set");
    let reach = try_it(&world).await;
    assert_eq!(reach.summary(), "reads 2 of 2 allowed, 0 of 1 forbidden");
    assert!(reach.is_as_meant() && warned(&world).await.is_none(), "{reach:?}");
    let events = world.events(CHANNEL);
    assert_eq!(
        (events.len(), &events[1]["as_meant"], &events[1]["sequence"]),
        (2, &true.into(), &2.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_is_found_by_the_daily_look_and_no_answer_is_no_change() {
    let world = expecting(2).await;
    let app = client_id(&world);
    world.simulator.set_roles(&app, &[]).expect("set");
    world
        .simulator
        .set_exchange_roles(&app, &["Mail.Read"], &[DESK, SHOP], Duration::ZERO)
        .expect("set");
    let looked = world.importer().look_at_reach(PATIENCE, None).await.expect("a look");
    assert_eq!(looked, Looked { tried: 1, failed: 0 }, "never tried is due");
    let again = world.importer().look_at_reach(PATIENCE, None).await.expect("a look");
    assert_eq!(again.tried, 0, "once a day");
    assert_eq!(world.events(CHANNEL).len(), 0, "as meant from the beginning");

    // Somebody puts a forbidden mailbox into the group, and Graph has a bad day meanwhile.
    world
        .simulator
        .set_exchange_roles(&app, &["Mail.Read"], &[DESK, SHOP, CEO], Duration::from_secs(3600))
        .expect("set");
    let busy = Fault::Unavailable {
        retry_after: RetryAfter::Absent,
        wording: Wording::Json,
    };
    world
        .simulator
        .arm(FaultSpec::once(RequestKind::List, busy.clone()).always());
    next_day(&world).await;
    world.simulator.clear_faults();
    assert_eq!(world.events(CHANNEL).len(), 0, "no answer tells nothing");
    next_day(&world).await;
    let events = world.events(CHANNEL);
    assert_eq!(events.len(), 1);
    let text = events[0]["text"].as_str().expect("a text");
    assert!(text.contains(CEO) && !text.contains(SHOP), "{text}");

    // What was found holds through a day without answers: what did not change is not told as news when they come back.
    world.simulator.arm(FaultSpec::once(RequestKind::List, busy).always());
    next_day(&world).await;
    world.simulator.clear_faults();
    next_day(&world).await;
    assert_eq!(world.events(CHANNEL).len(), 1, "known before, and known again");
    assert!(
        warned(&world)
            .await
            .expect("a warning")
            .contains("30 minutes to 2 hours")
    );
}

#[tokio::test(start_paused = true)]
async fn one_request_per_mailbox_and_what_is_no_mailbox_proves_nothing() {
    let world = expecting(3).await;
    world.simulator.enable_mailbox(CEO, false).expect("off");
    let before = world.simulator.stats().total;
    let reach = try_it(&world).await;
    let after = world.simulator.stats().total;
    assert_eq!(after - before, 1 + 3, "the token, and three mailboxes");
    assert_eq!(reach.probes[2].found, Some(Found::NoMailbox));
    assert_eq!(
        (reach.everywhere(), reach.is_as_meant()),
        (Everywhere::Presumably, false)
    );
    // An application access policy limits a tenant-wide permission, too.
    world.simulator.enable_mailbox(CEO, true).expect("on");
    world.simulator.set_in_policy(CEO, false).expect("out");
    assert!(try_it(&world).await.is_as_meant());
}

#[tokio::test(start_paused = true)]
async fn a_person_has_no_reach_of_an_app() {
    let world = World::new(4);
    world.add_delegated("person", "Mail.Read offline_access").await;
    let refused = world.importer().reach("person", TokenNeed::New, PATIENCE).await;
    let Err(ReachError::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("person who signed in"), "{why}");
}
