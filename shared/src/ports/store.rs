//! The port of records: items under two-part keys, conditional writes, transactions.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most rows one transaction may touch (the limit of DynamoDB `TransactWriteItems`).
pub const TRANSACTION_ITEMS: usize = 100;
/// The most bytes one transaction may carry: 4 MB, as in DynamoDB.
pub const TRANSACTION_BYTES: usize = 4 * 1000 * 1000;
/// The most bytes one item may have: 400 KB, as in DynamoDB.
pub const ITEM_BYTES: usize = 400 * 1000;
/// The most keys one [`Store::get_many`] may ask for (the limit of DynamoDB `BatchGetItem`).
pub const GET_MANY_KEYS: usize = 100;

/// Where an item lives: items of one partition are ordered by `sort` (byte order of UTF-8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The partition, for example `accounts`. 1 to 1,024 bytes.
    pub partition: String,
    /// The place within the partition, for example the account's id. 1 to 1,024 bytes.
    pub sort: String,
}

impl Key {
    /// A key from its two parts.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            sort: sort.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

/// The attributes of an item by name. Conditions and partial updates see only these top-level names.
/// A `null` attribute is the same as an absent one: adapters drop it.
pub type Attributes = BTreeMap<String, Value>;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where it lives.
    pub key: Key,
    /// What it says.
    pub attributes: Attributes,
}

/// A condition on the item as it stands before the write. All conditions of a write must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// There is no item under this key.
    Absent,
    /// There is an item under this key.
    Exists,
    /// The attribute exists and equals the value (numbers are compared as numbers).
    Equals(String, Value),
    /// The attribute is absent (or the item is).
    Missing(String),
    /// The attribute is absent, or is a number below the given one.
    MissingOrBelow(String, i64),
    /// The attribute is a number above the given one.
    Above(String, i64),
}

impl Condition {
    /// `name` equals `value`.
    pub fn equals(name: &str, value: impl Into<Value>) -> Self {
        Self::Equals(name.to_owned(), value.into())
    }
}

/// What a write does to its item.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Replaces the whole item.
    Put(Attributes),
    /// Changes single attributes and leaves the others; makes the item if it is absent.
    Update {
        /// Attributes to set. A `null` removes.
        set: Attributes,
        /// Numbers to add (an absent attribute counts as 0).
        add: BTreeMap<String, i64>,
    },
    /// Removes the item; removing an absent item is fine.
    Delete,
    /// Changes nothing: the conditions are the point.
    Check,
}

/// One conditional write.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The item.
    pub key: Key,
    /// What happens to it.
    pub change: Change,
    /// Under which conditions.
    pub when: Vec<Condition>,
}

impl Write {
    /// Replaces the whole item.
    pub fn put(key: Key, attributes: Attributes) -> Self {
        Self {
            key,
            change: Change::Put(attributes),
            when: Vec::new(),
        }
    }
    /// Sets single attributes.
    pub fn set(key: Key, set: Attributes) -> Self {
        Self {
            key,
            change: Change::Update {
                set,
                add: BTreeMap::new(),
            },
            when: Vec::new(),
        }
    }
    /// Removes the item.
    pub fn delete(key: Key) -> Self {
        Self {
            key,
            change: Change::Delete,
            when: Vec::new(),
        }
    }
    /// Only checks.
    pub fn check(key: Key) -> Self {
        Self {
            key,
            change: Change::Check,
            when: Vec::new(),
        }
    }
    /// The same write under one more condition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.when.push(condition);
        self
    }
}

/// Which items of one partition, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The partition.
    pub partition: String,
    /// Lowest sort key, inclusive.
    pub from: Option<String>,
    /// Highest sort key, exclusive.
    pub until: Option<String>,
    /// Highest sort key first.
    pub descending: bool,
    /// At most this many items (1 to 1,000).
    pub limit: usize,
    /// Go on after this mark, taken from the page before.
    pub after: Option<PageMark>,
}

impl Query {
    /// The whole partition in ascending order, 200 items a page.
    pub fn all(partition: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            from: None,
            until: None,
            descending: false,
            limit: 200,
            after: None,
        }
    }
}

/// Where a page ended. Opaque to callers; carries no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageMark(pub String);

/// One page of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The items, in the order asked for.
    pub items: Vec<Item>,
    /// There may be more after this mark. A page may be empty and still have one.
    pub next: Option<PageMark>,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A condition did not hold. Nothing was written. The item as it stands is handed back, so that a caller whose
    /// earlier acknowledgement was lost can recognise its own write.
    #[error("a condition did not hold on {key}")]
    ConditionFailed {
        /// The key of the first write whose condition failed.
        key: Key,
        /// That item as it stands now.
        current: Option<Box<Item>>,
    },
    /// Another transaction was in the way, or the outcome is unknown (the acknowledgement was lost). Read back, then
    /// try again.
    #[error("the store answered conflict: another write was in the way or the answer was lost")]
    Conflict,
    /// Not reachable just now, or busy for too long.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// No space left, quota reached, or the medium is read-only: an operator must act.
    #[error("the store cannot write: {0}")]
    CannotWrite(String),
    /// What was read is not what was written: an operator must act.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The call breaks a limit of this contract (a defect of the caller).
    #[error("the call breaks the store's contract: {0}")]
    Contract(String),
}

/// Records. AWS: one DynamoDB table. One machine: SQLite.
///
/// - Reads are strongly consistent.
/// - `transact` applies all writes or none; at most [`TRANSACTION_ITEMS`], [`TRANSACTION_BYTES`], no item twice
///   (else [`StoreError::Contract`]). It may answer [`StoreError::Conflict`] at any time, also when it *was* applied:
///   every caller handles it by reading back.
/// - `update` is one write that answers the item after it (`None` after a delete).
/// - An empty transaction and an empty `get_many` are fine and do nothing. A check without a condition, a condition that
///   something equals `null`, an attribute both set and added to, and one that is no whole number and is added to are
///   [`StoreError::Contract`]; so are attributes nested deeper than 31 levels (DynamoDB counts the value in them as the 32nd).
/// - A page may end before its limit (at about 1 MB), and a mark may lead to an empty page.
/// - When several conditions fail, the first write in order is named.
/// - What was acknowledged survives the death of the process and of the machine.
#[async_trait]
pub trait Store: Send + Sync {
    /// One item.
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError>;
    /// Up to [`GET_MANY_KEYS`] items; absent ones are left out, the order is free, a key may be named once only.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError>;
    /// One page of one partition.
    async fn query(&self, query: &Query) -> Result<Page, StoreError>;
    /// One conditional write; the item after it.
    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError>;
    /// Several conditional writes, all or none.
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError>;
}
