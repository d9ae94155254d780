//! Credentials as last read, for runs that follow each other in one process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{records::credentials::CredentialRow, time::between};

/// What is remembered, and for how long it is believed; nothing, unless somebody says so.
#[derive(Default)]
pub(super) struct Remembered {
    long: Duration,
    rows: Mutex<HashMap<String, (Timestamp, CredentialRow)>>,
}

impl Remembered {
    /// Rows are believed for so long.
    pub(super) fn for_(long: Duration) -> Self {
        let rows = Mutex::default();
        Self { long, rows }
    }

    /// A row that is still believed.
    pub(super) fn get(&self, id: &str, now: Timestamp) -> Option<CredentialRow> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, row) = rows.get(id)?;
        (between(*read_at, now) < self.long).then(|| row.clone())
    }

    /// A row as just read.
    pub(super) fn keep(&self, row: &CredentialRow, now: Timestamp) {
        if !self.long.is_zero() {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.insert(row.credential.id.to_string(), (now, row.clone()));
        }
    }

    /// Something went wrong: the next run reads anew.
    pub(super) fn forget(&self, id: &str) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
