//! What one run of a client cost, and the table of all.

use std::ops::Sub;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use simulator::{MailboxStats, Simulator};
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
    /// How much of that the kernel used.
    pub(crate) kernel_ms_per_message: f64,
    /// CPU time of this process meanwhile: the simulator's, on the same machine.
    pub(crate) simulator_cpu_seconds: f64,
    pub(crate) peak_mb: f64,
    pub(crate) answers_429: u64,
    /// Of the time of all slots (four per mailbox), how much requests held them, until the last byte; in hundredths.
    pub(crate) slots_in_use: f64,
    /// How long one request held its slot at the mean, in milliseconds.
    pub(crate) held_ms: f64,
    pub(crate) note: String,
}

/// A measurement that has begun.
pub(crate) struct Watch<'a> {
    simulator: &'a Simulator,
    counts: Counts,
    cpu: Cpu,
    own: Cpu,
    began: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn start(simulator: &'a Simulator) -> Self {
        Self {
            simulator,
            counts: Counts::of(simulator),
            cpu: cpu_of_children(),
            own: cpu_of(std::process::id()),
            began: Instant::now(),
        }
    }

    /// The client has ended and was waited for. `latency` is that of one request, network and service together.
    pub(crate) fn stop(self, scene: &str, client: &str, messages: u32, latency: Duration, peak_kib: u64) -> Row {
        let wall = self.began.elapsed().as_secs_f64();
        let (before, now) = (self.counts, Counts::of(self.simulator));
        let (cpu, own) = (cpu_of_children() - self.cpu, cpu_of(std::process::id()) - self.own);
        let count = f64::from(messages.max(1));
        let held_ms = float(now.held_ms - before.held_ms);
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
            requests_per_message: float(now.requests - before.requests) / count,
            cpu_ms_per_message: cpu.all().as_secs_f64() * 1000.0 / count,
            kernel_ms_per_message: cpu.kernel.as_secs_f64() * 1000.0 / count,
            simulator_cpu_seconds: own.all().as_secs_f64(),
            peak_mb: float(peak_kib) / 1024.0,
            answers_429: now.throttled - before.throttled,
            slots_in_use: 100.0 * held_ms / (1000.0 * wall * IN_FLIGHT * float(now.mailboxes)),
            held_ms: held_ms / float((now.of_mailboxes - before.of_mailboxes).max(1)),
            note: String::new(),
        }
    }
}

/// What the simulator counted so far.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// Of all kinds, those for tokens among them.
    requests: u64,
    of_mailboxes: u64,
    throttled: u64,
    held_ms: u64,
    mailboxes: u64,
}

impl Counts {
    fn of(simulator: &Simulator) -> Self {
        let stats = simulator.stats();
        let sum = |of: fn(&MailboxStats) -> u64| stats.mailboxes.values().map(of).sum();
        Self {
            requests: stats.total,
            of_mailboxes: sum(|mailbox| mailbox.requests),
            throttled: sum(|mailbox| mailbox.throttled),
            held_ms: sum(|mailbox| mailbox.held_ms),
            mailboxes: sum(|_| 1),
        }
    }
}

pub(crate) fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// CPU time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    user: Duration,
    kernel: Duration,
}

impl Cpu {
    pub(crate) fn all(self) -> Duration {
        self.user + self.kernel
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            kernel: self.kernel.saturating_sub(before.kernel),
        }
    }
}

/// CPU time of the child processes that were waited for (`cutime` and `cstime`, proc(5); in hundredths of a second).
fn cpu_of_children() -> Cpu {
    ticks("/proc/self/stat", 13)
}

/// CPU time of a living process (`utime` and `stime`).
pub(crate) fn cpu_of(pid: u32) -> Cpu {
    ticks(&format!("/proc/{pid}/stat"), 11)
}

fn ticks(path: &str, field: usize) -> Cpu {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    // The name of the program stands in parentheses and may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = fields.split_ascii_whitespace().skip(field);
    let mut next = || {
        let ticks = fields.next().and_then(|number| number.parse::<u64>().ok());
        Duration::from_millis(10 * ticks.unwrap_or_default())
    };
    Cpu {
        user: next(),
        kernel: next(),
    }
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
    let cpu = (cpu_of(std::process::id()) - before).all();
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
            "| scene | client | wall s | x bound | messages/s | slots in use | held ms/request | requests/message | CPU ms/message | of it kernel | peak MB | 429 | |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n",
        );
        for row in rows {
            let bound = row
                .wall_over_bound
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let _ = writeln!(
                table,
                "| {} | {} | {:.2} | {bound} | {:.1} | {:.0} % | {:.1} | {:.3} | {:.2} | {:.2} | {:.1} | {} | {} |",
                row.scene,
                row.client,
                row.wall_seconds,
                row.messages_per_second,
                row.slots_in_use,
                row.held_ms,
                row.requests_per_message,
                row.cpu_ms_per_message,
                row.kernel_ms_per_message,
                row.peak_mb,
                row.answers_429,
                row.note,
            );
        }
        table
    }
}
