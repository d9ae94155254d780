//! Keys of the API: kept as hashes, with a scope and an end.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    field::{FieldError, one_line},
    oauth::{random, sha256_hex},
    ports::{Condition, Key, PageMark, Query, Rng, Store, StoreError, Write},
    secret::Secret,
    time::{millis, plus},
};

use super::{RECORD, RecordError, Shelf, attribute, attributes, ending, every, json, number, page};

const PARTITION: &str = "keys";
/// What every key begins with, so that scanners for leaked secrets find it.
const PREFIX: &str = "postroom_";
/// A key lives for so many days at most.
const DAYS: std::ops::RangeInclusive<u32> = 1..=366;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reads.
    Viewer,
    /// Reads and changes.
    Operator,
}

/// What is known of a key; not the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The beginning of its hash, by which it is named.
    pub id: String,
    /// Whose it is, in an operator's words.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The shelf.
#[derive(Clone)]
pub struct ApiKeys {
    store: Arc<dyn Store>,
}

impl ApiKeys {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Makes a key, which is shown this once.
    pub async fn make(
        &self,
        name: &str,
        scope: Scope,
        days: u32,
        rng: &dyn Rng,
        now: Timestamp,
    ) -> Result<(ApiKey, Secret), RecordError> {
        let name = one_line("name", name, 100)?;
        if name.is_empty() {
            return Err(FieldError::new("name", "it is missing; say whose key it is").into());
        }
        if !DAYS.contains(&days) {
            let why = format!("{days} is not from {} to {}", DAYS.start(), DAYS.end());
            return Err(FieldError::new("days", why).into());
        }
        let key = Secret::new(format!("{PREFIX}{}", random(rng).expose()));
        let hash = sha256_hex(key.expose());
        let known = ApiKey {
            id: hash.get(..16).unwrap_or(&hash).to_owned(),
            name,
            scope,
            created_at: now,
            expires_at: plus(now, Duration::from_hours(24) * days),
        };
        let mut set = attributes([(RECORD, json(&known))]);
        set.extend(ending(known.expires_at).map(|(name, value)| (name.to_owned(), value)));
        let write = Write::put(Key::new(PARTITION, hash), set).when(Condition::Absent);
        self.store.update(write).await?;
        Ok((known, key))
    }

    /// What a key may do, if there is such a key and it has not ended.
    pub async fn check(&self, key: &Secret, now: Timestamp) -> Result<Option<ApiKey>, RecordError> {
        if !key.expose().starts_with(PREFIX) {
            return Ok(None);
        }
        let item = self.store.get(&Key::new(PARTITION, sha256_hex(key.expose()))).await?;
        match item {
            Some(item) if number(&item, "expires_at") > millis(now) => attribute(&item, RECORD),
            _ => Ok(None),
        }
    }

    /// A page of keys.
    pub async fn page(&self, limit: usize, after: Option<PageMark>) -> Result<Shelf<ApiKey>, RecordError> {
        let query = Query {
            limit,
            after,
            ..Query::all(PARTITION)
        };
        page(&*self.store, &query).await
    }

    /// Ends a key by its id. `false`: there is none.
    pub async fn revoke(&self, id: &str) -> Result<bool, RecordError> {
        let all = every(&*self.store, PARTITION, |item| Ok(item.key.clone())).await?;
        let found = all.into_iter().find(|key| id.len() == 16 && key.sort.starts_with(id));
        let Some(key) = found else {
            return Ok(false);
        };
        match self.store.update(Write::delete(key)).await {
            Ok(_) => Ok(true),
            Err(StoreError::ConditionFailed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryStore, SeededRng, start_of_time};

    #[tokio::test]
    async fn a_key_is_good_until_it_ends_and_is_never_kept() {
        let store = MemoryStore::default();
        let keys = ApiKeys::new(Arc::new(store.clone()));
        let (rng, now) = (SeededRng::new(1), start_of_time());
        let (known, key) = keys.make("deploy", Scope::Operator, 30, &rng, now).await.unwrap();
        assert_eq!(keys.check(&key, now).await.unwrap(), Some(known.clone()));
        let end = plus(now, Duration::from_hours(24 * 30));
        assert_eq!(keys.check(&key, end).await.unwrap(), None, "it has ended");
        for other in ["", "postroom_", "postroom_x", &key.expose()[1..]] {
            assert_eq!(keys.check(&Secret::new(other), now).await.unwrap(), None, "{other}");
        }
        let kept = format!(
            "{:?}",
            store.get(&Key::new(PARTITION, sha256_hex(key.expose()))).await.unwrap()
        );
        assert!(!kept.contains(key.expose()));
        assert!(!keys.revoke("").await.unwrap(), "no id names no key");
        assert!(keys.revoke(&known.id).await.unwrap());
        assert_eq!(keys.check(&key, now).await.unwrap(), None, "it was revoked");
    }

    #[tokio::test]
    async fn days_and_names_are_checked() {
        let keys = ApiKeys::new(Arc::new(MemoryStore::default()));
        let rng = SeededRng::new(1);
        for (name, days) in [("", 1), ("x", 0), ("x", 367), ("two\nlines", 1)] {
            let made = keys.make(name, Scope::Viewer, days, &rng, start_of_time()).await;
            assert!(matches!(made, Err(RecordError::Field(_))), "{name:?} {days}");
        }
    }
}
