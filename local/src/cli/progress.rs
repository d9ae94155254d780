//! A run as it goes: one line on the terminal that says what it does.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use shared::{
    import::{
        Importer, RunError, RunOptions,
        report::{Outcome, Progress, RunReport},
    },
    ports::Clock,
};

use super::{Desk, output::size};

/// How often the line is drawn.
const DRAW: Duration = Duration::from_millis(120);
/// How long a command waits for another run on the same mailbox.
const PATIENT_FOR: Duration = Duration::from_secs(15);
/// How often it tries meanwhile.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// The lines of several runs, drawn only on a terminal.
#[derive(Clone)]
struct Lines(Option<MultiProgress>);

impl Lines {
    /// For this terminal, if it is one.
    fn new() -> Self {
        Self(io::stderr().is_terminal().then(MultiProgress::new))
    }

    fn line(&self, account: &str) -> Option<ProgressBar> {
        let line = self.0.as_ref()?.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg}") {
            line.set_style(style);
        }
        line.set_prefix(account.to_owned());
        Some(line)
    }
}

/// Starts runs and shows how they go. A clone is a second handle: runs that go on side by side use all cores.
#[derive(Clone)]
pub(crate) struct Watched {
    importer: Arc<Importer>,
    clock: Arc<dyn Clock>,
    patience: Duration,
    lines: Lines,
}

impl Watched {
    /// For the runs of one command.
    pub(crate) fn new(desk: &Desk) -> Self {
        Self {
            importer: Arc::clone(&desk.importer),
            clock: Arc::clone(&desk.opened.ports.clock),
            patience: desk.config.patience,
            lines: Lines::new(),
        }
    }

    /// Runs an account; waits a while if another run has the mailbox and `wait` is set.
    pub(crate) async fn run(&self, account: &str, trigger: &str, wait: bool) -> Result<RunReport, RunError> {
        let progress = Arc::<Progress>::default();
        let options = RunOptions {
            patience: self.patience,
            progress: Arc::clone(&progress),
            ..RunOptions::new(trigger)
        };
        let line = self.lines.line(account);
        let run = self.patient(account, &options, wait);
        let mut run = std::pin::pin!(run);
        let result = loop {
            tokio::select! {
                result = &mut run => break result,
                () = self.clock.sleep(DRAW), if line.is_some() => {
                    if let Some(line) = &line {
                        line.set_message(text(&progress));
                        line.tick();
                    }
                }
            }
        };
        if let Some(line) = line {
            line.finish_and_clear();
        }
        result
    }

    async fn patient(&self, account: &str, options: &RunOptions, wait: bool) -> Result<RunReport, RunError> {
        let until = shared::time::plus(self.clock.now(), PATIENT_FOR);
        loop {
            let report = self.importer.run(account, options).await?;
            if report.outcome != Outcome::Busy || !wait || self.clock.now() >= until {
                return Ok(report);
            }
            self.clock.sleep(TRY_AGAIN).await;
        }
    }
}

fn text(progress: &Progress) -> String {
    let read = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    format!(
        "{}; {} imported, {} known, {} waiting, {}",
        progress.phase(),
        read(&progress.imported),
        read(&progress.known),
        read(&progress.queued),
        size(read(&progress.bytes))
    )
}
