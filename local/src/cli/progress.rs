//! A run as it goes: one line on the terminal that says what it does.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use shared::import::{
    RunError, RunOptions,
    report::{Outcome, Progress, RunReport},
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
pub(crate) struct Lines(Option<MultiProgress>);

impl Lines {
    /// For this terminal, if it is one.
    pub(crate) fn new() -> Self {
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

/// Runs an account and shows how it goes; waits a while if another run has the mailbox and `wait` is set.
pub(crate) async fn watched(
    desk: &Desk,
    account: &str,
    trigger: &str,
    lines: &Lines,
    wait: bool,
) -> Result<RunReport, RunError> {
    let progress = Arc::<Progress>::default();
    let options = RunOptions {
        patience: desk.config.patience,
        progress: Arc::clone(&progress),
        ..RunOptions::new(trigger)
    };
    let line = lines.line(account);
    let run = patient(desk, account, &options, wait);
    let mut run = std::pin::pin!(run);
    let result = loop {
        tokio::select! {
            result = &mut run => break result,
            () = desk.opened.ports.clock.sleep(DRAW), if line.is_some() => {
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

async fn patient(desk: &Desk, account: &str, options: &RunOptions, wait: bool) -> Result<RunReport, RunError> {
    let clock = &desk.opened.ports.clock;
    let until = shared::time::plus(clock.now(), PATIENT_FOR);
    loop {
        let report = desk.importer.run(account, options).await?;
        if report.outcome != Outcome::Busy || !wait || clock.now() >= until {
            return Ok(report);
        }
        clock.sleep(TRY_AGAIN).await;
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
