//! Ports that count: what a run costs in calls, whatever the adapters behind them are.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use serde_json::Value;
use shared::{
    oauth::TokenError,
    ports::{
        Item, Key, Page, PublishError, Publisher, Query, Redeemed, Redemption, SecretName, SecretVersion, Stage, Store,
        StoreError, TokenInfo, TokenNeed, Tokens, Vault, VaultEntry, VaultError, Write,
    },
    secret::Secret,
};

/// What was called.
#[derive(Default)]
pub struct Calls {
    /// Calls of the store.
    pub table: AtomicUsize,
    /// Calls of the vault.
    pub secrets: AtomicUsize,
    /// Tokens asked for.
    pub tokens: AtomicUsize,
    /// Events handed to the publisher.
    pub events: AtomicUsize,
    rows: Mutex<BTreeMap<String, usize>>,
}

impl Calls {
    /// Forgets everything.
    pub fn reset(&self) {
        for counter in [&self.table, &self.secrets, &self.tokens, &self.events] {
            counter.store(0, Ordering::SeqCst);
        }
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Rows written, by the kind of their partition (what stands before its `#`).
    pub fn rows(&self) -> BTreeMap<String, usize> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wrote(&self, writes: &[Write]) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for write in writes {
            let kind = write.key.partition.split('#').next().unwrap_or_default();
            *rows.entry(kind.to_owned()).or_default() += 1;
        }
    }
}

/// A port that counts.
pub struct Counting<T: ?Sized> {
    calls: Arc<Calls>,
    inner: Arc<T>,
}

impl<T: ?Sized> Counting<T> {
    /// Over this port.
    pub fn new(calls: &Arc<Calls>, inner: Arc<T>) -> Self {
        let calls = Arc::clone(calls);
        Self { calls, inner }
    }
}

#[async_trait]
impl Store for Counting<dyn Store> {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.calls.table.fetch_add(1, Ordering::SeqCst);
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        // Nothing is asked for with no keys.
        self.calls
            .table
            .fetch_add(usize::from(!keys.is_empty()), Ordering::SeqCst);
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.calls.table.fetch_add(1, Ordering::SeqCst);
        self.inner.query(query).await
    }
    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        self.calls.table.fetch_add(1, Ordering::SeqCst);
        self.calls.wrote(std::slice::from_ref(&write));
        self.inner.update(write).await
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.calls.table.fetch_add(1, Ordering::SeqCst);
        self.calls.wrote(&writes);
        self.inner.transact(writes).await
    }
}

#[async_trait]
impl Vault for Counting<dyn Vault> {
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError> {
        self.calls.secrets.fetch_add(1, Ordering::SeqCst);
        self.inner.read(name, stage).await
    }
    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError> {
        self.calls.secrets.fetch_add(1, Ordering::SeqCst);
        self.inner.version(name).await
    }
    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError> {
        self.calls.secrets.fetch_add(1, Ordering::SeqCst);
        self.inner.put(name, value, expected).await
    }
    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError> {
        self.calls.secrets.fetch_add(1, Ordering::SeqCst);
        self.inner.stage(name, value).await
    }
    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError> {
        self.calls.secrets.fetch_add(1, Ordering::SeqCst);
        self.inner.promote(name, version, expected).await
    }
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.calls.secrets.fetch_add(1, Ordering::SeqCst);
        self.inner.remove(name).await
    }
}

#[async_trait]
impl Tokens for Counting<dyn Tokens> {
    async fn access_token(&self, credential: &str, need: TokenNeed) -> Result<TokenInfo, TokenError> {
        self.calls.tokens.fetch_add(1, Ordering::SeqCst);
        self.inner.access_token(credential, need).await
    }
    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, TokenError> {
        self.calls.tokens.fetch_add(1, Ordering::SeqCst);
        self.inner.redeem(redemption).await
    }
}

#[async_trait]
impl Publisher for Counting<dyn Publisher> {
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError> {
        self.calls.events.fetch_add(events.len(), Ordering::SeqCst);
        self.inner.publish(account, events).await
    }
}
