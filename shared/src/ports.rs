//! Ports: what the house needs from the world outside. A trait only where two adapters exist today.
//!
//! Every trait states its contract in prose. The conformance suites in `tests/` are written against the traits and
//! run over every adapter: memory ([`crate::memory`]), embedded (crate `local`), and later AWS.
//! Adapters never retry and never hide a lost race: callers decide, because only they know what a lost race means.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::secret::Secret;

// ---------------------------------------------------------------------------------------------------------------
// Store

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
///   [`StoreError::Contract`]; so are attributes nested deeper than 32 levels (the limit of DynamoDB).
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

// ---------------------------------------------------------------------------------------------------------------
// Vault

/// The name of a secret: `{client|grant|access}/{random id}`, never an admin's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(pub String);

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One version of a secret. Opaque; carries no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretVersion(pub String);

/// A secret as read, with the version it is.
#[derive(Clone)]
pub struct VaultEntry {
    /// The version read.
    pub version: SecretVersion,
    /// Its text.
    pub value: Secret,
}

/// Which version to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The one that counts (`AWSCURRENT`).
    Current,
    /// The one before it (`AWSPREVIOUS`).
    Previous,
    /// Written, not yet the one that counts (`AWSPENDING`).
    Pending,
}

/// Why the vault did not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The current version is not the expected one: somebody else wrote. Nothing changed.
    #[error("the secret {name} was changed by somebody else")]
    Conflict {
        /// The secret.
        name: SecretName,
    },
    /// The right is missing or the key is disabled.
    #[error("the vault refuses: {0}")]
    Denied(String),
    /// Not reachable just now.
    #[error("the vault is not available: {0}")]
    Unavailable(String),
    /// The key is missing or does not open it, or what was read is not what was written: an operator must act.
    #[error("the vault cannot be opened: {0}")]
    Damaged(String),
    /// The daily budget of versions of this secret is used up (AWS: 100 versions in 24 hours; ours: 30 a day).
    #[error("the secret {name} has used up its versions for today")]
    Budget {
        /// The secret.
        name: SecretName,
    },
}

/// Secrets. AWS: Secrets Manager. One machine: a sealed file.
///
/// - Versioned: a put makes a new current version; the one before stays readable as [`Stage::Previous`].
/// - `put` with `expected: Some(v)` succeeds only if the current version is `v`; with `None` only if there is no
///   current version. Otherwise [`VaultError::Conflict`]: this is the compare-and-set that refreshing stands on.
///   A put that succeeds takes an earlier pending version away, a refused one changes nothing.
/// - `stage` writes a [`Stage::Pending`] version without touching the current one; `promote` makes it current under the
///   same compare-and-set, and the label *pending* is gone afterwards.
///   Promoting a version that is not the pending one is [`VaultError::Conflict`].
/// - Values of 1 byte to 64 KiB are kept to the byte; others, and names of another shape, are [`VaultError::Denied`].
/// - Every `put` and `stage` that succeeds counts towards the daily budget, `promote` does not.
/// - Nothing is removed but by `remove`, which takes all versions and is fine with an absent secret.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads one version; `None` if there is none.
    async fn read(&self, name: &SecretName, stage: Stage) -> Result<Option<VaultEntry>, VaultError>;
    /// The version that is current, without reading the value.
    async fn version(&self, name: &SecretName) -> Result<Option<SecretVersion>, VaultError>;
    /// Writes a new current version.
    async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expected: Option<&SecretVersion>,
    ) -> Result<SecretVersion, VaultError>;
    /// Writes a pending version (replaces an earlier pending one).
    async fn stage(&self, name: &SecretName, value: &Secret) -> Result<SecretVersion, VaultError>;
    /// Makes the pending version `version` current if the current one still is `expected`.
    async fn promote(
        &self,
        name: &SecretName,
        version: &SecretVersion,
        expected: Option<&SecretVersion>,
    ) -> Result<(), VaultError>;
    /// Removes the secret with all versions.
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError>;
}

// ---------------------------------------------------------------------------------------------------------------
// Scheduler, Publisher, Tokens

/// When an account is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The account.
    pub account: String,
    /// The interval.
    pub every: Duration,
    /// Runs are spread over this much time after the exact moment (flexible window).
    pub window: Duration,
    /// Whether it fires at all.
    pub enabled: bool,
}

/// Why the scheduler did not do it.
#[derive(Debug, thiserror::Error)]
#[error("the scheduler did not take the schedule of account {account}: {reason}")]
pub struct ScheduleError {
    /// The account.
    pub account: String,
    /// In words.
    pub reason: String,
}

