//! The memory store: as fussy as `DynamoDB`, and able to answer conflict, acknowledgement lost, unavailable, stale.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::Faults;
use crate::{
    ports::{Attributes, Item, Key, Page, Query, Store, StoreError, Write},
    store_rules::{self, Outcome, PAGE_BYTES},
};

/// The calls of a store, for arming faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreCall {
    /// [`Store::get`]
    Get,
    /// [`Store::get_many`]
    GetMany,
    /// [`Store::query`]
    Query,
    /// [`Store::update`]
    Update,
    /// [`Store::transact`]
    Transact,
}

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Answers *conflict*; nothing was written.
    Conflict,
    /// The write is applied and the answer is lost: *conflict*. A write that is refused on its merits says so.
    AcknowledgementLost,
    /// Answers *unavailable*; nothing was written or read.
    Unavailable,
    /// Answers *cannot write*, as a full disk does; reads pass.
    CannotWrite,
    /// A read shows the items as they stood before their last write; a write passes.
    Stale,
    /// A query answers an empty page with a mark to go on from; other calls pass.
    EmptyPage,
}

/// Records in memory. A clone is a second handle to the same records.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    faults: Faults<StoreCall, StoreFault>,
}

#[derive(Default)]
struct Rows {
    now: BTreeMap<Key, Attributes>,
    /// The items before their last write, for stale reads.
    before: BTreeMap<Key, Option<Attributes>>,
}

impl MemoryStore {
    /// The faults to arm.
    pub fn faults(&self) -> &Faults<StoreCall, StoreFault> {
        &self.faults
    }

    /// Every item, by key: to compare end states.
    pub fn dump(&self) -> Vec<Item> {
        self.rows()
            .now
            .iter()
            .map(|(key, attributes)| Item {
                key: key.clone(),
                attributes: attributes.clone(),
            })
            .collect()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet_read(&self, call: StoreCall) -> Result<Option<StoreFault>, StoreError> {
        match self.faults.meet(call) {
            Some(StoreFault::Unavailable) => Err(StoreError::Unavailable("armed fault".into())),
            Some(StoreFault::Conflict) => Err(StoreError::Conflict),
            other => Ok(other),
        }
    }

    /// Applies the writes, all or none, as the armed fault has it. The items are for whoever asked for them: an update.
    fn write(&self, call: StoreCall, writes: Vec<Write>) -> Result<Vec<Option<Item>>, StoreError> {
        let fault = self.faults.meet(call);
        match fault {
            Some(StoreFault::Conflict) => return Err(StoreError::Conflict),
            Some(StoreFault::Unavailable) => {
                return Err(StoreError::Unavailable("armed fault".into()));
            }
            Some(StoreFault::CannotWrite) => {
                return Err(StoreError::CannotWrite("armed fault".into()));
            }
            _ => {}
        }
        let mut rows = self.rows();
        let mut bytes = 0;
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            let key = write.key.clone();
            let current = rows.item(&key);
            let outcome = store_rules::decide(write, current)?;
            if let Outcome::Store(item) = &outcome {
                bytes += store_rules::item_bytes(item);
            }
            outcomes.push((key, outcome));
        }
        store_rules::check_transaction_bytes(bytes)?;
        let wanted = call == StoreCall::Update;
        let kept = |outcome: &Outcome| if wanted { outcome.clone().into_item() } else { None };
        let answers = outcomes.iter().map(|(_, outcome)| kept(outcome)).collect();
        for (key, outcome) in outcomes {
            rows.apply(key, outcome);
        }
        if fault == Some(StoreFault::AcknowledgementLost) {
            return Err(StoreError::Conflict);
        }
        Ok(answers)
    }
}

impl Rows {
    fn item(&self, key: &Key) -> Option<Item> {
        self.now.get(key).map(|attributes| Item {
            key: key.clone(),
            attributes: attributes.clone(),
        })
    }

    fn stale_item(&self, key: &Key) -> Option<Item> {
        let attributes = self.before.get(key).map_or_else(|| self.now.get(key), Option::as_ref)?;
        Some(Item {
            key: key.clone(),
            attributes: attributes.clone(),
        })
    }

