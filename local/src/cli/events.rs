//! `postroom events`: the events of the outbox, and the event log as it grows.

use std::{collections::BTreeMap, io, time::Duration};

use serde_json::Value;

use super::{
    Desk,
    arguments::EventsArguments,
    failure::Failure,
    output::{Answer, clean, write},
    table::Table,
};
use crate::adapters::EventTail;

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(300);

pub(super) async fn run(desk: &Desk, typed: &EventsArguments) -> Result<Answer, Failure> {
    if let Some(account) = &typed.account {
        desk.accounts.get(account).await?;
    }
    if typed.follow {
        let stop = async {
            // If the signal cannot be listened to, the default (the process ends) does the same.
            let _ = tokio::signal::ctrl_c().await;
        };
        tokio::select! {
            result = follow(desk, typed.account.as_deref(), print_line) => result?,
            () = stop => {}
        }
        return Ok(Answer::new(Value::Null, "").quiet());
    }
    list(desk, typed).await
}

/// The time of an event, for sorting over accounts.
fn at(event: &Value) -> &str {
    event.get("recorded_at").and_then(Value::as_str).unwrap_or_default()
}

async fn list(desk: &Desk, typed: &EventsArguments) -> Result<Answer, Failure> {
    let mut all: Vec<(bool, Value)> = Vec::new();
    for row in desk.accounts_of(typed.account.as_deref()).await? {
        let mut after = None;
        let mut taken = 0;
        loop {
            let shelf = desk
                .events
                .page(row.account.id.as_str(), true, typed.limit - taken, after)
                .await?;
            taken += shelf.records.len();
            all.extend(
                shelf
                    .records
                    .into_iter()
                    .map(|event| (sequence(&event) <= row.sent_sequence, event)),
            );
            after = shelf.next;
            if after.is_none() || taken >= typed.limit {
                break;
            }
        }
    }
    all.sort_by(|(_, one), (_, other)| at(other).cmp(at(one)).then(sequence(other).cmp(&sequence(one))));
    all.truncate(typed.limit);
    all.reverse();
    let mut table = Table::new(&["number", "account", "type", "sent", "subject"], 4);
    for (sent, event) in &all {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let subject = event.pointer("/summary/subject").and_then(Value::as_str).unwrap_or("-");
        table.row(&[
            sequence(event).to_string(),
            text("account"),
            text("type"),
            if *sent { "yes" } else { "not yet" }.into(),
            clean(subject),
        ]);
    }
    let text = if table.is_empty() {
        "No events yet.".to_owned()
    } else {
        table.text()
    };
    let value = all.into_iter().map(|(_, event)| event).collect();
    Ok(Answer::new(value, text))
}

fn sequence(event: &Value) -> u64 {
    event.get("sequence").and_then(Value::as_u64).unwrap_or_default()
}

fn print_line(event: &Value) -> io::Result<()> {
    write(&format!("{event}\n"))
}

/// Hands over each event as it is delivered, those delivered before first; ends when the reader went away.
pub(crate) async fn follow(
    desk: &Desk,
    account: Option<&str>,
    take: impl Fn(&Value) -> io::Result<()>,
) -> Result<(), Failure> {
    let log = &desk.opened.events;
    let mut tails: BTreeMap<String, EventTail> = BTreeMap::new();
    loop {
        let known = match account {
            Some(account) => vec![account.to_owned()],
            None => log.accounts().map_err(|error| unreadable(&error))?,
        };
        for account in known {
            if let Some(tail) = log.tail(&account) {
                tails.entry(account).or_insert(tail);
            }
        }
        let mut quiet = true;
        for tail in tails.values_mut() {
            for event in tail.poll().map_err(|error| unreadable(&error))? {
                quiet = false;
                match take(&event) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => {
                        return Err(Failure::operator(format!("standard output cannot be written: {error}")));
                    }
                }
            }
        }
        if quiet {
            desk.opened.ports.clock.sleep(LOOK).await;
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::operator(format!("the event log cannot be read: {error}"))
}
