//! Apps: the circuit that opens when Microsoft refuses the app itself.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ports::{Attributes, Condition, Item, Key, Store, StoreError, Write},
    time::{millis, plus},
};

use super::{RECORD, RecordError, attributes, every, json, required};

const PARTITION: &str = "apps";
/// How often one credential of a refused app asks again.
const PROBE: Duration = Duration::from_mins(15);

/// An app whose client is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCircuit {
    /// The app's client id, to show.
    pub client_id: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// What it was refused with, by its fingerprint: copies of one secret are one. Another one closes the circuit.
    pub secret: String,
    /// Why, in the admin's words.
    pub problem: String,
}

/// What is on record of an app's circuit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Circuit(Option<OpenCircuit>);

impl Circuit {
    /// From the app's row, if there is one.
    pub fn read(item: Option<&Item>) -> Result<Self, RecordError> {
        Ok(Self(item.map(|item| required(item, RECORD)).transpose()?))
    }

    /// Whether it is open, for this secret or another.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

/// The shelf of apps.
#[derive(Clone)]
pub struct Apps {
    store: Arc<dyn Store>,
}

impl Apps {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Where an app's circuit is kept.
    pub fn key(app: &str) -> Key {
        Key::new(PARTITION, app)
    }

    /// The circuit of an app.
    pub async fn circuit(&self, app: &str) -> Result<Circuit, RecordError> {
        Circuit::read(self.store.get(&Self::key(app)).await?.as_ref())
    }

    /// The circuit, if it is open for this secret and it is not time to probe. Who is let through at the time of a probe is
    /// the only one.
    pub async fn refuses(
        &self,
        app: &str,
        circuit: &Circuit,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<OpenCircuit>, RecordError> {
        let key = Self::key(app);
        let Some(circuit) = circuit.0.as_ref().filter(|open| open.secret == secret) else {
            return Ok(None);
        };
        let probe = attributes([("probe_at", millis(plus(now, PROBE)).into())]);
        let write = Write::set(key, probe)
            .when(Condition::Exists)
            .when(Condition::MissingOrBelow("probe_at".into(), millis(now) + 1));
        match self.store.update(write).await {
            Ok(_) => Ok(None),
            Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(Some(circuit.clone())),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the circuit of an app. `false`: it was open for this secret already.
    pub async fn open(&self, app: &str, circuit: &OpenCircuit) -> Result<bool, RecordError> {
        let key = Key::new(PARTITION, app);
        let known = self.store.get(&key).await?;
        let known: Option<OpenCircuit> = known.map(|item| required(&item, RECORD)).transpose()?;
        if known.is_some_and(|known| known.secret == circuit.secret) {
            return Ok(false);
        }
        let set: Attributes = attributes([
            (RECORD, json(circuit)),
            ("probe_at", millis(plus(circuit.opened_at, PROBE)).into()),
        ]);
        match self.store.update(Write::put(key, set)).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Closes the circuit of an app. `false`: it was not open.
    pub async fn close(&self, app: &str) -> Result<bool, RecordError> {
        let write = Write::delete(Key::new(PARTITION, app)).when(Condition::Exists);
        match self.store.update(write).await {
            Ok(_) => Ok(true),
            Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// All that are open.
    pub async fn all(&self) -> Result<Vec<OpenCircuit>, RecordError> {
        every(&*self.store, PARTITION, |item| required(item, RECORD)).await
    }
}
