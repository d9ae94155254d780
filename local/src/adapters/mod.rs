//! The embedded adapters: real parts, no server to install.

mod open_error;
mod sqlite;
mod sqlite_open;

pub use open_error::OpenError;
pub use sqlite::SqliteStore;
