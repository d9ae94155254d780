//! Warnings that were told: each stage once, as an event of the installation and a line in the log.
//!
//! Events that belong to no account go out under the name [`CHANNEL`], with numbers of their own. One item keeps how many
//! are recorded and sent; a warning becomes its event in the transaction that notes its stage.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    ports::{Condition, Key, Ports, Store, StoreError, Write},
    warning::Warning,
};

use super::{RecordError, attribute, attributes, events::Events, number};

/// The name under which events of the installation go out; no account may have it.
pub const CHANNEL: &str = "postroom";
const PARTITION: &str = "warnings";
/// Events sent at once.
const BATCH: usize = 100;

/// The shelf of warnings.
#[derive(Clone)]
pub struct Warnings {
    store: Arc<dyn Store>,
}

impl Warnings {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    fn outbox() -> Key {
        Key::new(PARTITION, "#outbox")
    }

    /// Notes a warning, unless its stage was told before; whether it is news. Somebody else who tells it at the same moment
    /// wins or loses whole.
    pub async fn tell(&self, ports: &Ports, warning: &Warning) -> Result<bool, RecordError> {
        let key = Key::new(PARTITION, warning.key());
        let known = self.store.get(&key).await?;
        let ends_at = warning.ends_at.to_string();
        let told = match &known {
            Some(item) if attribute::<String>(item, "ends_at")?.as_deref() == Some(ends_at.as_str()) => {
                Some(number(item, "stage"))
            }
            _ => None,
        };
        let stage = i64::try_from(warning.stage).unwrap_or(i64::MAX);
        if told.is_some_and(|told| told <= stage) {
            return Ok(false);
        }
        let outbox = self.store.get(&Self::outbox()).await?;
        let recorded = outbox.as_ref().map_or(0, |item| number(item, "recorded"));
        let next = recorded + 1;
        let event = json!({
            "schema": "postroom.event/1", "type": "credential.warning", "sequence": next, "account": CHANNEL,
            "id": format!("{}/{}/{}", warning.key(), ends_at, warning.stage),
            "credential": warning.credential, "ending": warning.ending, "ends_at": warning.ends_at,
            "days": warning.days, "stage": warning.stage, "text": warning.text, "recorded_at": ports.clock.now(),
        });
        let mut mark = Write::set(Self::outbox(), attributes([("recorded", next.into())]));
        mark = match outbox {
            Some(_) => mark.when(Condition::equals("recorded", recorded)),
            None => mark.when(Condition::Absent),
        };
        let mut note = Write::put(key, attributes([("ends_at", ends_at.into()), ("stage", stage.into())]));
        if known.is_none() {
            note = note.when(Condition::Absent);
        }
        let sequence = u64::try_from(next).unwrap_or_default();
        match self
            .store
            .transact(vec![mark, note, Events::write(CHANNEL, sequence, &event)])
            .await
        {
            Ok(()) => Ok(true),
            Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what is recorded and not sent; how many went out. What fails is sent with the next call.
    pub async fn send(&self, ports: &Ports) -> Result<usize, RecordError> {
        let Some(item) = self.store.get(&Self::outbox()).await? else {
            return Ok(0);
        };
        let (sent, recorded) = (number(&item, "sent"), number(&item, "recorded"));
        if sent >= recorded {
            return Ok(0);
        }
        let from = u64::try_from(sent + 1).unwrap_or_default();
        let events: Vec<Value> = Events::new(Arc::clone(&self.store)).from(CHANNEL, from, BATCH).await?;
        let delivered = match ports.publisher.publish(CHANNEL, &events).await {
            Ok(()) => events.len(),
            Err(error) => {
                tracing::warn!(problem = %error, "warnings were not sent as events; they are sent again");
                error.delivered
            }
        };
        let now_sent = sent + i64::try_from(delivered).unwrap_or_default();
        let write = Write::set(Self::outbox(), attributes([("sent", now_sent.into())]))
            .when(Condition::equals("recorded", recorded));
        match self.store.update(write).await {
            // Whoever recorded meanwhile sends the rest; a receiver sees each number once.
            Ok(_) | Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(delivered),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a look brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// All that ends soon, the most urgent first.
    pub warnings: Vec<Warning>,
    /// How many of them were told for the first time at their stage.
    pub news: usize,
}

impl Looked {
    /// Days until the first thing ends, for a metric; `None`: nothing ends within 60 days.
    pub fn days(&self) -> Option<u64> {
        self.warnings.iter().map(|warning| warning.days).min()
    }
}

/// Looks at every credential, tells what is news, sends it. Called on a schedule: by `serve` on one machine.
pub async fn look(ports: &Ports) -> Result<Looked, RecordError> {
    let now = ports.clock.now();
    let shelf = Warnings::new(Arc::clone(&ports.store));
    let mut looked = Looked::default();
    for row in super::credentials::Credentials::new(Arc::clone(&ports.store))
        .all()
        .await?
    {
        looked.warnings.extend(crate::warning::of(&row, now));
    }
    looked.warnings.sort_by_key(|warning| warning.ends_at);
    for warning in &looked.warnings {
        if shelf.tell(ports, warning).await? {
            looked.news += 1;
            tracing::warn!(credential = %warning.credential, days = warning.days, stage = warning.stage, "{}", warning.text);
        }
    }
    shelf.send(ports).await?;
    Ok(looked)
}
