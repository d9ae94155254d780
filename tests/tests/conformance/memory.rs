//! The memory adapters: the suites, and the faults they can be armed with.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use shared::{
    memory::{
        ManualClock, Memory, MemoryPublisher, MemoryScheduler, MemoryStore, MemoryVault, PausedClock, PublisherFault,
        SeededRng, StoreCall, StoreFault, VaultCall, VaultFault,
    },
    ports::{
        Clock, Condition, Key, Publisher, Query, Scheduler, SecretName, Stage, Store, StoreError, Vault, VaultError,
        Write,
    },
    secret::Secret,
};
use tests::conformance::{clock_rng, publisher, scheduler, store, vault};

#[tokio::test(flavor = "multi_thread")]
async fn store_suite() {
    let memory = MemoryStore::default();
    let open: store::Reopen = Box::new(move || Arc::new(memory.clone()) as Arc<dyn Store>);
    store::all(&open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_suite() {
    let clock = ManualClock::default();
    let memory = MemoryVault::new(Arc::new(clock.clone()));
    let open: vault::Reopen = Box::new(move || Arc::new(memory.clone()) as Arc<dyn Vault>);
    vault::all(&open, &|duration| clock.advance(duration), vault::Strain::default()).await;
    let back = |duration| clock.turn_back(duration);
    vault::wrong_clock(&*open(), &|duration| clock.advance(duration), &back).await;
}

#[tokio::test]
async fn scheduler_suite() {
    let memory = MemoryScheduler::default();
    let open: scheduler::Reopen = Box::new(move || Arc::new(memory.clone()) as Arc<dyn Scheduler>);
    scheduler::all(&open, scheduler::MANY).await;
}

#[tokio::test]
async fn publisher_suite() {
    let memory = MemoryPublisher::default();
    let seen = memory.clone();
    let open: publisher::Reopen = Box::new(move || Arc::new(memory.clone()) as Arc<dyn Publisher>);
    let in_effect: publisher::InEffect = Box::new(move |account| {
        let events = seen.in_effect(account);
        Box::pin(async move { events })
    });
    publisher::all(&open, &in_effect).await;
}

#[tokio::test(start_paused = true)]
async fn clock_suite() {
    clock_rng::clock(&PausedClock::default()).await;
}

#[tokio::test]
async fn a_standing_clock_moves_only_when_moved() {
    let clock = ManualClock::default();
    let start = clock.now();
    let sleepers: Vec<_> = [30, 10, 20]
        .map(|seconds| {
            let clock = clock.clone();
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                clock.now().duration_since(start).as_secs()
            })
        })
        .into();
    while clock.until_next() != Some(Duration::from_secs(10)) {
        tokio::task::yield_now().await;
    }
    let mut woken = Vec::new();
    clock.advance(Duration::from_secs(10));
    clock.advance(Duration::from_secs(25));
    for sleeper in sleepers {
        woken.push(sleeper.await.expect("a sleeper"));
    }
    assert_eq!(
        woken,
        [35, 35, 35],
        "each sees the clock as it stands when it gets to look"
    );
    assert_eq!(clock.until_next(), None);
}

#[test]
fn rng_suite() {
    clock_rng::rng(&SeededRng::new(7));
    let hex = |seed| (&SeededRng::new(seed) as &dyn shared::ports::Rng).hex(8);
    assert_eq!(hex(1), hex(1), "the same seed gives the same bytes");
    assert_ne!(hex(1), hex(2));
}

fn put(value: i64) -> Write {
    Write::put(Key::new("p", "s"), [("v".to_owned(), json!(value))].into())
}

async fn value(store: &MemoryStore) -> Option<i64> {
    store
        .get(&Key::new("p", "s"))
        .await
        .expect("get")
        .and_then(|item| item.attributes["v"].as_i64())
}

#[tokio::test]
async fn an_armed_conflict_writes_nothing_and_a_lost_acknowledgement_does() {
    let store = MemoryStore::default();
    store.faults().arm(StoreCall::Transact, StoreFault::Conflict, 1);
    assert!(matches!(store.transact(vec![put(1)]).await, Err(StoreError::Conflict)));
    assert_eq!(value(&store).await, None);
    store
        .faults()
        .arm(StoreCall::Transact, StoreFault::AcknowledgementLost, 1);
    assert!(matches!(store.transact(vec![put(2)]).await, Err(StoreError::Conflict)));
    assert_eq!(value(&store).await, Some(2), "it was applied");
    store
        .faults()
        .arm(StoreCall::Update, StoreFault::AcknowledgementLost, 1);
    let refused = store.update(put(3).when(Condition::Absent)).await;
    assert!(
        matches!(refused, Err(StoreError::ConditionFailed { .. })),
        "a refusal is not lost"
    );
    assert_eq!(store.faults().armed(), 0);
    assert_eq!(value(&store).await, Some(2));
}

