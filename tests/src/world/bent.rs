//! The ports of a process that a plan can bend: whatever adapter lies below.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use serde_json::Value;
use shared::{
    memory::{Memory, MemoryStore, MemoryVault, StoreCall, StoreFault, VaultCall, VaultFault},
    ports::{
        Http, Item, Key, Page, Ports, PublishError, Publisher, Query, Schedule, ScheduleError, Scheduler, SecretName,
        SecretVersion, Stage, Store, StoreError, Vault, VaultEntry, VaultError, Write,
    },
    secret::Secret,
    store_rules,
};

use super::{
    crash::{Bend, Crash, Op},
    ledger::Ledger,
};

/// A store, every call a step.
pub(super) struct BentStore {
    pub(super) store: Arc<dyn Store>,
    /// The same, if it is the memory store: it can show the past.
    pub(super) memory: Option<MemoryStore>,
    pub(super) crash: Crash,
    pub(super) ledger: Ledger,
}

impl BentStore {
    fn look_back(&self, bend: Option<Bend>, call: StoreCall) {
        if let (Some(Bend::Stale), Some(memory)) = (bend, &self.memory) {
            memory.faults().arm(call, StoreFault::Stale, 1);
        }
    }
}

fn no_store(bend: Bend) -> StoreError {
    match bend {
        Bend::Error => StoreError::Unavailable("planned".into()),
        _ => StoreError::Conflict,
    }
}

#[async_trait]
impl Store for BentStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let apply = |bend| {
            self.look_back(bend, StoreCall::Get);
            self.store.get(key)
        };
        self.crash.through(Op::StoreGet, apply, no_store).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let apply = |bend| {
            self.look_back(bend, StoreCall::GetMany);
            self.store.get_many(keys)
        };
        self.crash.through(Op::StoreGetMany, apply, no_store).await
    }
    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let short = Query {
            limit: 1,
            ..query.clone()
        };
        let apply = |bend| {
            self.look_back(bend, StoreCall::Query);
            self.store.query(if bend == Some(Bend::Short) { &short } else { query })
        };
        let mut page = self.crash.through(Op::StoreQuery, apply, no_store).await?;
        // A page that ends at its limit may say that more may follow, also where nothing does.
        if page.next.is_none() && page.items.len() == query.limit {
            page.next = page.items.last().map(|item| store_rules::mark_after(&item.key));
        }
        Ok(page)
    }
    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        let apply = |_| self.store.update(write.clone());
        self.crash.through(Op::StoreUpdate, apply, no_store).await
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let writes = Arc::new(writes);
        let apply = |_| {
            let writes = Arc::clone(&writes);
            async move {
                self.ledger.offer(&writes);
                self.store.transact(writes.to_vec()).await?;
                self.ledger.wrote(&writes);
                Ok(())
            }
            .boxed()
        };
        self.crash.through(Op::StoreTransact, apply, no_store).await
    }
}

/// A vault, every call a step.
pub(super) struct BentVault {
    pub(super) vault: Arc<dyn Vault>,
    /// The same, if it is the memory vault: it can show the past.
    pub(super) memory: Option<MemoryVault>,
    pub(super) crash: Crash,
}

fn no_vault(name: &SecretName) -> impl Fn(Bend) -> VaultError + Send {
    let name = name.clone();
    move |bend| match bend {
        Bend::Conflict => VaultError::Conflict { name: name.clone() },
        _ => VaultError::Unavailable("planned".into()),
    }
}

