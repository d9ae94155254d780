//! Sign-ins that were begun: pending until the browser comes back, consumed by one write.

use std::{marker::PhantomData, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

use crate::{
    field::Id,
    ports::{Condition, Item, Key, Store, StoreError, Write},
    time::millis,
};

use super::{RECORD, RecordError, attribute, attributes, ending, json, number, required, sweep};

const PARTITION: &str = "authorizations";
const ENTRIES: &str = "entries";

/// What a browser was sent to Microsoft for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// A person signs in.
    SignIn,
    /// An admin consents for the whole tenant.
    AdminConsent,
}

/// A sign-in that was begun. Neither `state`, nor verifier, nor nonce stands in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    /// The credential.
    pub credential: Id,
    /// What for.
    pub errand: Errand,
    /// The app at that time ([`crate::credential::Credential::client`]).
    pub client: String,
    /// The redirect URI that was sent.
    pub redirect_uri: Url,
    /// The scope that was asked for.
    pub scope: String,
    /// The issuer an answer must name, if it names one and the tenant is known.
    pub issuer: Option<String>,
    /// Hexadecimal; verifier and nonce are derived with it.
    pub salt: String,
    /// Another person may take over.
    pub rebind: bool,
    /// The session that began it (its key), if one did.
    pub session: Option<String>,
    /// When.
    pub begun_at: Timestamp,
}

/// A sign-in to the console that was begun. Neither `state`, nor verifier, nor nonce stands in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Hexadecimal; verifier and nonce are derived with it.
    pub salt: String,
}

/// How a sign-in ended, in our own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whether it worked.
    pub ok: bool,
    /// One sentence.
    pub what: String,
    /// Who signed in.
    pub who: Option<String>,
    /// What was granted.
    pub granted: Vec<String>,
    /// What was granted beyond what was asked for.
    pub extra: Vec<String>,
    /// What the admin should know.
    pub warnings: Vec<String>,
    /// What Microsoft's support asks for.
    pub trace: Option<String>,
}

/// A row as it stands.
#[derive(Debug, Clone)]
pub struct AuthorizationRow<P = Pending> {
    /// What was begun.
    pub pending: P,
    /// SHA-256 of the flow's cookie, hexadecimal.
    pub cookie: String,
    /// When it was consumed.
    pub consumed_at: Option<Timestamp>,
    /// Who consumed it: chance, to recognise one's own write.
    pub consumed_by: Option<String>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Until when it may be consumed.
    pub expires_at: Timestamp,
}

impl<P: DeserializeOwned> AuthorizationRow<P> {
    fn read(item: &Item) -> Result<Self, RecordError> {
        Ok(Self {
            pending: required(item, RECORD)?,
            cookie: required(item, "cookie")?,
            consumed_at: attribute(item, "consumed_at")?,
            consumed_by: attribute(item, "consumed_by")?,
            ending: attribute(item, "ending")?,
            expires_at: Timestamp::from_millisecond(number(item, "expires_at")).unwrap_or_default(),
        })
    }
}

/// What consuming came to.
#[derive(Debug)]
pub enum Consumed<P = Pending> {
    /// It is ours, now.
    Now(Box<AuthorizationRow<P>>),
    /// It is not: used before, over, for another browser, or not there.
    Not(Option<Box<AuthorizationRow<P>>>),
}

/// The shelf of sign-ins that were begun; keys are the hexadecimal SHA-256 of the raw `state`.
#[derive(Clone)]
pub struct Authorizations<P = Pending> {
    store: Arc<dyn Store>,
    partition: &'static str,
    of: PhantomData<fn() -> P>,
}

impl Authorizations {
    /// Sign-ins for credentials, on this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::on(store, PARTITION)
    }
}

impl Authorizations<Entry> {
    /// Sign-ins to the console, on this store.
    pub fn entries(store: Arc<dyn Store>) -> Self {
        Self::on(store, ENTRIES)
    }
}

impl<P: Serialize + DeserializeOwned> Authorizations<P> {
    fn on(store: Arc<dyn Store>, partition: &'static str) -> Self {
        Self {
            store,
            partition,
            of: PhantomData,
        }
    }

    fn key(&self, key: &str) -> Key {
        Key::new(self.partition, key)
    }

    /// Writes down what was begun, and sweeps a few old rows.
    pub async fn add(
        &self,
        key: &str,
        pending: &P,
        cookie: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), RecordError> {
        let [expires_at, expires] = ending(expires_at);
        let set = attributes([(RECORD, json(pending)), ("cookie", cookie.into()), expires_at, expires]);
        self.store
            .update(Write::put(self.key(key), set).when(Condition::Absent))
            .await?;
        sweep(&*self.store, self.partition, now).await;
        Ok(())
    }

    /// One row.
    pub async fn get(&self, key: &str) -> Result<Option<AuthorizationRow<P>>, RecordError> {
        let item = self.store.get(&self.key(key)).await?;
        item.map(|item| AuthorizationRow::read(&item)).transpose()
    }

    /// Consumes a row for the browser with this cookie: one conditional write, before anything else is done.
    pub async fn consume(&self, key: &str, cookie: &str, by: &str, now: Timestamp) -> Result<Consumed<P>, RecordError> {
        let set = attributes([("consumed_at", json(&now)), ("consumed_by", by.into())]);
        let write = Write::set(self.key(key), set)
            .when(Condition::Exists)
            .when(Condition::Missing("consumed_at".into()))
            .when(Condition::equals("cookie", cookie))
            .when(Condition::Above("expires_at".into(), millis(now)));
        let mut tries = 0;
        loop {
            let current = match self.store.update(write.clone()).await {
                Ok(item) => item,
                Err(StoreError::ConditionFailed { current, .. }) => current.map(|item| *item),
                Err(error @ (StoreError::Conflict | StoreError::Unavailable(_))) => {
                    let current = self.store.get(&self.key(key)).await?;
                    let unconsumed = current
                        .as_ref()
                        .is_some_and(|item| !item.attributes.contains_key("consumed_at"));
                    if unconsumed {
                        // Nobody has it: it is still to be had, and must not be told to be over.
                        tries += 1;
                        if tries > super::CONFLICT_TRIES {
                            return Err(error.into());
                        }
                        continue;
                    }
                    current
                }
                Err(error) => return Err(error.into()),
            };
            let row = current
                .map(|item| AuthorizationRow::read(&item).map(Box::new))
                .transpose()?;
            // The mark tells whose it is: an answer may have been lost, and a store that repeats such a write by itself
            // refuses the second.
            return Ok(match row {
                Some(row) if row.consumed_by.as_deref() == Some(by) => Consumed::Now(row),
                row => Consumed::Not(row),
            });
        }
    }

    /// Writes down how it ended, once.
    pub async fn end(&self, key: &str, by: &str, ending: &Ending) -> Result<(), RecordError> {
        let mut tries = 0;
        loop {
            let write = Write::set(self.key(key), attributes([("ending", json(ending))]))
                .when(Condition::equals("consumed_by", by));
            match self.store.update(write).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict | StoreError::Unavailable(_)) if tries < super::CONFLICT_TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
