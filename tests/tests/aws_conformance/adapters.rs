//! The suites of the ports over the AWS adapters.

use std::{sync::Arc, time::Duration};

use functions::adapters::{DynamoStore, EventBridgeScheduler, EventBus, SecretsVault, objects};
use object_store::ObjectStore;
use shared::{
    ports::{Publisher, Scheduler, Store, Vault},
    system::{SystemClock, SystemRng},
};
use tests::{
    aws::{Aws, MovedClock},
    conformance::{archive, publisher, scheduler, store, vault},
};

#[tokio::test(flavor = "multi_thread")]
async fn store_suite() {
    let Some(aws) = Aws::here("store_suite") else { return };
    let table = aws.table().await;
    let open: store::Reopen = Box::new(move || {
        Arc::new(DynamoStore::new(
            &aws.sdk(),
            &table,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        )) as Arc<dyn Store>
    });
    store::all(&open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_suite() {
    let Some(aws) = Aws::here("vault_suite") else { return };
    let (key, clock) = (aws.key().await, MovedClock::default());
    let moved = clock.clone();
    let open: vault::Reopen = Box::new(move || {
        let (clock, rng) = (Arc::new(clock.clone()), Arc::new(SystemRng));
        Arc::new(SecretsVault::new(&aws.sdk(), &aws.prefix, Some(&key), clock, rng)) as Arc<dyn Vault>
    });
    let strain = vault::Strain {
        contenders: 8,
        slack: Duration::from_mins(10),
    };
    vault::all(&open, &|duration| moved.advance(duration), strain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduler_suite() {
    let Some(aws) = Aws::here("scheduler_suite") else {
        return;
    };
    let firing = aws.firing().await;
    let open: scheduler::Reopen =
        Box::new(move || Arc::new(EventBridgeScheduler::new(&aws.sdk(), firing.clone())) as Arc<dyn Scheduler>);
    // The emulator lists one page and no mark to a second: that all pages are read cannot be seen here.
    scheduler::all(&open, 90).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publisher_suite() {
    let Some(aws) = Aws::here("publisher_suite") else {
        return;
    };
    let (bus, queue) = aws.bus().await;
    let open: publisher::Reopen = Box::new(move || Arc::new(EventBus::new(&aws.sdk(), &bus)) as Arc<dyn Publisher>);
    let in_effect: publisher::InEffect = Box::new(move |account| Box::pin(queue.clone().in_effect(account.to_owned())));
    publisher::all(&open, &in_effect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_suite() {
    let Some(aws) = Aws::here("archive_suite") else { return };
    let bucket = aws.bucket().await;
    let open: archive::Reopen =
        Box::new(move || objects(&aws.client, &aws.account, &bucket).expect("a bucket") as Arc<dyn ObjectStore>);
    archive::all(&open).await;
}
