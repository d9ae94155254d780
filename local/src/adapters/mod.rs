//! The embedded adapters: real parts, no server to install.

mod archive;
mod data_dir;
mod event_log;
mod federated;
mod http;
mod keyring;
mod open;
mod open_error;
mod private_file;
mod seal_key;
mod sealed_body;
mod sealed_file;
mod sealed_format;
mod sqlite;
mod sqlite_open;
mod timers;

pub use archive::{Files, open_archive};
pub use data_dir::{DataDir, Instance, ServeLock};
pub use event_log::{EventLog, EventTail};
pub use federated::TokenFiles;
pub use http::{HttpOptions, wire};
pub use open::{OpenOptions, Opened, open};
pub use open_error::OpenError;
pub use seal_key::Passphrase;
pub use sealed_file::{SealedPaths, SealedVault};
pub use sealed_format::KeySource;
pub use shared::system::{SystemClock, SystemRng};
pub use shared::wire::ReqwestHttp;
pub use sqlite::SqliteStore;
pub use timers::{Fire, TimerScheduler};
