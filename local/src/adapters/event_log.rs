//! The event log: one file of JSON lines per account, in which every event stands once and in order.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde_json::Value;
use shared::ports::{PublishError, Publisher};

use super::private_file;

/// How much is read at once while looking for the last line from the end.
const STEP: u64 = 64 * 1024;
/// How much a tail hands over at once.
const TAIL_BYTES: usize = 1024 * 1024;

/// Events in files `{account}.jsonl` of one directory.
#[derive(Debug, Clone)]
pub struct EventLog {
    directory: PathBuf,
}

impl EventLog {
    /// A log in this directory, which exists.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// A reader of this account's events from the first on.
    pub fn tail(&self, account: &str) -> Option<EventTail> {
        safe(account).then(|| EventTail {
            path: self.path(account),
            offset: 0,
        })
    }

    /// The accounts that have events, in order.
    pub fn accounts(&self) -> io::Result<Vec<String>> {
        let mut accounts = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            accounts.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".jsonl"))
                    .filter(|account| safe(account))
                    .map(str::to_owned),
            );
        }
        accounts.sort();
        Ok(accounts)
    }

    fn path(&self, account: &str) -> PathBuf {
        self.directory.join(format!("{account}.jsonl"))
    }
}

/// Account ids become file names.
fn safe(account: &str) -> bool {
    !account.is_empty()
        && account.len() <= 64
        && account
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[async_trait]
impl Publisher for EventLog {
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError> {
        let refused = |reason: String| PublishError { delivered: 0, reason };
        if !safe(account) {
            return Err(refused(format!(
                "{account:?} is no account id: 1 to 64 characters of a-z, 0-9 and -"
            )));
        }
        let lines = lines(events).map_err(refused)?;
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.path(account);
        let shown = path.display().to_string();
        let appended = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
        match appended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refused(format!(
                "{shown}: {error}; nothing of the batch was written, it is sent again"
            ))),
            Err(error) => Err(refused(format!("{shown}: the thread failed: {error}"))),
        }
    }
}

/// Each event as a line with its sequence number, which must rise.
fn lines(events: &[Value]) -> Result<Vec<(u64, String)>, String> {
    let mut lines = Vec::<(u64, String)>::with_capacity(events.len());
    for event in events {
        let sequence = sequence(event).ok_or("an event without a sequence number")?;
        if lines.last().is_some_and(|(last, _)| sequence <= *last) {
            return Err(format!("the event with sequence number {sequence} is out of order"));
        }
        lines.push((sequence, format!("{event}\n")));
    }
    Ok(lines)
}

fn sequence(event: &Value) -> Option<u64> {
    event.get("sequence").and_then(Value::as_u64)
}

/// Appends what is not there yet, durably, or nothing.
fn append(path: &Path, lines: &[(u64, String)]) -> io::Result<()> {
    let fresh_file = !path.exists();
    let mut file = private_file::open_or_create(path)?;
    // Another process may run the same account after us; leases keep them apart, this lock keeps the lines whole.
    file.lock()?;
    let (end, last) = last_event(&mut file)?;
    let length = file.metadata()?.len();
    let batch: String = lines
        .iter()
        .filter(|(sequence, _)| last.is_none_or(|last| *sequence > last))
        .map(|(_, line)| line.as_str())
        .collect();
    if length > end {
        // What a death in the middle of a batch left; it was never acknowledged.
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end))?;
    let written = file.write_all(batch.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Best effort: should this fail too, the next append drops the torn line and knows what stands.
        let _ = file.set_len(end).and_then(|()| file.sync_all());
        return Err(error);
    }
    if fresh_file {
        private_file::sync_parent(path)
    } else {
        Ok(())
    }
}

/// Where the last whole event ends, and its sequence number. Lines after it that are no events (a torn line, or blocks
/// that a power cut left without content) were never acknowledged. A file with lines and no event among them is refused.
fn last_event(file: &mut File) -> io::Result<(u64, Option<u64>)> {
    let length = file.metadata()?.len();
    let mut start = length;
    let mut text = Vec::new();
    while start > 0 {
        let step = STEP.min(start);
        start -= step;
        let mut earlier = vec![0; usize::try_from(step).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut earlier)?;
        earlier.extend_from_slice(&text);
        text = earlier;
        // A line is whole if its beginning was seen: after a line feed, or at the beginning of the file.
        let mut end = text.len();
        while let Some(line_end) = text[..end].iter().rposition(|byte| *byte == b'\n') {
            let line_start = text[..line_end]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map(|at| at + 1);
            let Some(line_start) = line_start.or((start == 0).then_some(0)) else {
                break;
            };
            if let Some(sequence) = serde_json::from_slice(&text[line_start..line_end])
                .ok()
                .as_ref()
                .and_then(sequence)
            {
                return Ok((start + line_end as u64 + 1, Some(sequence)));
            }
            end = line_start;
        }
    }
    if text.contains(&b'\n') && text.iter().any(|byte| *byte != 0 && *byte != b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file holds lines but no event: restore it, or move it away",
        ));
    }
    Ok((0, None))
}

/// Reads an account's events as they come, by looking again.
#[derive(Debug, Clone)]
pub struct EventTail {
    path: PathBuf,
    offset: u64,
}

impl EventTail {
    /// The events that were added since the last call (at most about 1 MB of them); none if there are none yet.
    /// Blocks for the time of a file read.
    pub fn poll(&mut self) -> io::Result<Vec<Value>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = Vec::new();
        let mut end = None;
        // A line longer than one portion is read on until it is whole.
        while end.is_none() && (&file).take(TAIL_BYTES as u64).read_to_end(&mut text)? > 0 {
            end = text.iter().rposition(|byte| *byte == b'\n');
        }
        let Some(end) = end else {
            return Ok(Vec::new());
        };
        self.offset += end as u64 + 1;
        text.truncate(end);
        let lines = text.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}