/// One schedule per account. AWS: EventBridge Scheduler. One machine: tokio timers.
///
/// Refused are an account id that is no safe name (`a-z`, `0-9`, `-`; 1 to 64 characters), an interval of zero, and a
/// window longer than the interval. `put` makes or replaces; firing is at least once and may come late: lease and fence decide what a firing means.
#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Makes or replaces the account's schedule.
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError>;
    /// Removes it; an absent one is fine.
    async fn remove(&self, account: &str) -> Result<(), ScheduleError>;
    /// All schedules, in the order of the account ids.
    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError>;
}

/// Why events were not sent.
#[derive(Debug, thiserror::Error)]
#[error("events were not delivered: {reason}")]
pub struct PublishError {
    /// How many of the batch, from its beginning, are known to be delivered.
    pub delivered: usize,
    /// In words.
    pub reason: String,
}

/// Sends events, from the outbox only, in the order of their sequence numbers.
///
/// At least once on the wire: a batch whose answer was lost is sent again. Every event carries its stable id and its
/// per-account sequence number, so that a receiver sees each once. An event is an object with a whole number `sequence`,
/// and these rise within a batch; a batch that breaks this is refused whole.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Delivers a batch of one account, in order; all or an error that says how many of them, from the beginning.
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError>;
}

/// Which access token will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenNeed {
    /// Any that lives for at least five minutes more.
    Usable,
    /// A newer one than this version, which Graph refused.
    NewerThan(SecretVersion),
    /// A new one in any case: an admin asked.
    New,
}

/// What is said of an access token; never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Where the token lies in the vault.
    pub name: SecretName,
    /// Its version there.
    pub version: SecretVersion,
    /// Until when it is good, by our clock.
    pub expires_at: Timestamp,
    /// Application permissions in the token (`roles`).
    pub roles: Vec<String>,
    /// Delegated permissions in the token (`scp`).
    pub scopes: Vec<String>,
    /// The tenant it was issued in, if the token says so.
    pub tenant: Option<String>,
    /// Whether this call asked Microsoft, or an earlier token still served.
    pub fresh: bool,
}

/// Asks for tokens. AWS: invokes the token-refresh function. One machine: calls it in process.
///
/// Answers where the token lies and until when it is good, never a token. Concurrent callers share one request.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token of this credential that meets the need.
    async fn access_token(&self, credential: &str, need: TokenNeed) -> Result<TokenInfo, crate::oauth::TokenError>;
}

// ---------------------------------------------------------------------------------------------------------------
// Http

/// The bytes of an answer as they come.
pub type Body = BoxStream<'static, Result<Bytes, HttpError>>;

/// What went wrong on the wire, below HTTP.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection: name not found, refused, TLS failed.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// The host asked for.
        host: String,
        /// In words; carries no header and no query.
        reason: String,
    },
    /// The answer did not come, or stopped coming, in time.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host asked for.
        host: String,
    },
    /// The connection broke, or the body was shorter than announced.
    #[error("the answer of {host} broke off: {reason}")]
    Broken {
        /// The host asked for.
        host: String,
        /// In words.
        reason: String,
    },
}

/// One call: request in, streaming response out. Follows no redirect, retries nothing, keeps no cookie.
///
/// Deadlines: connect 10 s, first byte 60 s, between two chunks 30 s. A body that ends early is [`HttpError::Broken`].
#[async_trait]
pub trait Http: Send + Sync {
    /// Makes the call.
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError>;
}

// ---------------------------------------------------------------------------------------------------------------
// Clock, Rng

/// Time. The only source of *now* and of waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present by our own clock. Never a cursor.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Chance, fit for secrets (the operating system's generator) but in tests, where it is seeded.
pub trait Rng: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Rng + '_ {
    /// A number below `bound` (0 if `bound` is 0), for jitter.
    pub fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }

    /// `n` random bytes in lower-case hexadecimal.
    pub fn hex(&self, n: usize) -> String {
        let mut bytes = vec![0; n];
        self.fill(&mut bytes);
        bytes.iter().fold(String::with_capacity(2 * n), |mut text, byte| {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Whether the holder of a lease is known to be dead, so that its lease need not run out first.
///
/// One machine: an operating system lock per process answers. AWS: nobody knows, always `false`.
pub type Obituary = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// All ports together, as every room takes them.
#[derive(Clone)]
pub struct Ports {
    /// Records.
    pub store: Arc<dyn Store>,
    /// Secrets.
    pub vault: Arc<dyn Vault>,
    /// Schedules.
    pub scheduler: Arc<dyn Scheduler>,
    /// Events out.
    pub publisher: Arc<dyn Publisher>,
    /// The wire.
    pub http: Arc<dyn Http>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
    /// This process, as it signs leases.
    pub instance: Arc<str>,
    /// Who is known to be dead.
    pub dead: Obituary,
}
