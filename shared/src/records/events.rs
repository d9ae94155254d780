//! The outbox: one row per event, written in the transaction that records the message, sent in the order of its numbers.

use std::sync::Arc;

use serde_json::Value;

use crate::ports::{Key, PageMark, Query, Store, Write};

use super::{RecordError, Shelf, page, record};

/// The shelf of events of all accounts.
#[derive(Clone)]
pub struct Events {
    store: Arc<dyn Store>,
}

fn partition(account: &str) -> String {
    format!("events#{account}")
}

fn sort(sequence: u64) -> String {
    format!("{sequence:012}")
}

impl Events {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The write that puts event `sequence` of `account` in the outbox.
    pub fn write(account: &str, sequence: u64, event: &Value) -> Write {
        Write::put(Key::new(partition(account), sort(sequence)), record(event))
    }

    /// Events of `account` with numbers from `from` on, in order, at most `limit`.
    pub async fn from(&self, account: &str, from: u64, limit: usize) -> Result<Vec<Value>, RecordError> {
        let query = Query {
            from: Some(sort(from)),
            limit,
            ..Query::all(partition(account))
        };
        Ok(page(&*self.store, &query).await?.records)
    }

    /// A page of events of `account`.
    pub async fn page(
        &self,
        account: &str,
        descending: bool,
        limit: usize,
        after: Option<PageMark>,
    ) -> Result<Shelf<Value>, RecordError> {
        let query = Query {
            descending,
            limit,
            after,
            ..Query::all(partition(account))
        };
        page(&*self.store, &query).await
    }
}
