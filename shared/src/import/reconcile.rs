//! Reconciliation of the archive: attempts that no record names are orphans, and are removed.
//!
//! Reconciliation of the mailbox needs no code of its own: once a day every folder is walked anew (see
//! [`super::run`]), and what is not on record is imported.

use std::{collections::HashMap, sync::Arc};

use crate::{
    archive::{Archive, ArchiveError},
    message::MessageKey,
    ports::Ports,
    records::{RecordError, accounts::AccountRow, messages::Messages},
};

/// Why it did not finish.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The archive said no.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store said no.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Removes objects of attempts that no record names and that no run can still be writing: their fence is below that of
/// the account's last lease, which must be free. Returns how many objects went.
pub async fn orphans(ports: &Ports, archive: &Archive, row: &AccountRow) -> Result<u64, ReconcileError> {
    let mut by_message: HashMap<MessageKey, Vec<(String, String)>> = HashMap::new();
    for object in archive.objects(&row.account.id).await? {
        let pieces: Vec<&str> = object.splitn(4, '/').collect();
        let [_, key, attempt, _] = pieces.as_slice() else {
            continue;
        };
        let fence = attempt.split('-').next().and_then(|fence| fence.parse::<i64>().ok());
        if fence.is_some_and(|fence| fence < row.fence) {
            by_message
                .entry(MessageKey((*key).to_owned()))
                .or_default()
                .push(((*attempt).to_owned(), object.clone()));
        }
    }
    let messages = Messages::new(Arc::clone(&ports.store));
    let keys: Vec<MessageKey> = by_message.keys().cloned().collect();
    let mut removed = 0;
    for chunk in keys.chunks(100) {
        let named: HashMap<MessageKey, String> = messages
            .known(&row.mailbox, chunk)
            .await?
            .into_iter()
            .filter_map(|message| Some((message.key, message.archived?.attempt)))
            .collect();
        for key in chunk {
            for (attempt, object) in by_message.remove(key).unwrap_or_default() {
                if named.get(key) != Some(&attempt) {
                    archive.remove(&object).await?;
                    removed += 1;
                }
            }
        }
    }
    Ok(removed)
}
