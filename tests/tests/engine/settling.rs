//! A record names bytes only once they are durable (ADR 32).

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use shared::{
    account::MailboxKey,
    archive::Settle,
    error::AccountState,
    import::{Importer, RunOptions, report::Outcome},
    message::MessageKey,
    oauth::TokenService,
    ports::Store,
    records::messages::Messages,
};
use tests::world::World;

/// A disk that acknowledges early.
struct Disk {
    store: Arc<dyn Store>,
    mailbox: MailboxKey,
    settled: Mutex<BTreeSet<String>>,
    fails: AtomicBool,
}

impl Disk {
    async fn of(world: &World) -> Arc<Self> {
        Arc::new(Self {
            store: world.ports().store,
            mailbox: world.row("desk").await.mailbox,
            settled: Mutex::default(),
            fails: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl Settle for Disk {
    async fn settle(&self, paths: &[String]) -> object_store::Result<()> {
        if self.fails.load(Relaxed) {
            return Err(object_store::Error::Generic {
                store: "disk",
                source: "no space".into(),
            });
        }
        for path in paths {
            let key = MessageKey(path.split('/').nth(1).expect("a message").to_owned());
            let record = Messages::new(self.store.clone()).get(&self.mailbox, &key).await;
            assert!(
                record.expect("a store").is_none_or(|record| record.archived.is_none()),
                "{path} was named before it was durable"
            );
            self.settled.lock().expect("a lock").insert(path.clone());
        }
        Ok(())
    }
}

fn importer(world: &World, disk: &Arc<Disk>) -> Importer {
    let ports = world.ports();
    let tokens = Arc::new(TokenService::new(ports.clone()));
    Importer::new(ports, tokens, world.archive().settling(disk.clone()))
}

#[tokio::test(start_paused = true)]
async fn bytes_are_durable_before_a_record_names_them() {
    let world = World::new(31);
    world.fill(70);
    world.usual(|_| {}).await;
    let disk = Disk::of(&world).await;
    let report = importer(&world, &disk).run("desk", &RunOptions::new("test")).await;
    assert_eq!(report.expect("a run").outcome, Outcome::Done);
    world.audit().all_imported().await;
    let named: BTreeSet<String> = world
        .messages("desk")
        .await
        .into_values()
        .filter_map(|message| Some(message.archived?.path))
        .collect();
    assert_eq!(named.len(), 70);
    assert_eq!(*disk.settled.lock().expect("a lock"), named);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_keep_them_stops_the_run_and_nothing_is_on_record() {
    let world = World::new(32);
    world.fill(5);
    world.usual(|_| {}).await;
    let disk = Disk::of(&world).await;
    disk.fails.store(true, Relaxed);
    let importer = importer(&world, &disk);
    let report = importer.run("desk", &RunOptions::new("test")).await.expect("a run");
    assert_eq!(
        (report.outcome, report.state, report.imported),
        (Outcome::Failed, AccountState::NeedsOperator, 0),
        "{report:#?}"
    );
    assert!(report.problems[0].what.contains("could not settle"), "{report:#?}");
    assert!(world.messages("desk").await.is_empty());
    disk.fails.store(false, Relaxed);
    world.settle("desk", 3).await;
    world.audit().all_imported().await;
}
