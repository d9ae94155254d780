//! The store over `SQLite`: one connection that writes, one that reads, immediate transactions, many processes at once.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};
use shared::{
    ports::{Attributes, Item, Key, Page, Query, Store, StoreError, Write},
    store_rules::{self, Outcome, PAGE_BYTES},
};
use tokio::sync::Mutex;

use super::{OpenError, sqlite_open};

/// Records in one `SQLite` file.
pub struct SqliteStore {
    path: Arc<Path>,
    writer: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
    /// Held, never read: see [`sqlite_open::Opened::open_lock`].
    _open_lock: File,
}

impl SqliteStore {
    /// Opens the database at `path`, making it if there is none. `lock` is a file that all processes with the database
    /// open hold in shared mode; it too is made if absent. Blocks while another process sets the database up.
    pub fn open(path: &Path, lock: &Path) -> Result<Self, OpenError> {
        let opened = sqlite_open::open(path, lock)?;
        Ok(Self {
            path: path.into(),
            writer: Arc::new(Mutex::new(opened.writer)),
            reader: Arc::new(Mutex::new(opened.reader)),
            _open_lock: opened.open_lock,
        })
    }

    /// Runs the work on a thread that may block. Waiting for the connection happens before, so that many callers do
    /// not occupy many threads.
    async fn run<T, W>(&self, connection: &Arc<Mutex<Connection>>, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    {
        let mut connection = connection.clone().lock_owned().await;
        let answer = tokio::task::spawn_blocking(move || work(&mut connection)).await;
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::Store(error))) => Err(error),
            Ok(Err(Failure::Sqlite(error))) => Err(store_error(&self.path, &error)),
            Ok(Err(Failure::Json(key, error))) => Err(StoreError::Damaged(format!(
                "{}: the item {key} is no JSON: {error}",
                self.path.display()
            ))),
            Err(error) => Err(StoreError::Unavailable(format!(
                "the thread of {} failed: {error}",
                self.path.display()
            ))),
        }
    }
}

enum Failure {
    Store(StoreError),
    Sqlite(rusqlite::Error),
    Json(Key, serde_json::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        store_rules::check_key(key)?;
        let key = key.clone();
        self.run(&self.reader, move |connection| item(connection, &key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        store_rules::check_keys(keys)?;
        let keys = keys.to_vec();
        self.run(&self.reader, move |connection| {
            // One transaction, so that all items are from one moment.
            let transaction = connection.transaction()?;
            keys.iter()
                .filter_map(|key| item(&transaction, key).transpose())
                .collect()
        })
        .await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let after = store_rules::check_query(query)?;
        let query = query.clone();
        self.run(&self.reader, move |connection| page(connection, &query, after))
            .await
    }

    async fn update(&self, write: Write) -> Result<Option<Item>, StoreError> {
        store_rules::check_write(&write)?;
        self.run(&self.writer, move |connection| {
            Ok(apply(connection, vec![write])?.pop().flatten())
        })
        .await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        store_rules::check_writes(&writes)?;
        self.run(&self.writer, move |connection| apply(connection, writes).map(drop))
            .await
    }
}

fn item(connection: &Connection, key: &Key) -> Result<Option<Item>, Failure> {
    let mut statement = connection.prepare_cached("SELECT attributes FROM items WHERE partition = ?1 AND sort = ?2")?;
    let text: Option<String> = statement
        .query_row(params![key.partition, key.sort], |row| row.get(0))
        .optional()?;
    text.map(|text| parse(key.clone(), &text)).transpose()
}

fn parse(key: Key, text: &str) -> Result<Item, Failure> {
    match serde_json::from_str::<Attributes>(text) {
        Ok(attributes) => Ok(Item { key, attributes }),
        Err(error) => Err(Failure::Json(key, error)),
    }
}

/// Applies all writes in one transaction, or none: an error drops the transaction, which rolls it back.
fn apply(connection: &mut Connection, writes: Vec<Write>) -> Result<Vec<Option<Item>>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut bytes = 0;
    let mut items = Vec::with_capacity(writes.len());
    for write in writes {
        let key = write.key.clone();
        let outcome = store_rules::decide(write, item(&transaction, &key)?)?;
        match &outcome {
            Outcome::Unchanged(_) => {}
            Outcome::Store(item) => {
                bytes += store_rules::item_bytes(item);
                let text =
                    serde_json::to_string(&item.attributes).map_err(|error| Failure::Json(key.clone(), error))?;
                transaction
                    .prepare_cached("INSERT INTO items VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET attributes = excluded.attributes")?
                    .execute(params![key.partition, key.sort, text])?;
            }
            Outcome::Remove => {
                transaction
                    .prepare_cached("DELETE FROM items WHERE partition = ?1 AND sort = ?2")?
                    .execute(params![key.partition, key.sort])?;
            }
        }
        items.push(outcome.into_item());
    }
    store_rules::check_transaction_bytes(bytes)?;
    transaction.commit()?;
    Ok(items)
}

fn page(connection: &Connection, query: &Query, after: Option<String>) -> Result<Page, Failure> {
    // The four shapes are spelled out so that each uses the primary key from both ends.
    let (from, after_low, until) = if query.descending {
        (
            query.from.clone(),
            None,
            [query.until.clone(), after].into_iter().flatten().min(),
        )
    } else {
        (query.from.clone(), after, query.until.clone())
    };
    let lower = after_low
        .as_deref()
        .filter(|after| from.as_deref().is_none_or(|from| *after >= from));
    let exclusive = lower.is_some();
    let lower = lower.or(from.as_deref()).unwrap_or("");
    let sql = format!(
        "SELECT sort, attributes FROM items WHERE partition = ?1 AND sort {} ?2 {} ORDER BY sort {}",
        if exclusive { ">" } else { ">=" },
        if until.is_some() {
            "AND sort < ?3"
        } else {
            "AND ?3 IS NULL"
        },
        if query.descending { "DESC" } else { "ASC" },
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![query.partition, lower, until])?;
    let (mut items, mut bytes) = (Vec::<Item>::new(), 0);
    while let Some(row) = rows.next()? {
        if let Some(last) = items.last()
            && (items.len() == query.limit || bytes >= PAGE_BYTES)
        {
            let next = Some(store_rules::mark_after(&last.key));
            return Ok(Page { items, next });
        }
        let (sort, text): (String, String) = (row.get(0)?, row.get(1)?);
        bytes += query.partition.len() + sort.len() + text.len();
        items.push(parse(Key::new(&query.partition, sort), &text)?);
    }
    Ok(Page { items, next: None })
}

/// What an error of `SQLite` means to the contract.
pub(super) fn store_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let place = PathBuf::from(path);
    let place = place.display();
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        return StoreError::Damaged(format!("{place}: {error}"));
    };
    match cause.code {
        ErrorCode::DiskFull => StoreError::CannotWrite(format!(
            "{place}: the disk is full; free some space, nothing saved is lost"
        )),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => StoreError::CannotWrite(format!(
            "{place}: {error}; make the file and its directory writable for this user"
        )),
        ErrorCode::SystemIoFailure => {
            StoreError::CannotWrite(format!("{place}: {error}; look at the disk and its free space"))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged(format!(
            "{place}: {error}; restore it from a backup, or move it away to begin anew (mail stays in the archive)"
        )),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            StoreError::Unavailable(format!("{place} is busy: another process holds it for too long"))
        }
        ErrorCode::TooBig => StoreError::Contract(format!("{place}: {error}")),
        _ => StoreError::Unavailable(format!("{place}: {error}")),
    }
}
