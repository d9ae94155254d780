//! A process of its own: several importers in one world, each with its own name, clock, wire and crashes.

use std::sync::Arc;

use shared::{archive::Archive, import::Importer, oauth::TokenService, ports::Clock};

use super::{
    Crash, InProcess, World,
    crash::{CrashingObjects, CrashingStore},
};

/// An importer that lives and dies apart from the others of its world.
pub struct Process {
    /// Its name, as it signs leases.
    pub instance: String,
    /// Where it dies or freezes.
    pub crash: Crash,
    /// What it asked of whom.
    pub wire: Arc<InProcess>,
    /// The importer.
    pub importer: Importer,
}

impl World {
    /// A new process with this name and clock, over the world's stores.
    pub fn process(&self, instance: &str, clock: Arc<dyn Clock>) -> Process {
        let crash = Crash::default();
        let wire = Arc::new(InProcess::new(self.simulator.clone(), crash.clone()));
        let mut ports = self.memory.ports(instance, wire.clone());
        ports.store = Arc::new(CrashingStore::new(self.memory.store.clone(), crash.clone()));
        ports.clock = clock;
        let tokens = Arc::new(TokenService::new(ports.clone()));
        let objects = CrashingObjects::new(Arc::clone(&self.objects), crash.clone());
        Process {
            instance: instance.to_owned(),
            crash,
            wire,
            importer: Importer::new(ports, tokens, Archive::new(Arc::new(objects), 64 * 1024)),
        }
    }
}
