//! Warnings that were told, and changes of what apps reach: each once, as an event of the installation and a line in the log.
//!
//! Events that belong to no account go out under the name [`CHANNEL`], with numbers of their own. One item keeps how many
//! are recorded and sent; a warning becomes its event in the transaction that notes its stage.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    ports::{Condition, Key, Ports, Store, StoreError, Write},
    reach::Reach,
    warning::Warning,
};

use super::{
    RecordError, attribute, attributes,
    credentials::{CredentialRow, Credentials},
    events::Events,
    number,
};

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
        let event = json!({
            "type": "credential.warning", "id": format!("{}/{}/{}", warning.key(), ends_at, warning.stage),
            "credential": warning.credential, "ending": warning.ending, "ends_at": warning.ends_at,
            "days": warning.days, "stage": warning.stage, "text": warning.text,
        });
        let mut note = Write::put(key, attributes([("ends_at", ends_at.into()), ("stage", stage.into())]));
        if known.is_none() {
            note = note.when(Condition::Absent);
        }
        self.record(ports, note, event).await
    }

    /// Notes what trying the mailboxes of a credential found; a change becomes an event in the same transaction. `false`:
    /// somebody else looked at the same moment, or changed what is expected, and what was found is dropped.
    pub async fn found(&self, ports: &Ports, row: &CredentialRow, reach: &Reach) -> Result<bool, RecordError> {
        let note = Credentials::found(row, reach);
        let changes = reach.changes(row.reach.as_ref());
        if changes.is_empty() || row.expected.is_empty() {
            return settled(self.store.update(note).await.map(drop));
        }
        let id = &row.credential.id;
        let summary = reach.summary();
        let text = format!("credential `{id}` {summary}: {}", changes.join("; "));
        tracing::warn!(credential = %id, "{text}");
        let event = json!({
            "type": "credential.reach", "id": format!("{id}#reach/{}", row.reach_looks + 1), "credential": id,
            "as_meant": reach.is_as_meant(), "everywhere": reach.everywhere(), "changes": changes,
            "mailboxes": reach.probes.iter().map(|probe| json!({
                "mailbox": probe.mailbox, "must_read": probe.must_read, "found": probe.found,
            })).collect::<Vec<_>>(),
            "text": text,
        });
        self.record(ports, note, event).await
    }

    /// A note and its event with the next number, in one transaction; `false` if somebody else was first.
    async fn record(&self, ports: &Ports, note: Write, mut event: Value) -> Result<bool, RecordError> {
        let outbox = self.store.get(&Self::outbox()).await?;
        let recorded = outbox.as_ref().map_or(0, |item| number(item, "recorded"));
        let next = recorded + 1;
        event["schema"] = "postroom.event/1".into();
        event["account"] = CHANNEL.into();
        event["sequence"] = next.into();
        event["recorded_at"] = ports.clock.now().to_string().into();
        let mut mark = Write::set(Self::outbox(), attributes([("recorded", next.into())]));
        mark = match outbox {
            Some(_) => mark.when(Condition::equals("recorded", recorded)),
            None => mark.when(Condition::Absent),
        };
        let sequence = u64::try_from(next).unwrap_or_default();
        let writes = vec![mark, note, Events::write(CHANNEL, sequence, &event)];
        settled(self.store.transact(writes).await)
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

/// Whoever loses a race loses whole: that is no error.
fn settled(result: Result<(), StoreError>) -> Result<bool, RecordError> {
    match result {
        Ok(()) => Ok(true),
        Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(false),
        Err(error) => Err(error.into()),
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
    for row in Credentials::new(Arc::clone(&ports.store)).all().await? {
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
