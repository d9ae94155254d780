//! Reports of runs. A run that found nothing writes no row: it counts on the account.

use std::sync::Arc;

use crate::{
    import::report::RunReport,
    ports::{Key, PageMark, Query, Store, Write},
};

use super::{RecordError, Shelf, page, record};

/// The shelf of run reports.
#[derive(Clone)]
pub struct Runs {
    store: Arc<dyn Store>,
}

fn partition(account: &str) -> String {
    format!("runs#{account}")
}

impl Runs {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The write that keeps a report.
    pub fn write(report: &RunReport) -> Write {
        let sort = format!("{:016}#{}", report.started_at.as_millisecond(), report.run);
        Write::put(Key::new(partition(&report.account), sort), record(report))
    }

    /// Newest first.
    pub async fn page(
        &self,
        account: &str,
        limit: usize,
        after: Option<PageMark>,
    ) -> Result<Shelf<RunReport>, RecordError> {
        let query = Query {
            descending: true,
            limit,
            after,
            ..Query::all(partition(account))
        };
        page(&*self.store, &query).await
    }
}
