//! What one run of a client cost, and the table of all.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use simulator::Simulator;
use tests::binary::sha256;

/// Requests one app may have in flight at one mailbox (Microsoft Graph throttling limits, Outlook).
const IN_FLIGHT: f64 = 4.0;
/// Messages on a page, for the bound only: the largest page that was seen to be given.
const PAGE: u32 = 200;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) scene: String,
    pub(crate) client: String,
    pub(crate) messages: u32,
    pub(crate) wall_seconds: f64,
    /// Wall over the least that limits and latency allow; `None` without latency.
    pub(crate) wall_over_bound: Option<f64>,
    pub(crate) messages_per_second: f64,
    pub(crate) requests_per_message: f64,
    pub(crate) cpu_ms_per_message: f64,
    pub(crate) peak_mb: f64,
    pub(crate) answers_429: u64,
    pub(crate) note: String,
}

/// A measurement that has begun.
pub(crate) struct Watch<'a> {
    simulator: &'a Simulator,
    requests: u64,
    throttled: u64,
    cpu: Duration,
    began: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn start(simulator: &'a Simulator) -> Self {
        let (requests, throttled) = counts(simulator);
        Self {
            simulator,
            requests,
            throttled,
            cpu: cpu_of_children(),
            began: Instant::now(),
        }
    }

    /// The client has ended and was waited for. `latency` is that of one request, network and service together.
    pub(crate) fn stop(self, scene: &str, client: &str, messages: u32, latency: Duration, peak_kib: u64) -> Row {
        let wall = self.began.elapsed().as_secs_f64();
        let (requests, throttled) = counts(self.simulator);
        let cpu = cpu_of_children().saturating_sub(self.cpu);
        let count = f64::from(messages.max(1));
        // Bytes and a mark for every message, and the pages that name them.
        let least = 2.0 * count + f64::from(messages.div_ceil(PAGE));
        let bound = least * latency.as_secs_f64() / IN_FLIGHT;
        Row {
            scene: scene.to_owned(),
            client: client.to_owned(),
            messages,
            wall_seconds: wall,
            wall_over_bound: (bound > 0.0).then(|| wall / bound),
            messages_per_second: count / wall,
            requests_per_message: float(requests - self.requests) / count,
            cpu_ms_per_message: cpu.as_secs_f64() * 1000.0 / count,
            peak_mb: float(peak_kib) / 1024.0,
            answers_429: throttled - self.throttled,
            note: String::new(),
        }
    }
}

fn counts(simulator: &Simulator) -> (u64, u64) {
    let stats = simulator.stats();
    let throttled = stats.mailboxes.values().map(|mailbox| mailbox.throttled).sum();
    (stats.total, throttled)
}

pub(crate) fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// CPU time of the child processes that were waited for (`cutime` and `cstime`, proc(5); in hundredths of a second).
pub(crate) fn cpu_of_children() -> Duration {
    ticks("/proc/self/stat", 13)
}

/// CPU time of a living process (`utime` and `stime`).
pub(crate) fn cpu_of(pid: u32) -> Duration {
    ticks(&format!("/proc/{pid}/stat"), 11)
}

fn ticks(path: &str, field: usize) -> Duration {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    // The name of the program stands in parentheses and may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_ascii_whitespace().skip(field).take(2);
    let ticks: u64 = ticks.filter_map(|number| number.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// What the bytes alone cost this machine: every file of this archive, which is in memory by now, hashed with SHA-256 and
/// written once more, without waiting for the disk. Nobody who keeps them can need less. Milliseconds of CPU per message.
pub(crate) fn bytes_alone(archive: &Path, messages: u32) -> f64 {
    let files = bytes_below(archive);
    let again = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let before = cpu_of(std::process::id());
    for (at, bytes) in files.iter().enumerate() {
        std::hint::black_box(sha256(bytes));
        std::fs::write(again.path().join(at.to_string()), bytes).unwrap_or_else(|error| panic!("{error}"));
    }
    let cpu = cpu_of(std::process::id()).saturating_sub(before);
    cpu.as_secs_f64() * 1000.0 / f64::from(messages.max(1))
}

fn bytes_below(directory: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                files.push(std::fs::read(entry.path()).unwrap_or_else(|error| panic!("{error}")));
            }
        }
    }
    files
}

impl Row {
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// All rows, as Markdown.
    pub(crate) fn table(rows: &[Self]) -> String {
        use std::fmt::Write as _;
        let mut table = String::from(
            "| scene | client | wall s | x bound | messages/s | requests/message | CPU ms/message | peak MB | 429 | |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|---|\n",
        );
        for row in rows {
            let bound = row
                .wall_over_bound
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let _ = writeln!(
                table,
                "| {} | {} | {:.2} | {bound} | {:.1} | {:.3} | {:.2} | {:.1} | {} | {} |",
                row.scene,
                row.client,
                row.wall_seconds,
                row.messages_per_second,
                row.requests_per_message,
                row.cpu_ms_per_message,
                row.peak_mb,
                row.answers_429,
                row.note,
            );
        }
        table
    }
}
