//! Reconciliation of the archive: attempts that no record names are orphans, and are removed.
//!
//! Reconciliation of the mailbox needs no code of its own: once a day every folder is walked anew (see
//! [`super::run`]), and what is not on record is imported.

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    archive::{Archive, ArchiveError},
    message::MessageKey,
    ports::Ports,
    records::{RecordError, accounts::AccountRow, messages::Messages, number},
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

/// No run is at work under a fence below this one. A lease that was let go has nobody at work under it, either.
pub async fn nobody_below(ports: &Ports, row: &AccountRow) -> Result<i64, RecordError> {
    let lease = ports.store.get(&row.lease_on).await?;
    Ok(lease.map_or(row.fence, |item| {
        number(&item, "fence") + i64::from(number(&item, "lease_until") == 0)
    }))
}

/// The fence under which an attempt was made, from its name.
pub fn fence_of(attempt: &str) -> Option<i64> {
    attempt.split('-').next()?.parse().ok()
}

/// Objects looked at together.
const CHUNK: usize = 1_000;

/// Removes objects of attempts that no record names and that no run can still be writing: their fence is below that of
/// the last lease there was. Returns how many objects went.
pub async fn orphans(ports: &Ports, archive: &Archive, row: &AccountRow) -> Result<u64, ReconcileError> {
    let fence = nobody_below(ports, row).await?;
    let messages = Messages::new(Arc::clone(&ports.store));
    let mut objects = archive.objects(&row.account.id).try_chunks(CHUNK).boxed();
    let mut removed = 0;
    while let Some(chunk) = objects.try_next().await.map_err(|error| error.1)? {
        let old: Vec<(MessageKey, String, String)> = chunk.iter().filter_map(|object| below(object, fence)).collect();
        let mut keys: Vec<MessageKey> = old.iter().map(|(key, ..)| key.clone()).collect();
        keys.sort();
        keys.dedup();
        let named: HashMap<MessageKey, String> = messages
            .known(&row.mailbox, &keys)
            .await?
            .into_iter()
            .filter_map(|message| Some((message.key, message.archived?.attempt)))
            .collect();
        for (key, attempt, object) in old {
            if named.get(&key) == Some(&attempt) {
                continue;
            }
            // What is removed is gone for good: a read that showed the past must not be the only word on it.
            let now = messages.get(&row.mailbox, &key).await?;
            if now
                .and_then(|message| message.archived)
                .is_none_or(|archived| archived.attempt != attempt)
            {
                archive.remove(&object).await?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Message, attempt and path of an object whose attempt was made under a fence below this one.
fn below(object: &str, fence: i64) -> Option<(MessageKey, String, String)> {
    let pieces: Vec<&str> = object.splitn(4, '/').collect();
    let [_, key, attempt, _] = pieces.as_slice() else {
        return None;
    };
    (fence_of(attempt)? < fence).then(|| (MessageKey((*key).to_owned()), (*attempt).to_owned(), object.to_owned()))
}
