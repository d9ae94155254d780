//! In-memory adapters of the ports: first class and strict, as fussy as the real ones, and able to answer badly on demand.
//!
//! All are handles: a clone sees the same data, so a "restart" in a test keeps the clones and builds new rooms on them.

mod clock;
mod faults;
mod publisher;
mod rng;
mod scheduler;
mod store;
mod vault;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

pub use clock::{ManualClock, PausedClock, start_of_time};
pub use faults::Faults;
pub use publisher::{MemoryPublisher, PublisherFault, check_events};
pub use rng::SeededRng;
pub use scheduler::{MemoryScheduler, check_schedule};
pub use store::{MemoryStore, StoreCall, StoreFault};
pub use vault::{MemoryVault, VaultCall, VaultFault, check_name, check_value};

use crate::ports::{Clock, Http, Ports};

/// Everything a test keeps in its hands, and from which it builds [`Ports`] as often as it likes.
#[derive(Clone)]
pub struct Memory {
    /// Records.
    pub store: MemoryStore,
    /// Secrets.
    pub vault: MemoryVault,
    /// Schedules.
    pub scheduler: MemoryScheduler,
    /// Events out.
    pub publisher: MemoryPublisher,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: SeededRng,
    graves: Arc<Mutex<BTreeSet<String>>>,
}

impl Memory {
    /// Empty adapters on this clock, chance from this seed.
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            store: MemoryStore::default(),
            vault: MemoryVault::new(clock.clone()),
            scheduler: MemoryScheduler::default(),
            publisher: MemoryPublisher::default(),
            clock,
            rng: SeededRng::new(seed),
            graves: Arc::default(),
        }
    }

    /// Ports for the process that calls itself `instance`.
    pub fn ports(&self, instance: &str, http: Arc<dyn Http>) -> Ports {
        let graves = self.graves.clone();
        Ports {
            store: Arc::new(self.store.clone()),
            vault: Arc::new(self.vault.clone()),
            scheduler: Arc::new(self.scheduler.clone()),
            publisher: Arc::new(self.publisher.clone()),
            http,
            clock: self.clock.clone(),
            rng: Arc::new(self.rng.clone()),
            instance: instance.into(),
            dead: Arc::new(move |instance| graves.lock().unwrap_or_else(PoisonError::into_inner).contains(instance)),
        }
    }

    /// From now on [`Ports::dead`] says that this instance is dead.
    pub fn bury(&self, instance: &str) {
        self.graves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(instance.to_owned());
    }

    /// How many faults are still armed over all adapters: a test that ends with some has not tested what it meant to.
    pub fn armed(&self) -> usize {
        self.store.faults().armed()
            + self.vault.faults().armed()
            + self.scheduler.faults().armed()
            + self.publisher.faults().armed()
    }
}

/// Ports over fresh memory on tokio's (pausable) time.
pub fn ports(seed: u64, http: Arc<dyn Http>) -> Ports {
    Memory::new(seed, Arc::new(PausedClock::default())).ports("memory", http)
}
