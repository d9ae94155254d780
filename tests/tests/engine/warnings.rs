//! Warnings before it breaks: each stage once, as an event with its number, whatever the publisher does.

use std::time::Duration;

use shared::{
    credential::ClientInput,
    memory::PublisherFault,
    ports::Clock as _,
    records::{
        credentials::Credentials,
        warnings::{CHANNEL, look},
    },
    secret::Secret,
    time::plus,
};
use tests::world::World;

const DAY: u64 = 24 * 60 * 60;

async fn expires_in(world: &World, days: u64) {
    world.add_credential("app").await;
    let shelf = Credentials::new(world.ports().store);
    let row = shelf.get("app").await.expect("a row");
    let mut credential = row.credential.clone();
    let at = plus(world.clock.now(), Duration::from_secs(days * DAY));
    let input = ClientInput::Secret {
        secret: Secret::new("x"),
        expires_at: Some(at),
    };
    credential.secret_expires_at = input.split().expect("good").2;
    shelf.edit(&credential, row.revision).await.expect("edited");
}

fn stages(world: &World) -> Vec<u64> {
    let events = world.events(CHANNEL);
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    events
        .iter()
        .map(|event| event["stage"].as_u64().expect("a stage"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_stage_is_told_once_and_in_time() {
    let world = World::new(1);
    expires_in(&world, 90).await;
    let mut first = None;
    for day in 0..95_u64 {
        // Several looks a day, from several processes.
        for _ in 0..3 {
            world.restart();
            let looked = look(&world.ports()).await.expect("a look");
            if first.is_none() && looked.news > 0 {
                first = Some((day, looked.days()));
            }
            tokio::time::sleep(Duration::from_secs(DAY / 3)).await;
        }
    }
    assert_eq!(stages(&world), [60, 30, 14, 7, 1, 0]);
    assert_eq!(
        first,
        Some((30, Some(59))),
        "on the day on which less than 60 days are left"
    );
    let text = world.events(CHANNEL)[1]["text"].as_str().expect("a text").to_owned();
    assert!(
        text.contains("29 days") && text.contains("credential roll app"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_warning_that_could_not_be_sent_is_sent_later_and_a_new_secret_begins_anew() {
    let world = World::new(2);
    expires_in(&world, 10).await;
    world.memory.publisher.faults().arm((), PublisherFault::Refused, 1);
    look(&world.ports()).await.expect("a look");
    assert_eq!(stages(&world), [0_u64; 0]);
    assert_eq!(
        look(&world.ports()).await.expect("a look").news,
        0,
        "it is no news, but it is owed"
    );
    assert_eq!(stages(&world), [14]);

    let shelf = Credentials::new(world.ports().store);
    let row = shelf.get("app").await.expect("a row");
    let mut credential = row.credential.clone();
    credential.secret_expires_at = Some(plus(world.clock.now(), Duration::from_secs(50 * DAY)));
    shelf.edit(&credential, row.revision).await.expect("edited");
    look(&world.ports()).await.expect("a look");
    assert_eq!(stages(&world), [14, 60]);
}
