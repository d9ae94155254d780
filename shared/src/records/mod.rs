//! Typed shelves over the store: where each kind of record lives, and how it is read and written.
//!
//! | partition | sort | what |
//! |---|---|---|
//! | `credentials` | credential id | settings, token state, the lease under which tokens are asked for |
//! | `accounts` | account id | settings, lease and fence, folder progress, counters: one item, so that an idle run needs two calls |
//! | `mailboxes` | mailbox key | which accounts import from it; the lease, where there are several |
//! | `messages#{mailbox}` | message key | the record of a message |
//! | `received#{mailbox}` | time and message key | the list of messages by time |
//! | `debts#{account}` | message key | what is owed or set aside |
//! | `actions#{account}` | message key | what is still wanted of the mailbox |
//! | `events#{account}` | sequence number | the outbox |
//! | `runs#{account}` | time and run id | reports of runs that did something |
//! | `before#{account}` | folder and number | fingerprints of mail from before the start |
//! | `claims` | digest of a folder id | which account imports that folder |
//! | `removed` | account id | where the sequence of a removed account stands |
//! | `schedules` | account id | when accounts run (one machine) |
//! | `audit` | time | what admins did |
//! | `authorizations` | SHA-256 of `state` | sign-ins that were begun, and how they ended |
//! | `entries` | SHA-256 of `state` | sign-ins to the console that were begun |
//! | `sessions` `launches` | SHA-256 of cookie or token | who may use the console; one-time links |
//! | `keys` | SHA-256 of the key | keys of the API: scope and end, never the key |
//! | `serve` | `here` | where the console of this data directory is |
//! | `warnings` | credential id and what ends | which stage was told; the outbox of the installation's own events |
//! | `apps` | digest of token URL and client id | the circuit of an app whose client is refused |

mod account_row;
pub mod accounts;
pub mod api_keys;
pub mod apps;
pub mod audit;
pub mod authorizations;
pub mod credentials;
pub mod debts;
pub mod events;
pub mod messages;
mod overlap;
pub mod runs;
pub mod sessions;
pub mod warnings;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    field::FieldError,
    ports::{Attributes, Item, Key, Page, PageMark, Query, Store, StoreError},
};

/// Why a record was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is none.
    #[error("there is no {what} `{id}`{hint}")]
    Missing {
        /// The kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// Where to look.
        hint: &'static str,
    },
    /// There is one already.
    #[error("there is a {what} `{id}` already")]
    Taken {
        /// The kind of record.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A field cannot be taken.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// It is in use.
    #[error("{0}")]
    InUse(String),
    /// Somebody else changed it meanwhile.
    #[error("{what} `{id}` was changed by somebody else meanwhile; look at it and try again")]
    Changed {
        /// The kind of record.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A row cannot be read.
    #[error("the row {key} cannot be read ({reason}); it may have been written by a newer version")]
    Unreadable {
        /// Where.
        key: Key,
        /// Why.
        reason: String,
    },
}

/// How often a caller tries again after `Conflict` before it gives up.
pub const CONFLICT_TRIES: u32 = 8;

/// The attribute `name` of an item as a `T`; `None` if it is absent.
pub fn attribute<T: DeserializeOwned>(item: &Item, name: &str) -> Result<Option<T>, RecordError> {
    item.attributes
        .get(name)
        .map(|value| serde_json::from_value(value.clone()))
        .transpose()
        .map_err(|error| RecordError::Unreadable {
            key: item.key.clone(),
            reason: format!("{name}: {error}"),
        })
}

/// The attribute `name`, which must be there.
pub fn required<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T, RecordError> {
    attribute(item, name)?.ok_or_else(|| RecordError::Unreadable {
        key: item.key.clone(),
        reason: format!("{name} is missing"),
    })
}

/// A whole number attribute; 0 if it is absent.
pub fn number(item: &Item, name: &str) -> i64 {
    item.attributes.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// A value as JSON. Records hold nothing that JSON cannot.
pub fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Attributes from pairs.
pub fn attributes<const N: usize>(pairs: [(&str, Value); N]) -> Attributes {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// One attribute that holds the whole record.
pub(crate) const RECORD: &str = "record";

/// Attributes of an item that is one record.
pub(crate) fn record<T: Serialize>(value: &T) -> Attributes {
    attributes([(RECORD, json(value))])
}

/// One page of records of one partition.
#[derive(Debug, Clone)]
pub struct Shelf<T> {
    /// The records.
    pub records: Vec<T>,
    /// There may be more.
    pub next: Option<PageMark>,
}

/// One page of records, each the attribute [`RECORD`] of its item.
pub(crate) async fn page<T: DeserializeOwned>(store: &dyn Store, query: &Query) -> Result<Shelf<T>, RecordError> {
    let Page { items, next } = store.query(query).await?;
    let records = items
        .iter()
        .map(|item| required(item, RECORD))
        .collect::<Result<Vec<T>, _>>()?;
    Ok(Shelf { records, next })
}

/// Every row of a partition. For partitions that stay small (accounts, credentials, mailboxes). Each page is read before the
/// next one is asked for: an item as the store has it takes several times the room of the row that it says.
pub(crate) async fn every<T>(
    store: &dyn Store,
    partition: &str,
    read: impl Fn(&Item) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    let mut query = Query::all(partition);
    let mut all = Vec::new();
    loop {
        let Page { items, next } = store.query(&query).await?;
        for item in &items {
            all.push(read(item)?);
        }
        match next {
            Some(mark) => query.after = Some(mark),
            None => return Ok(all),
        }
    }
}

/// When a row ends: `expires_at` in milliseconds, which readers heed, and `expires` in seconds, some time later, after which a
/// store may take the row away by itself (DynamoDB's time to live does, whenever it comes to it).
pub(crate) fn ending(at: jiff::Timestamp) -> [(&'static str, Value); 2] {
    let gone = crate::time::plus(at, KEPT).as_second();
    [("expires_at", crate::time::millis(at).into()), ("expires", gone.into())]
}

/// Rows of a partition that end by `expires_at` are swept some time later, a few with each new one.
const SWEPT: usize = 10;
/// How long they stay after their end, so that pages can still tell of them.
const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

/// Removes a few rows that ended long ago. Whether one goes now or next time is all the same, so nothing fails here.
pub(crate) async fn sweep(store: &dyn Store, partition: &str, now: jiff::Timestamp) {
    let query = Query {
        limit: SWEPT,
        ..Query::all(partition)
    };
    let old = crate::time::millis(crate::time::minus(now, KEPT));
    let Ok(page) = store.query(&query).await else {
        return;
    };
    for item in page.items.into_iter().filter(|item| number(item, "expires_at") < old) {
        let _ = store.update(crate::ports::Write::delete(item.key)).await;
    }
}
