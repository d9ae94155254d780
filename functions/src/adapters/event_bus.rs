//! The publisher over an EventBridge bus: at most 10 entries and 256 KB a call, one call after the other.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_eventbridge::{
    Client,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use aws_types::SdkConfig;
use serde_json::Value;
use shared::{
    memory::check_events,
    ports::{PublishError, Publisher},
};

use crate::sdk::Fault;

/// Entries of one call.
const ENTRIES: usize = 10;
/// Bytes of one call, as AWS counts them.
const BYTES: usize = 256 * 1024;
/// What AWS counts for the time of an entry.
const TIME_BYTES: usize = 14;
/// Who sends, as rules of the bus see it.
pub const SOURCE: &str = "postroom";
/// The detail type of an event that names none.
const UNNAMED: &str = "event";

/// Events to a bus.
#[derive(Clone)]
pub struct EventBus {
    client: Client,
    bus: Arc<str>,
}

/// An event ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The account, as the event's resource: rules may ask for it.
    account: String,
    detail_type: String,
    detail: String,
}

impl Entry {
    fn of(account: &str, event: &Value) -> Self {
        Self {
            account: account.to_owned(),
            detail_type: event.get("type").and_then(Value::as_str).unwrap_or(UNNAMED).to_owned(),
            detail: event.to_string(),
        }
    }

    fn bytes(&self) -> usize {
        TIME_BYTES + SOURCE.len() + self.account.len() + self.detail_type.len() + self.detail.len()
    }
}

impl EventBus {
    /// To this bus (its name or ARN).
    pub fn new(config: &SdkConfig, bus: &str) -> Self {
        Self {
            client: Client::new(config),
            bus: bus.into(),
        }
    }

    /// Sends one call's worth; how many from the beginning were taken, and why not all.
    async fn send(&self, entries: &[Entry]) -> Result<(), (usize, String)> {
        let put = entries.iter().map(|entry| {
            PutEventsRequestEntry::builder()
                .source(SOURCE)
                .detail_type(&entry.detail_type)
                .detail(&entry.detail)
                .resources(&entry.account)
                .event_bus_name(&*self.bus)
                .build()
        });
        match self.client.put_events().set_entries(Some(put.collect())).send().await {
            Ok(answer) if answer.failed_entry_count == 0 => Ok(()),
            Ok(answer) => Err(first_failure(&answer.entries.unwrap_or_default())),
            Err(error) => Err((0, format!("the bus {}: {}", self.bus, Fault::of(&error).what()))),
        }
    }
}

fn first_failure(results: &[PutEventsResultEntry]) -> (usize, String) {
    let failed = results.iter().position(|result| result.error_code().is_some());
    let at = failed.unwrap_or(0);
    let said = results.get(at).map_or_else(String::new, |result| {
        let code = result.error_code().unwrap_or("it does not say which");
        format!("{code}: {}", result.error_message().unwrap_or_default())
    });
    (at, format!("the bus refused an event: {said}"))
}

/// The next entries that fit into one call; none if the first alone is too large.
fn portion(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = entries.iter().take(ENTRIES).take_while(|entry| {
        bytes += entry.bytes();
        bytes <= BYTES
    });
    fits.count()
}

#[async_trait]
impl Publisher for EventBus {
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError> {
        check_events(events)?;
        let entries: Vec<Entry> = events.iter().map(|event| Entry::of(account, event)).collect();
        let mut delivered = 0;
        while delivered < entries.len() {
            let rest = &entries[delivered..];
            let count = portion(rest);
            if count == 0 {
                let bytes = rest.first().map_or(0, Entry::bytes);
                let reason = format!("an event of {bytes} bytes; EventBridge takes at most {BYTES}");
                return Err(PublishError { delivered, reason });
            }
            if let Err((taken, reason)) = self.send(&rest[..count]).await {
                delivered += taken;
                return Err(PublishError { delivered, reason });
            }
            delivered += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(sizes: &[usize]) -> Vec<Entry> {
        sizes
            .iter()
            .map(|size| Entry::of("desk", &json!({"type": "message.imported", "text": "x".repeat(*size)})))
            .collect()
    }

    #[test]
    fn calls_stay_within_what_the_bus_takes() {
        assert_eq!(portion(&entries(&[100; 25])), 10);
        assert_eq!(portion(&entries(&[100_000, 100_000, 100_000])), 2);
        assert_eq!(portion(&entries(&[300_000, 1])), 0);
        assert_eq!(portion(&[]), 0);
    }

    #[test]
    fn the_first_failure_ends_what_is_known_to_be_delivered() {
        let good = PutEventsResultEntry::builder().event_id("e").build();
        let bad = PutEventsResultEntry::builder()
            .error_code("ThrottlingException")
            .error_message("slower")
            .build();
        let (delivered, why) = first_failure(&[good.clone(), bad, good]);
        assert_eq!(delivered, 1);
        assert!(why.contains("ThrottlingException: slower"), "{why}");
    }
}
