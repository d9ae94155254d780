//! Opens everything in a data directory: what the command line builds its rooms on.

use std::sync::Arc;

use object_store::ObjectStore;
use shared::{
    archive::Settle,
    ports::{Clock, Ports, Rng, Store},
};

use super::{
    DataDir, EventLog, Files, HttpOptions, Instance, KeySource, OpenError, Passphrase, ReqwestHttp, SealedVault,
    SqliteStore, SystemClock, SystemRng, TimerScheduler, open_archive, wire,
};

/// What an admin may choose about the adapters.
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// Where the key of the sealed file comes from; `None`: as the file says, and a key file for a new one.
    pub key_source: Option<KeySource>,
    /// Asks for the passphrase, should one be needed.
    pub passphrase: Option<Passphrase>,
    /// The wire.
    pub http: HttpOptions,
}

/// A data directory at work.
pub struct Opened {
    /// The ports.
    pub ports: Ports,
    /// The archive.
    pub archive: Arc<dyn ObjectStore>,
    /// What makes the archive's files durable before a record names them.
    pub settle: Arc<dyn Settle>,
    /// The vault, for rewrapping; the same as in the ports.
    pub vault: SealedVault,
    /// The event log, for reading; the same as in the ports.
    pub events: EventLog,
    /// The timers, for `serve`; the same as in the ports.
    pub timers: TimerScheduler,
    /// The wire, for the doctor; the same as in the ports.
    pub wire: ReqwestHttp,
    /// The directory.
    pub data_dir: DataDir,
    /// Last, so that it is dropped last: as long as it is kept this process counts as alive.
    pub instance: Instance,
}

/// Opens all adapters. Blocks for a moment (checks of the database, a key derivation); makes what is missing.
pub fn open(data_dir: DataDir, options: &OpenOptions) -> Result<Opened, OpenError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rng: Arc<dyn Rng> = Arc::new(SystemRng);
    let instance = data_dir.register(&*rng)?;
    let archive = open_archive(&data_dir.archive())?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data_dir.database(), &data_dir.database_lock())?);
    let vault = SealedVault::open(
        data_dir.secrets(),
        options.key_source,
        options.passphrase.clone(),
        clock.clone(),
        rng.clone(),
    )?;
    let events = EventLog::new(data_dir.events());
    let timers = TimerScheduler::new(store.clone(), clock.clone());
    let wire = wire(&options.http)?;
    let ports = Ports {
        store,
        vault: Arc::new(vault.clone()),
        scheduler: Arc::new(timers.clone()),
        publisher: Arc::new(events.clone()),
        http: Arc::new(wire.clone()),
        clock,
        rng,
        instance: instance.name(),
        dead: data_dir.obituary(),
    };
    Ok(Opened {
        ports,
        archive,
        settle: Arc::new(Files::new(data_dir.archive())),
        vault,
        events,
        timers,
        wire,
        data_dir,
        instance,
    })
}
