//! Where an account starts, and what moves in later (P35, P36, P46, P47).

use std::time::Duration;

use shared::{account::Start, ports::Clock as _};
use simulator::{Delivery, Mime};
use tests::world::{DESK, World};

fn mail(subject: &str) -> Mime {
    Mime::from(
        format!("From: a@b.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@b.example>\r\n\r\nhello\r\n")
            .into_bytes(),
    )
}

async fn subjects(world: &World) -> Vec<String> {
    world
        .messages("desk")
        .await
        .into_values()
        .filter_map(|message| message.envelope.subject)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn from_now_counts_the_old_and_imports_the_new() {
    let world = World::new(1);
    world.fill(250);
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.usual(|account| account.start = Start::Now).await;
    let first = world.run("desk").await;
    assert_eq!((first.imported, first.before_start), (0, 250), "{first:#?}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    world
        .simulator
        .deliver(DESK, Delivery::inbox(mail("new")))
        .expect("delivered");
    let second = world.run("desk").await;
    assert_eq!(second.imported, 1, "{second:#?}");
    assert_eq!(subjects(&world).await, ["new"]);
    world.audit().consistent().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_mail_that_is_only_touched_stays_out_and_one_that_is_moved_in_comes_in() {
    let world = World::new(2);
    let now = world.clock.now().as_millisecond();
    let old = world
        .simulator
        .deliver(DESK, Delivery::inbox(mail("old")).received(now - 86_400_000))
        .expect("delivered");
    let elsewhere = world
        .simulator
        .deliver(
            DESK,
            Delivery::inbox(mail("elsewhere"))
                .folder("archive")
                .received(now - 86_400_000),
        )
        .expect("delivered");
    world.usual(|account| account.start = Start::Now).await;
    assert_eq!(world.run("desk").await.imported, 0);
    world.simulator.mark(DESK, &old, true).expect("marked");
    assert_eq!(world.run("desk").await.imported, 0, "somebody read an old mail");
    world.simulator.move_message(DESK, &elsewhere, "inbox").expect("moved");
    assert_eq!(
        world.run("desk").await.imported,
        1,
        "appearing in the folder is what counts (P35)"
    );
    assert_eq!(subjects(&world).await, ["elsewhere"]);
    // A reset walks the folder anew: what was old is still old, what was imported is not imported again.
    world.simulator.evict_delta_state(DESK, "inbox").expect("evicted");
    let again = world.run("desk").await;
    assert_eq!((again.imported, again.before_start), (0, 0), "{again:#?}");
    world.audit().consistent().await;
}

#[tokio::test(start_paused = true)]
async fn from_a_date_imports_from_its_first_instant_on() {
    let world = World::new(3);
    let day: jiff::Timestamp = "2026-01-31T00:00:00Z".parse().expect("a day");
    for (offset, subject) in [(-1, "before"), (0, "at"), (1, "after")] {
        let at = day.as_millisecond() + offset * 1_000;
        world
            .simulator
            .deliver(DESK, Delivery::inbox(mail(subject)).received(at))
            .expect("delivered");
    }
    world
        .usual(|account| account.start = Start::parse("2026-01-31").expect("a day"))
        .await;
    world.run("desk").await;
    let mut found = subjects(&world).await;
    found.sort();
    assert_eq!(found, ["after", "at"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_start_walks_anew_under_the_new_one() {
    let world = World::new(4);
    world.fill(30);
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.usual(|account| account.start = Start::Now).await;
    assert_eq!(world.run("desk").await.before_start, 30);
    let row = world.row("desk").await;
    let mut account = row.account.clone();
    account.start = Start::Everything;
    shared::records::accounts::Accounts::new(world.ports().store)
        .edit(&account, &row)
        .await
        .expect("edited");
    assert_eq!(world.run("desk").await.imported, 30);
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_leaves_no_gap() {
    let world = World::new(5);
    world.fill(5);
    world.usual(|_| {}).await;
    world.run("desk").await;
    tokio::time::sleep(Duration::from_secs(40 * 24 * 3600)).await;
    world.fill(12);
    let report = world.run("desk").await;
    assert_eq!(report.imported, 12, "{report:#?}");
    world.audit().all_imported().await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_was_read_before_is_imported_all_the_same() {
    let world = World::new(6);
    let mut delivery = Delivery::inbox(mail("read by somebody"));
    delivery.read = true;
    world.simulator.deliver(DESK, delivery).expect("delivered");
    world.usual(|_| {}).await;
    assert_eq!(world.run("desk").await.imported, 1);
}