    fn apply(&mut self, key: Key, outcome: Outcome) {
        let before = match outcome {
            Outcome::Unchanged(_) => return,
            Outcome::Store(item) => self.now.insert(key.clone(), item.attributes),
            Outcome::Remove => self.now.remove(&key),
        };
        self.before.insert(key, before);
    }

    fn stale(&self) -> BTreeMap<Key, Attributes> {
        let mut rows = self.now.clone();
        for (key, before) in &self.before {
            match before {
                Some(attributes) => rows.insert(key.clone(), attributes.clone()),
                None => rows.remove(key),
            };
        }
        rows
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        store_rules::check_key(key)?;
        let stale = self.meet_read(StoreCall::Get)? == Some(StoreFault::Stale);
        let rows = self.rows();
        Ok(if stale { rows.stale_item(key) } else { rows.item(key) })
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        store_rules::check_keys(keys)?;
        let stale = self.meet_read(StoreCall::GetMany)? == Some(StoreFault::Stale);
        let rows = self.rows();
        // The order is free, so callers must not lean on it: it is turned around here.
        Ok(keys
            .iter()
            .rev()
            .filter_map(|key| if stale { rows.stale_item(key) } else { rows.item(key) })
            .collect())
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let after = store_rules::check_query(query)?;
        match self.meet_read(StoreCall::Query)? {
            Some(StoreFault::EmptyPage) => {
                let first = if query.descending {
                    query.until.clone().unwrap_or_else(|| "\u{10ffff}".into())
                } else {
                    String::new()
                };
                let sort = after.unwrap_or(first);
                Ok(Page {
                    items: Vec::new(),
                    next: Some(store_rules::mark_after(&Key::new(&query.partition, sort))),
                })
            }
            Some(StoreFault::Stale) => Ok(page(&self.rows().stale(), query, after)),
            _ => Ok(page(&self.rows().now, query, after)),
        }
    }

    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        store_rules::check_write(&write)?;
        Ok(self.write(StoreCall::Update, vec![write])?.pop().flatten())
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        store_rules::check_writes(&writes)?;
        self.write(StoreCall::Transact, writes).map(drop)
    }
}

/// One page. Like `DynamoDB` it carries a mark whenever it stopped at the limit, also when nothing follows.
fn page(rows: &BTreeMap<Key, Attributes>, query: &Query, after: Option<String>) -> Page {
    let key = |sort: &str| Key::new(&query.partition, sort);
    let mut lower = Bound::Included(key(query.from.as_deref().unwrap_or("")));
    // The smallest partition above this one is its name with a zero byte.
    let mut upper = Bound::Excluded(
        query
            .until
            .as_deref()
            .map_or_else(|| Key::new(format!("{}\0", query.partition), ""), key),
    );
    if let Some(after) = after {
        if query.descending {
            upper = Bound::Excluded(key(&after).min(edge(&upper).clone()));
        } else if key(&after) >= *edge(&lower) {
            lower = Bound::Excluded(key(&after));
        }
    }
    if edge(&lower) >= edge(&upper) {
        return Page {
            items: Vec::new(),
            next: None,
        };
    }
    let range = rows.range((lower, upper));
    let range: Box<dyn Iterator<Item = _>> = if query.descending {
        Box::new(range.rev())
    } else {
        Box::new(range)
    };
    let (mut items, mut bytes, mut next) = (Vec::new(), 0, None);
    for (key, attributes) in range {
        let item = Item {
            key: key.clone(),
            attributes: attributes.clone(),
        };
        bytes += store_rules::item_bytes(&item);
        items.push(item);
        if items.len() == query.limit || bytes >= PAGE_BYTES {
            next = Some(store_rules::mark_after(key));
            break;
        }
    }
    Page { items, next }
}

fn edge(bound: &Bound<Key>) -> &Key {
    static NOWHERE: Key = Key {
        partition: String::new(),
        sort: String::new(),
    };
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &NOWHERE,
    }
}
