//! Fixing the instant that *from now on* stands for as soon as an account is made, and not with its first run (P46).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    graph::{Counts, Governor, GraphError},
    ports::{Condition, StoreError, Write},
    records::{
        RecordError,
        accounts::{Accounts, StartAt},
        attributes,
        credentials::Credentials,
        json,
    },
};

use super::run::Importer;

/// Why the instant is not fixed yet. The first run fixes it then.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The account or its credential cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Microsoft did not say what time it is.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The answer carried no date.
    #[error("Microsoft's answer carries no date")]
    NoDate,
}

impl Importer {
    /// Asks the server for its time and stores it as the start of an account that imports *from now on*. An account
    /// whose start is known already keeps it. The outer `None`: everything.
    pub async fn begin(&self, account: &str, patience: Duration) -> Result<Option<Timestamp>, BeginError> {
        let row = Accounts::new(Arc::clone(&self.ports.store)).get(account).await?;
        if let Some(start) = row.start_at.or_else(|| row.account.start.instant()) {
            return Ok(start);
        }
        let credentials = Credentials::new(Arc::clone(&self.ports.store));
        let credential = credentials.get(row.account.credential.as_str()).await?;
        let governor = Arc::new(Governor::new(Arc::clone(&self.ports.clock), BTreeMap::new()));
        let client = self.client(&row, &credential, governor, Arc::new(Counts::default()), patience);
        let start = client.server_time().await?.ok_or(BeginError::NoDate)?;
        let write = Write::set(
            row.key(),
            attributes([("start_at", json(&StartAt { instant: Some(start) }))]),
        )
        .when(Condition::equals("revision", row.revision))
        .when(Condition::Missing("start_at".into()));
        match self.ports.store.update(write).await {
            Ok(_) => Ok(Some(start)),
            // A run or an edit was quicker: its word counts.
            Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => {
                let row = Accounts::new(Arc::clone(&self.ports.store)).get(account).await?;
                row.start_at.ok_or(BeginError::NoDate)
            }
            Err(error) => Err(RecordError::from(error).into()),
        }
    }
}
