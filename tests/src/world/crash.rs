//! Crashes at a chosen step: the step never comes back, and the test drops the whole run.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, memory::InMemory, path::Path,
};
use shared::{
    memory::{Memory, MemoryStore, MemoryVault},
    ports::{
        Http, Item, Key, Page, Ports, Query, SecretName, SecretVersion, Stage, Store, StoreError, Vault, VaultEntry,
        VaultError, Write,
    },
    secret::Secret,
};
use tokio::sync::Notify;

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before the step has any effect.
    Before(usize),
    /// After its effect, before anybody learns of it.
    After(usize),
}

/// Counts steps and stops the process at one of them.
#[derive(Clone, Default)]
pub struct Crash {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    steps: AtomicUsize,
    point: Mutex<Option<Point>>,
    happened: AtomicBool,
    now: Notify,
    thaw: Notify,
    thawed: AtomicBool,
}

impl Crash {
    /// From now on steps are counted from 0, and the process dies at this one.
    pub fn arm(&self, point: Point) {
        self.inner.steps.store(0, Ordering::SeqCst);
        *self.inner.point.lock().unwrap_or_else(PoisonError::into_inner) = Some(point);
    }

    /// No crash any more.
    pub fn disarm(&self) {
        *self.inner.point.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Steps counted so far.
    pub fn steps(&self) -> usize {
        self.inner.steps.load(Ordering::SeqCst)
    }

    /// Whether a crash ever happened in this world.
    pub fn happened(&self) -> bool {
        self.inner.happened.load(Ordering::SeqCst)
    }

    /// Runs until it ends (`Some`) or until the process dies (`None`).
    pub async fn or<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.inner.now.notified() => None,
            result = run => Some(result),
        }
    }

    fn is_at(&self, point: Point) -> bool {
        *self.inner.point.lock().unwrap_or_else(PoisonError::into_inner) == Some(point)
    }

    /// Whoever was frozen goes on.
    pub fn thaw(&self) {
        self.inner.thawed.store(true, Ordering::SeqCst);
        self.inner.thaw.notify_waiters();
    }

    /// The process stands still here, until it is thawed.
    pub async fn die(&self) {
        self.inner.happened.store(true, Ordering::SeqCst);
        self.inner.now.notify_one();
        let thawed = self.inner.thaw.notified();
        if !self.inner.thawed.load(Ordering::SeqCst) {
            thawed.await;
        }
    }

    /// A step begins.
    pub async fn before(&self) {
        let step = self.inner.steps.load(Ordering::SeqCst);
        if self.is_at(Point::Before(step)) {
            self.die().await;
        }
    }

    /// A step had its effect.
    pub async fn after(&self) {
        let step = self.inner.steps.fetch_add(1, Ordering::SeqCst);
        if self.is_at(Point::After(step)) {
            self.die().await;
        }
    }

    /// A chunk of a body is a step of its own.
    pub(super) async fn chunk(&self) {
        self.before().await;
        self.after().await;
    }
}

/// The memory store, every call a step.
pub(super) struct CrashingStore {
    store: MemoryStore,
    crash: Crash,
}

impl CrashingStore {
    pub(super) fn new(store: MemoryStore, crash: Crash) -> Self {
        Self { store, crash }
    }
}

#[async_trait]
impl Store for CrashingStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.crash.before().await;
        let result = self.store.get(key).await;
        self.crash.after().await;
        result
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        self.crash.before().await;
        let result = self.store.get_many(keys).await;
        self.crash.after().await;
        result
    }
    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.crash.before().await;
        let result = self.store.query(query).await;
        self.crash.after().await;
        result
    }
    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        self.crash.before().await;
        let result = self.store.update(write).await;
        self.crash.after().await;
        result
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.crash.before().await;
        let result = self.store.transact(writes).await;
        self.crash.after().await;
        result
    }
}

/// The memory vault, every call a step.
pub(super) struct CrashingVault {
    vault: MemoryVault,
    crash: Crash,
}

impl CrashingVault {
    pub(super) fn new(vault: MemoryVault, crash: Crash) -> Self {
        Self { vault, crash }
    }
}

#[async_trait]
impl Vault for CrashingVault {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        self.crash.before().await;
        let result = self.vault.read(name, stage).await;
        self.crash.after().await;
        result
    }
    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        self.crash.before().await;
        let result = self.vault.version(name).await;
        self.crash.after().await;
        result
    }
    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        self.crash.before().await;
        let result = self.vault.put(name, value, expected).await;
        self.crash.after().await;
        result
    }
    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        self.crash.before().await;
        let result = self.vault.stage(name, value).await;
        self.crash.after().await;
        result
    }
    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        self.crash.before().await;
        let result = self.vault.promote(name, version, expected).await;
        self.crash.after().await;
        result
    }
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.crash.before().await;
        let result = self.vault.remove(name).await;
        self.crash.after().await;
        result
    }
}

/// The ports of one process, every call of store and vault a step that may be its last.
pub fn crashing(memory: &Memory, instance: &str, http: Arc<dyn Http>, crash: &Crash) -> Ports {
    let mut ports = memory.ports(instance, http);
    ports.store = Arc::new(CrashingStore::new(memory.store.clone(), crash.clone()));
    ports.vault = Arc::new(CrashingVault::new(memory.vault.clone(), crash.clone()));
    ports
}

/// The objects, every write a step.
#[derive(Debug)]
pub(super) struct CrashingObjects {
    store: Arc<InMemory>,
    crash: Crash,
}

impl std::fmt::Debug for Crash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crash")
    }
}

impl std::fmt::Display for CrashingObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("objects that crash")
    }
}

impl CrashingObjects {
    pub(super) fn new(store: Arc<InMemory>, crash: Crash) -> Self {
        Self { store, crash }
    }
}

#[async_trait]
impl ObjectStore for CrashingObjects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.crash.before().await;
        let result = self.store.put_opts(location, payload, options).await;
        self.crash.after().await;
        result
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.crash.before().await;
        let result = self.store.put_multipart_opts(location, options).await;
        self.crash.after().await;
        result
    }
    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.store.get_opts(location, options).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
