//! A process of its own: several importers in one world, each with its own name, clock, wire and crashes.

use std::sync::Arc;

use shared::{
    import::Importer,
    oauth::TokenService,
    ports::{Clock, Ports},
};

use super::{Crash, InProcess, World};

/// An importer that lives and dies apart from the others of its world.
pub struct Process {
    /// Its name, as it signs leases.
    pub instance: String,
    /// Where it dies or freezes.
    pub crash: Crash,
    /// What it asked of whom.
    pub wire: Arc<InProcess>,
    /// Its ports.
    pub ports: Ports,
    /// The importer.
    pub importer: Importer,
    /// Tokens, as this process asks for them.
    pub tokens: Arc<TokenService>,
}

impl World {
    /// A new process with this name and clock, over the world's stores.
    pub fn process(&self, instance: &str, clock: Arc<dyn Clock>) -> Process {
        let crash = Crash::default();
        let wire = Arc::new(InProcess::new(self.simulator.clone(), crash.clone()));
        let mut ports = self.kept_ports(instance, wire.clone());
        ports.clock = clock;
        let ports = self.bend(ports, &crash);
        let tokens = Arc::new(TokenService::new(ports.clone()));
        let archive = self.archive_of(&crash);
        Process {
            instance: instance.to_owned(),
            crash,
            wire,
            importer: Importer::new(ports.clone(), tokens.clone(), archive),
            ports,
            tokens,
        }
    }
}
