//! What admins did: one row an act, never a secret.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Key, PageMark, Query, Rng, Store, Write};

use super::{RecordError, Shelf, page, record};

const PARTITION: &str = "audit";

/// One act.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Through what, and who if that is known: `command line`, `console`, `console: ada@contoso.example`.
    pub by: String,
    /// What, in words.
    pub what: String,
}

/// The shelf of acts.
#[derive(Clone)]
pub struct Audit {
    store: Arc<dyn Store>,
    rng: Arc<dyn Rng>,
}

impl Audit {
    /// On this store; chance keeps two acts of one millisecond apart.
    pub fn new(store: Arc<dyn Store>, rng: Arc<dyn Rng>) -> Self {
        Self { store, rng }
    }

    /// Notes an act.
    pub async fn note(&self, at: Timestamp, by: &str, what: &str) -> Result<(), RecordError> {
        let act = Act {
            at,
            by: by.to_owned(),
            what: what.to_owned(),
        };
        let key = Key::new(PARTITION, format!("{:016}#{}", at.as_millisecond(), self.rng.hex(4)));
        self.store.update(Write::put(key, record(&act))).await?;
        Ok(())
    }

    /// Newest first.
    pub async fn page(&self, limit: usize, after: Option<PageMark>) -> Result<Shelf<Act>, RecordError> {
        let query = Query {
            descending: true,
            limit,
            after,
            ..Query::all(PARTITION)
        };
        page(&*self.store, &query).await
    }
}
