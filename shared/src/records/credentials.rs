//! Credentials: their settings and what is known of their tokens.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    credential::{Credential, SignIn, TokenState},
    ports::{Attributes, Condition, Item, Key, Store, StoreError, Write},
    time::millis,
};

use super::{RecordError, attribute, attributes, every, json, number, required};

const PARTITION: &str = "credentials";

/// A credential as stored.
#[derive(Debug, Clone)]
pub struct CredentialRow {
    /// The settings.
    pub credential: Credential,
    /// Counts edits.
    pub revision: i64,
    /// Its token, if there is one.
    pub token: Option<TokenState>,
    /// Why the last request for a token failed, if it did.
    pub problem: Option<String>,
    /// Authorization code: who signed in last.
    pub sign_in: Option<SignIn>,
    /// Authorization code: somebody must sign in again; `problem` says why.
    pub needs_sign_in: bool,
}

impl CredentialRow {
    fn read(item: &Item) -> Result<Self, RecordError> {
        Ok(Self {
            credential: required(item, "settings")?,
            revision: number(item, "revision"),
            token: attribute(item, "token")?,
            problem: attribute(item, "problem")?,
            sign_in: attribute(item, "sign_in")?,
            needs_sign_in: attribute(item, "needs_sign_in")?.unwrap_or_default(),
        })
    }
}

/// The shelf of credentials.
#[derive(Clone)]
pub struct Credentials {
    store: Arc<dyn Store>,
}

impl Credentials {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The item's key.
    pub fn key(id: &str) -> Key {
        Key::new(PARTITION, id)
    }

    /// One credential.
    pub async fn get(&self, id: &str) -> Result<CredentialRow, RecordError> {
        match self.store.get(&Self::key(id)).await? {
            Some(item) => CredentialRow::read(&item),
            None => Err(RecordError::Missing {
                what: "credential",
                id: id.to_owned(),
                hint: "; `postroom credential list` shows all",
            }),
        }
    }

    /// All of them, by id.
    pub async fn all(&self) -> Result<Vec<CredentialRow>, RecordError> {
        every(&*self.store, PARTITION)
            .await?
            .iter()
            .map(CredentialRow::read)
            .collect()
    }

    /// Adds one.
    pub async fn add(&self, credential: &Credential) -> Result<(), RecordError> {
        let write = Write::put(
            Self::key(credential.id.as_str()),
            attributes([("settings", json(credential)), ("revision", 1.into())]),
        )
        .when(Condition::Absent);
        match self.store.update(write).await {
            Ok(_) => Ok(()),
            Err(StoreError::ConditionFailed { .. }) => Err(RecordError::Taken {
                what: "credential",
                id: credential.id.to_string(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the settings of the revision that was looked at. A token asked for with other settings stays until
    /// the next request for one, which sees that it no longer fits.
    pub async fn edit(&self, credential: &Credential, revision: i64) -> Result<(), RecordError> {
        let id = credential.id.as_str();
        let write = Write::set(
            Self::key(id),
            attributes([
                ("settings", json(credential)),
                ("revision", (revision + 1).into()),
                ("problem", Value::Null),
            ]),
        )
        .when(Condition::equals("revision", revision));
        Self::changed(id, self.store.update(write).await)
    }

    /// Removes one.
    pub async fn remove(&self, id: &str, revision: i64) -> Result<(), RecordError> {
        let write = Write::delete(Self::key(id)).when(Condition::equals("revision", revision));
        Self::changed(id, self.store.update(write).await)
    }

    /// Takes the lease under which tokens of this credential are asked for; the fence, or `None` if another holds it.
    pub async fn lease(
        &self,
        id: &str,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<i64>, RecordError> {
        let mut write = Write::set(
            Self::key(id),
            attributes([("token_owner", owner.into()), ("token_lease", millis(until).into())]),
        )
        .when(Condition::Exists)
        .when(Condition::MissingOrBelow("token_lease".into(), millis(now)));
        if let crate::ports::Change::Update { add, .. } = &mut write.change {
            add.insert("token_fence".into(), 1);
        }
        match self.store.update(write).await {
            Ok(item) => Ok(item.map(|item| number(&item, "token_fence"))),
            Err(StoreError::ConditionFailed { current: Some(_), .. } | StoreError::Conflict) => Ok(None),
            Err(StoreError::ConditionFailed { current: None, .. }) => Err(RecordError::Missing {
                what: "credential",
                id: id.to_owned(),
                hint: "",
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Who holds that lease.
    pub async fn lease_holder(&self, id: &str) -> Result<Option<String>, RecordError> {
        let item = self.store.get(&Self::key(id)).await?;
        item.map_or(Ok(None), |item| attribute(&item, "token_owner"))
    }

    /// Ends a lease whose holder is known to be dead.
    pub async fn end_lease_of(&self, id: &str, owner: &str) -> Result<(), RecordError> {
        let write = Write::set(Self::key(id), attributes([("token_lease", 0.into())]))
            .when(Condition::equals("token_owner", owner));
        match self.store.update(write).await {
            Ok(_) | Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what a request for a token brought and lets the lease go, under its fence. `false`: the lease was lost.
    pub async fn finish(
        &self,
        id: &str,
        fence: i64,
        token: Option<&TokenState>,
        problem: Option<&str>,
    ) -> Result<bool, RecordError> {
        let mut set: Attributes = attributes([("token_lease", 0.into()), ("problem", json(&problem))]);
        if let Some(token) = token {
            set.insert("token".into(), json(token));
        }
        let write = Write::set(Self::key(id), set).when(Condition::equals("token_fence", fence));
        match self.store.update(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn changed(id: &str, result: Result<Option<Item>, StoreError>) -> Result<(), RecordError> {
        match result {
            Ok(_) => Ok(()),
            Err(StoreError::ConditionFailed { current: Some(_), .. } | StoreError::Conflict) => {
                Err(RecordError::Changed {
                    what: "credential",
                    id: id.to_owned(),
                })
            }
            Err(StoreError::ConditionFailed { current: None, .. }) => Err(RecordError::Missing {
                what: "credential",
                id: id.to_owned(),
                hint: "",
            }),
            Err(error) => Err(error.into()),
        }
    }
}