#[tokio::test]
async fn stale_reads_show_what_stood_before() {
    let store = MemoryStore::default();
    store.update(put(1)).await.expect("put");
    store.update(put(2)).await.expect("put");
    store.faults().arm(StoreCall::Get, StoreFault::Stale, 1);
    assert_eq!(value(&store).await, Some(1));
    assert_eq!(value(&store).await, Some(2));
    store.update(Write::delete(Key::new("p", "s"))).await.expect("delete");
    store.faults().arm(StoreCall::Query, StoreFault::Stale, 1);
    assert_eq!(store.query(&Query::all("p")).await.expect("query").items.len(), 1);
    assert_eq!(store.query(&Query::all("p")).await.expect("query").items.len(), 0);
}

#[tokio::test]
async fn an_empty_page_leads_on() {
    let store = MemoryStore::default();
    store.update(put(1)).await.expect("put");
    for descending in [false, true] {
        store.faults().arm(StoreCall::Query, StoreFault::EmptyPage, 1);
        let mut query = Query {
            descending,
            ..Query::all("p")
        };
        let page = store.query(&query).await.expect("query");
        assert!(page.items.is_empty());
        query.after = Some(page.next.expect("a mark"));
        assert_eq!(store.query(&query).await.expect("query").items.len(), 1);
    }
}

#[tokio::test]
async fn unavailable_and_a_full_disk() {
    let store = MemoryStore::default();
    store.faults().arm(None, StoreFault::Unavailable, 2);
    assert!(matches!(
        store.get(&Key::new("p", "s")).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(store.update(put(1)).await, Err(StoreError::Unavailable(_))));
    store
        .faults()
        .arm_after(StoreCall::Update, StoreFault::CannotWrite, 1, 1);
    store.update(put(1)).await.expect("the first passes");
    assert!(matches!(store.update(put(2)).await, Err(StoreError::CannotWrite(_))));
    assert_eq!(value(&store).await, Some(1));
}

#[tokio::test]
async fn vault_faults() {
    let vault = MemoryVault::new(Arc::new(ManualClock::default()));
    let name = SecretName("grant/x".into());
    let first = vault.put(&name, &Secret::new("one"), None).await.expect("put");
    vault.faults().arm(VaultCall::Put, VaultFault::AcknowledgementLost, 1);
    assert!(matches!(
        vault.put(&name, &Secret::new("two"), Some(&first)).await,
        Err(VaultError::Unavailable(_))
    ));
    assert_eq!(
        vault
            .read(&name, Stage::Current)
            .await
            .expect("read")
            .expect("an entry")
            .value
            .expose(),
        "two",
        "it was applied"
    );
    vault.faults().arm(VaultCall::Read, VaultFault::Stale, 1);
    assert_eq!(
        vault
            .read(&name, Stage::Current)
            .await
            .expect("read")
            .expect("an entry")
            .value
            .expose(),
        "one"
    );
    vault.faults().arm(VaultCall::Stage, VaultFault::Conflict, 1);
    assert!(matches!(
        vault.stage(&name, &Secret::new("three")).await,
        Err(VaultError::Conflict { .. })
    ));
    assert!(vault.read(&name, Stage::Pending).await.expect("read").is_none());
    vault.faults().arm(None, VaultFault::Denied, 1);
    assert!(matches!(vault.version(&name).await, Err(VaultError::Denied(_))));
}

#[tokio::test]
async fn publisher_faults() {
    let log = MemoryPublisher::default();
    let batch = publisher::events(1..=4);
    for (fault, delivered, said) in [
        (PublisherFault::Refused, 0, 0),
        (PublisherFault::Partial(2), 2, 2),
        (PublisherFault::AcknowledgementLost, 6, 0),
    ] {
        log.faults().arm((), fault, 1);
        assert_eq!(log.publish("a", &batch).await.expect_err("a fault").delivered, said);
        assert_eq!(log.delivered("a").len(), delivered);
    }
    assert_eq!(log.in_effect("a"), batch, "repetitions are seen through");
}

#[tokio::test(start_paused = true)]
async fn memory_counts_its_faults_and_its_dead() {
    let memory = Memory::new(1, Arc::new(PausedClock::default()));
    memory.scheduler.faults().arm((), "no", 1);
    memory.publisher.faults().arm((), PublisherFault::Refused, 1);
    assert_eq!(memory.armed(), 2);
    assert!(memory.scheduler.list().await.is_err());
    memory.publisher.faults().clear();
    assert_eq!(memory.armed(), 0);
    let http: Arc<dyn shared::ports::Http> =
        Arc::new(local::adapters::wire(&local::adapters::HttpOptions::default()).expect("a client"));
    let ports = memory.ports("one", http);
    assert!(!(ports.dead)("two"));
    memory.bury("two");
    assert!((ports.dead)("two") && !(ports.dead)("one"));
}
