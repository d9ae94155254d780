//! A store that answers badly on demand, over any other: what a service does seldom, and an emulator never.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use shared::{
    memory::{Faults, StoreCall, StoreFault},
    ports::{Item, Key, Page, Query, Store, StoreError, Write},
};

/// Over another store; `CannotWrite` and `EmptyPage` are the memory store's own and pass here.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Faults<StoreCall, StoreFault>,
    /// Items as they stood before their last write, for stale reads.
    before: Mutex<HashMap<Key, Option<Item>>>,
}

impl FaultyStore {
    /// Over this store.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            faults: Faults::default(),
            before: Mutex::default(),
        }
    }

    /// The faults to arm.
    pub fn faults(&self) -> &Faults<StoreCall, StoreFault> {
        &self.faults
    }

    fn read(&self, call: StoreCall) -> Result<bool, StoreError> {
        match self.faults.meet(call) {
            Some(StoreFault::Unavailable) => Err(StoreError::Unavailable("armed fault".into())),
            Some(StoreFault::Stale) => Ok(true),
            _ => Ok(false),
        }
    }

    fn past(&self, item: Option<Item>, key: &Key) -> Option<Item> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        before.get(key).cloned().unwrap_or(item)
    }

    /// Whether the answer is to be lost.
    async fn write(&self, call: StoreCall, writes: &[Write]) -> Result<bool, StoreError> {
        let fault = self.faults.meet(call);
        match fault {
            Some(StoreFault::Conflict) => return Err(StoreError::Conflict),
            Some(StoreFault::Unavailable) => return Err(StoreError::Unavailable("armed fault".into())),
            _ => {}
        }
        for write in writes {
            let item = self.inner.get(&write.key).await?;
            self.before
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(write.key.clone(), item);
        }
        Ok(fault == Some(StoreFault::AcknowledgementLost))
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let stale = self.read(StoreCall::Get)?;
        let item = self.inner.get(key).await?;
        Ok(if stale { self.past(item, key) } else { item })
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let stale = self.read(StoreCall::GetMany)?;
        let items = self.inner.get_many(keys).await?;
        if !stale {
            return Ok(items);
        }
        let mut found: HashMap<Key, Item> = items.into_iter().map(|item| (item.key.clone(), item)).collect();
        Ok(keys
            .iter()
            .filter_map(|key| self.past(found.remove(key), key))
            .collect())
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let stale = self.read(StoreCall::Query)?;
        let mut page = self.inner.query(query).await?;
        if stale {
            let items = page.items.into_iter();
            page.items = items
                .filter_map(|item| {
                    let key = item.key.clone();
                    self.past(Some(item), &key)
                })
                .collect();
        }
        Ok(page)
    }

    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        let lost = self.write(StoreCall::Update, std::slice::from_ref(&write)).await?;
        let answer = self.inner.update(write).await?;
        if lost { Err(StoreError::Conflict) } else { Ok(answer) }
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let lost = self.write(StoreCall::Transact, &writes).await?;
        self.inner.transact(writes).await?;
        if lost { Err(StoreError::Conflict) } else { Ok(()) }
    }
}
