//! Sending what the outbox holds: in the order of the numbers, at least once, one batch at a time.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    message::Event,
    ports::Ports,
    records::{RecordError, events::Events},
};

/// Events of one batch at most.
const BATCH: usize = 100;
/// Events kept in memory for sending; more are read from the store when their turn comes.
const KEPT: usize = 300;

/// What is to be sent, and how far it is sent.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The number of the last event known to be delivered.
    pub(super) sent: u64,
    /// The number of the last event recorded.
    pub(super) recorded: u64,
    waiting: VecDeque<(u64, Event)>,
    /// Why sending stopped for this run.
    pub(super) problem: Option<String>,
}

/// What sending one batch came to.
pub(super) struct Sent {
    /// Events delivered.
    pub(super) delivered: u64,
    /// Why not all.
    pub(super) problem: Option<String>,
}

impl Outbox {
    pub(super) fn new(sent: u64, recorded: u64) -> Self {
        Self {
            sent,
            recorded,
            waiting: VecDeque::new(),
            problem: None,
        }
    }

    /// An event was recorded.
    pub(super) fn add(&mut self, sequence: u64, event: Event) {
        self.recorded = self.recorded.max(sequence);
        let follows = self
            .waiting
            .back()
            .map_or(sequence == self.sent + 1, |(last, _)| sequence == last + 1);
        if follows && self.waiting.len() < KEPT {
            self.waiting.push_back((sequence, event));
        }
    }

    /// Whether there is something to send.
    pub(super) fn owes(&self) -> bool {
        self.sent < self.recorded && self.problem.is_none()
    }

    /// The next batch, as far as it is in memory.
    pub(super) fn next(&self) -> (u64, Vec<Event>) {
        let events = self
            .waiting
            .iter()
            .take(BATCH)
            .map(|(_, event)| event.clone())
            .collect();
        (self.sent + 1, events)
    }

    /// What came of the batch.
    pub(super) fn done(&mut self, sent: Sent) {
        self.sent += sent.delivered;
        self.problem = sent.problem;
        while self.waiting.front().is_some_and(|(sequence, _)| *sequence <= self.sent) {
            self.waiting.pop_front();
        }
    }
}

/// Sends the events from `first` on: those given, or those in the store if none are.
pub(super) async fn send(ports: Ports, account: String, first: u64, events: Vec<Event>) -> Result<Sent, RecordError> {
    let events = if events.is_empty() {
        Events::new(Arc::clone(&ports.store))
            .from(&account, first, BATCH)
            .await?
    } else {
        events
    };
    if events.is_empty() {
        return Ok(Sent {
            delivered: 0,
            problem: Some(format!("event {first} of account {account} is not in the store")),
        });
    }
    match ports.publisher.publish(&account, &events).await {
        Ok(()) => Ok(Sent {
            delivered: events.len() as u64,
            problem: None,
        }),
        Err(error) => Ok(Sent {
            delivered: error.delivered as u64,
            problem: Some(error.to_string()),
        }),
    }
}
