//! What survives a restart: memory as strict as the cloud, or `SQLite`, a sealed file and a directory.

use std::sync::Arc;

use local::adapters::{DataDir, Files, SealedVault, SqliteStore};
use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use shared::{
    archive::Settle,
    memory::Memory,
    ports::{Attributes, Item, Key, Store, Vault},
};
use tempfile::TempDir;

/// On what a world stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// The memory adapters.
    Memory,
    /// The adapters of one machine.
    Disk,
}

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Disk];
}

/// Records, secrets and objects of a world.
pub(super) struct Kept {
    store: Arc<dyn Store>,
    vault: Arc<dyn Vault>,
    objects: Arc<dyn ObjectStore>,
    directory: Option<(DataDir, TempDir)>,
}

impl Kept {
    pub(super) fn open(backend: Backend, memory: &Memory) -> Self {
        if backend == Backend::Memory {
            return Self {
                store: Arc::new(memory.store.clone()),
                vault: Arc::new(memory.vault.clone()),
                objects: Arc::new(InMemory::new()),
                directory: None,
            };
        }
        // Where there is a file system in memory, nothing waits for a disk: what a crash of the process leaves is the same.
        let quick = std::path::Path::new("/dev/shm");
        let temporary = if quick.is_dir() {
            tempfile::tempdir_in(quick)
        } else {
            tempfile::tempdir()
        };
        let temporary = temporary.expect("a directory");
        let data_dir = DataDir::open(&temporary.path().join("data")).expect("a data directory");
        let store = SqliteStore::open(&data_dir.database(), &data_dir.database_lock()).expect("a store");
        let (clock, rng) = (Arc::clone(&memory.clock), Arc::new(memory.rng.clone()));
        let vault = SealedVault::open(data_dir.secrets(), None, None, clock, rng).expect("a vault");
        let objects = LocalFileSystem::new_with_prefix(data_dir.archive()).expect("an archive");
        Self {
            store: Arc::new(store),
            vault: Arc::new(vault),
            objects: Arc::new(objects),
            directory: Some((data_dir, temporary)),
        }
    }

    pub(super) fn backend(&self) -> Backend {
        match self.directory {
            None => Backend::Memory,
            Some(_) => Backend::Disk,
        }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub(super) fn vault(&self) -> Arc<dyn Vault> {
        Arc::clone(&self.vault)
    }

    pub(super) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// What makes objects durable, where writing them alone does not.
    pub(super) fn settle(&self) -> Option<Arc<dyn Settle>> {
        let (data_dir, _) = self.directory.as_ref()?;
        Some(Arc::new(Files::new(data_dir.archive())))
    }

    /// The power fails: of these objects the names are there, and nothing else.
    pub(super) fn lose(&self, objects: impl IntoIterator<Item = String>) {
        let Some((data_dir, _)) = &self.directory else { return };
        for object in objects {
            let file = data_dir.archive().join(object);
            // An upload that never ended has no name yet.
            if file.exists() {
                std::fs::write(file, []).expect("a file that can be cut");
            }
        }
    }

    /// Every item, by key.
    pub(super) fn dump(&self, memory: &Memory) -> Vec<Item> {
        let Some((data_dir, _)) = &self.directory else {
            return memory.store.dump();
        };
        let connection = rusqlite::Connection::open(data_dir.database()).expect("a database");
        let mut statement = connection
            .prepare("SELECT partition, sort, attributes FROM items ORDER BY partition, sort")
            .expect("a table");
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("rows");
        rows.map(|row| {
            let (partition, sort, text): (String, String, String) = row.expect("a row");
            let attributes: Attributes = serde_json::from_str(&text).expect("JSON");
            Item {
                key: Key { partition, sort },
                attributes,
            }
        })
        .collect()
    }
}