#[async_trait]
impl Vault for BentVault {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        let apply = |bend| {
            if let (Some(Bend::Stale), Some(memory)) = (bend, &self.memory) {
                memory.faults().arm(VaultCall::Read, VaultFault::Stale, 1);
            }
            self.vault.read(name, stage)
        };
        self.crash.through(Op::VaultRead, apply, no_vault(name)).await
    }
    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        let apply = |_| self.vault.version(name);
        self.crash.through(Op::VaultVersion, apply, no_vault(name)).await
    }
    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        let apply = |_| self.vault.put(name, value, expected);
        self.crash.through(Op::VaultPut, apply, no_vault(name)).await
    }
    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        let apply = |_| self.vault.stage(name, value);
        self.crash.through(Op::VaultStage, apply, no_vault(name)).await
    }
    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        let apply = |_| self.vault.promote(name, version, expected);
        self.crash.through(Op::VaultPromote, apply, no_vault(name)).await
    }
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        let apply = |_| self.vault.remove(name);
        self.crash.through(Op::VaultRemove, apply, no_vault(name)).await
    }
}

/// A publisher, every batch a step.
struct BentPublisher {
    publisher: Arc<dyn Publisher>,
    crash: Crash,
    ledger: Ledger,
}

#[async_trait]
impl Publisher for BentPublisher {
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError> {
        let half = events.len() / 2;
        let apply = |bend| match bend {
            Some(Bend::Short) => self.publisher.publish(account, &events[..half]),
            _ => self.publisher.publish(account, events),
        };
        let step = self.crash.begin(Op::Publish).await;
        let failed = |delivered| {
            Err(PublishError {
                delivered,
                reason: "planned".into(),
            })
        };
        match step.bend() {
            Some(Bend::Error) => return failed(0),
            Some(Bend::Twice) => apply(None).await?,
            _ => {}
        }
        self.ledger.tell(account, events);
        apply(step.bend()).await?;
        self.crash.end(&step).await;
        match step.bend() {
            Some(Bend::Lost) => failed(0),
            Some(Bend::Short) => failed(half),
            _ => Ok(()),
        }
    }
}

/// A scheduler, every call a step.
struct BentScheduler {
    scheduler: Arc<dyn Scheduler>,
    crash: Crash,
}

fn no_schedule(account: &str) -> impl Fn(Bend) -> ScheduleError + Send {
    let account = account.to_owned();
    move |_| ScheduleError {
        account: account.clone(),
        reason: "planned".into(),
    }
}

#[async_trait]
impl Scheduler for BentScheduler {
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        let apply = |_| self.scheduler.put(schedule);
        let refuse = no_schedule(&schedule.account);
        self.crash.through(Op::SchedulePut, apply, refuse).await
    }
    async fn remove(&self, account: &str) -> Result<(), ScheduleError> {
        let apply = |_| self.scheduler.remove(account);
        self.crash
            .through(Op::ScheduleRemove, apply, no_schedule(account))
            .await
    }
    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError> {
        let apply = |_| self.scheduler.list();
        self.crash.through(Op::ScheduleList, apply, no_schedule("*")).await
    }
}

/// Every call of these ports becomes a step. `memory`: what of them is in memory, and can show the past.
pub(super) fn bend(mut ports: Ports, memory: Option<&Memory>, crash: &Crash, ledger: &Ledger) -> Ports {
    ports.store = Arc::new(BentStore {
        store: ports.store,
        memory: memory.map(|memory| memory.store.clone()),
        crash: crash.clone(),
        ledger: ledger.clone(),
    });
    ports.vault = Arc::new(BentVault {
        vault: ports.vault,
        memory: memory.map(|memory| memory.vault.clone()),
        crash: crash.clone(),
    });
    ports.publisher = Arc::new(BentPublisher {
        publisher: ports.publisher,
        crash: crash.clone(),
        ledger: ledger.clone(),
    });
    ports.scheduler = Arc::new(BentScheduler {
        scheduler: ports.scheduler,
        crash: crash.clone(),
    });
    ports.clock = crash.clock(ports.clock);
    ports
}

/// The ports of one process over memory, every call a step that may be its last.
pub fn crashing(memory: &Memory, instance: &str, http: Arc<dyn Http>, crash: &Crash) -> Ports {
    bend(memory.ports(instance, http), Some(memory), crash, &Ledger::default())
}
