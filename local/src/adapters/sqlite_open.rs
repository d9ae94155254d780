//! Opening the database: made private, checked, brought to the known schema; refused when newer, foreign or damaged.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use shared::ports::StoreError;

use super::{OpenError, sqlite::store_error};

/// The newest schema this program knows (`PRAGMA user_version`).
const SCHEMA: i64 = 1;
/// Marks the file as ours (`PRAGMA application_id`): "Post" in ASCII.
const APPLICATION_ID: i64 = 0x506f_7374;
/// Long enough for seven other processes to commit first, short enough that a person learns of a stuck one.
const BUSY: Duration = Duration::from_secs(20);
/// Up to this size the database is always checked in full: it takes a fraction of a second.
const SMALL: u64 = 16 * 1024 * 1024;

/// The two connections of a process and the lock that says it has the database open.
pub(super) struct Opened {
    /// For writes.
    pub(super) writer: Connection,
    /// For reads: in WAL mode they go on beside a write.
    pub(super) reader: Connection,
    /// Held in shared mode for the life of the process: whoever gets it alone knows that nobody else is in.
    pub(super) open_lock: File,
}

/// Opens the database, making it if there is none. `lock` is an empty file beside it.
pub(super) fn open(path: &Path, lock: &Path) -> Result<Opened, OpenError> {
    let open_lock = private_file(lock)?;
    // Alone: set up and check at leisure. Not alone: somebody in there has checked, or does so now, so wait for that.
    let alone = open_lock.try_lock().is_ok();
    if !alone {
        open_lock.lock_shared().map_err(OpenError::io("lock", lock))?;
    }
    private_file(path)?;
    let failed = |error| OpenError::Store(store_error(path, &error));
    let mut writer = connect(path, 4_000).map_err(failed)?;
    let unclean = alone && wal_left(path);
    prepare(path, &mut writer)?;
    if alone {
        let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= SMALL);
        check(path, &writer, unclean || small)?;
        open_lock.unlock().map_err(OpenError::io("unlock", lock))?;
        open_lock.lock_shared().map_err(OpenError::io("lock", lock))?;
    }
    let reader = connect(path, 2_000).map_err(failed)?;
    Ok(Opened {
        writer,
        reader,
        open_lock,
    })
}

/// A write-ahead log that outlived its process: it was killed, or the machine lost power.
fn wal_left(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|meta| meta.len() > 0)
}

/// Opens a file, made with mode 0600 if there is none. (`SQLite` gives its side files the mode of the database.)
fn private_file(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem
        | std::io::ErrorKind::PermissionDenied
        | std::io::ErrorKind::StorageFull => OpenError::Store(StoreError::CannotWrite(format!(
            "{}: {source}; make the directory writable and free some space",
            path.display()
        ))),
        _ => OpenError::io("open", path)(source),
    })
}

fn connect(path: &Path, cache_kib: i64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    // FULL: an acknowledged commit survives a power cut. The two fullfsync settings matter on macOS only.
    for (name, value) in [
        ("synchronous", "FULL"),
        ("fullfsync", "ON"),
        ("checkpoint_fullfsync", "ON"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("mmap_size", "0"),
    ] {
        connection.pragma_update(None, name, value)?;
    }
    // Negative: KiB instead of pages.
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn prepare(path: &Path, writer: &mut Connection) -> Result<(), OpenError> {
    let failed = |error| OpenError::Store(store_error(path, &error));
    let number =
        |connection: &Connection, name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = number(writer, "user_version").map_err(failed)?;
    let tables: i64 = writer
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let fresh = tables == 0 && found == 0;
    if !fresh && number(writer, "application_id").map_err(failed)? != APPLICATION_ID {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            what: "database",
        });
    }
    if found > SCHEMA {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        });
    }
    let mode: String = writer
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        return Err(StoreError::CannotWrite(format!(
            "{}: the file system has no shared memory for a write-ahead log (journal mode {mode}); use a local disk",
            path.display()
        ))
        .into());
    }
    // Keeps the log from staying as large as its largest moment.
    writer
        .pragma_update_and_check(None, "journal_size_limit", 8_000_000_i64, |_| Ok(()))
        .map_err(failed)?;
    if found < SCHEMA {
        migrate(writer).map_err(failed)?;
    }
    Ok(())
}

/// To schema 1. Looks again inside the transaction: another process may have been faster.
fn migrate(writer: &mut Connection) -> rusqlite::Result<()> {
    let transaction = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found < 1 {
        // Text compares byte by byte (collation BINARY), which is the order the contract asks for.
        transaction.execute_batch(
            "CREATE TABLE items (
                partition TEXT NOT NULL,
                sort TEXT NOT NULL,
                attributes TEXT NOT NULL,
                PRIMARY KEY (partition, sort)
            ) STRICT, WITHOUT ROWID",
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
    }
    transaction.commit()
}

fn check(path: &Path, writer: &Connection, full: bool) -> Result<(), OpenError> {
    let name = if full { "integrity_check" } else { "quick_check" };
    let verdict: String = writer
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(|error| OpenError::Store(store_error(path, &error)))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged(format!(
        "{}: {verdict}; restore it from a backup, or move it away to begin anew (mail stays in the archive)",
        path.display()
    ))
    .into())
}
