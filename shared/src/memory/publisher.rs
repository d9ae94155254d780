//! The memory publisher: keeps what it got, in the order it came, repetitions included.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;

use super::Faults;
use crate::ports::{PublishError, Publisher};

/// What a publish call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherFault {
    /// Nothing is delivered.
    Refused,
    /// The first so many are delivered, and the answer says so.
    Partial(usize),
    /// All is delivered, but the answer is lost: it says that nothing is known to be delivered.
    AcknowledgementLost,
}

/// Events in memory.
#[derive(Clone, Default)]
pub struct MemoryPublisher {
    delivered: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    faults: Faults<(), PublisherFault>,
}

impl MemoryPublisher {
    /// The faults to arm.
    pub fn faults(&self) -> &Faults<(), PublisherFault> {
        &self.faults
    }

    /// What came over the wire for this account, repetitions included.
    pub fn delivered(&self, account: &str) -> Vec<Value> {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(account)
            .cloned()
            .unwrap_or_default()
    }

    /// What a receiver makes of it that heeds the sequence numbers: every event once.
    pub fn in_effect(&self, account: &str) -> Vec<Value> {
        let mut last = None;
        let mut events = self.delivered(account);
        events.retain(|event| {
            let sequence = event.get("sequence").and_then(Value::as_u64);
            let fresh = sequence > last;
            last = last.max(sequence);
            fresh
        });
        events
    }

    fn keep(&self, account: &str, events: &[Value]) {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(account.to_owned())
            .or_default()
            .extend_from_slice(events);
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError> {
        check_events(events)?;
        let failed = |delivered, reason: &str| {
            Err(PublishError {
                delivered,
                reason: reason.to_owned(),
            })
        };
        match self.faults.meet(()) {
            None => {
                self.keep(account, events);
                Ok(())
            }
            Some(PublisherFault::Refused) => failed(0, "refused"),
            Some(PublisherFault::Partial(count)) => {
                let count = count.min(events.len());
                self.keep(account, &events[..count]);
                failed(count, "broke off in the middle")
            }
            Some(PublisherFault::AcknowledgementLost) => {
                self.keep(account, events);
                failed(0, "the answer was lost")
            }
        }
    }
}

/// What every publisher refuses: a batch out of order. Every event is an object whose `sequence` is a whole number above
/// the one before.
pub fn check_events(events: &[Value]) -> Result<(), PublishError> {
    let mut last = None;
    for event in events {
        let sequence = event.get("sequence").and_then(Value::as_u64);
        if sequence <= last {
            return Err(PublishError {
                delivered: 0,
                reason: format!("an event without a sequence number above the one before it ({last:?})"),
            });
        }
        last = sequence;
    }
    Ok(())
}
