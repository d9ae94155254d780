//! The report of a run in plain words.

use shared::{
    import::report::{Outcome, RunReport},
    time::between,
};

use super::output::{Output, clean, count, size};

/// The report for people; the last line says what to do, if anything.
pub(crate) fn report_text(output: &Output, report: &RunReport) -> String {
    let seconds = between(report.started_at, report.ended_at).as_secs_f64();
    let head = match report.outcome {
        Outcome::Done => output.good("done"),
        Outcome::Incomplete => output.bold("not complete"),
        Outcome::Busy => {
            return format!(
                "Account `{}`: another run is at work on this mailbox; nothing was done.\n",
                report.account
            );
        }
        Outcome::Waiting => output.bold("stopped, goes on by itself"),
        Outcome::Failed => output.bad("failed"),
    };
    let mut text = format!("Account `{}`: {head} in {seconds:.1} s\n", report.account);
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12} {value}\n"));
    line("imported", count(report.imported, "message"));
    for (name, number, what) in [
        ("known", report.known, "on record already"),
        ("filtered", report.filtered, "kept out by a rule"),
        ("before", report.before_start, "from before the start"),
        ("quarantined", report.quarantined, "set aside; see `postroom owed`"),
        ("gone", report.gone, "left the mailbox before"),
        ("owed", report.owed, "seen, not imported yet; see `postroom owed`"),
    ] {
        if number > 0 {
            line(name, format!("{} {what}", count(number, "message")));
        }
    }
    line(
        "received",
        format!(
            "{} in {}, {}",
            size(report.bytes),
            count(report.requests_total, "request"),
            count(report.pages, "page")
        ),
    );
    line("delivered", count(report.delivered, "event"));
    if report.undelivered > 0 {
        line("undelivered", count(report.undelivered, "event"));
    }
    if report.acted > 0 || report.actions_pending > 0 {
        line(
            "acted on",
            format!(
                "{}, {} still wanted",
                count(report.acted, "message"),
                report.actions_pending
            ),
        );
    }
    if report.throttled > 0 {
        line(
            "throttled",
            format!("{} times, {:.1} s waited", report.throttled, waited(report.waited_ms)),
        );
    }
    if report.more {
        line("more", "yes: the next run goes on".into());
    }
    if let Some(at) = report.goes_on_at {
        line("goes on", format!("not before {}", output.exact_time(at)));
    }
    for problem in &report.problems {
        let folder = problem
            .folder
            .as_ref()
            .map(|folder| format!("{folder}: "))
            .unwrap_or_default();
        let id = problem
            .request_id
            .as_ref()
            .map(|id| format!(" [request-id {id}]"))
            .unwrap_or_default();
        line("problem", clean(&format!("{folder}{}{id}", problem.what)));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "for people; one digit after the point")]
fn waited(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1e3
}
