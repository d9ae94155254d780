//! The end of a run: the last commit, which lets the lease go and keeps the report.

use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    error::{AccountState, Next},
    graph::{Counts, Governor, LONGEST_HOLD},
    records::{accounts::AccountRow, json, runs::Runs},
};

use super::{
    commit::{Batch, Committer},
    report::{LastRun, Outcome, Problem, RunReport},
    run::{Importer, Stop},
    work::Tally,
};

/// What a run leaves for its end.
pub(super) struct End {
    pub(super) report: RunReport,
    pub(super) committer: Option<Committer>,
    pub(super) tally: Tally,
    pub(super) batch: Batch,
    pub(super) stop: Option<Stop>,
    /// Every folder was read to its end.
    pub(super) complete: bool,
    pub(super) undelivered: u64,
}

impl Importer {
    /// The last commit: the lease goes, the report stays.
    pub(super) async fn end(&self, end: End, row: &AccountRow, governor: &Governor, counts: &Counts) -> RunReport {
        let End {
            mut report,
            committer,
            tally,
            mut batch,
            stop,
            complete,
            undelivered,
        } = end;
        let now = self.ports.clock.now();
        fill(&mut report, &tally, row, counts, now);
        report.undelivered = undelivered;
        if let Some(stop) = &stop {
            let meaning = stop.next.meaning();
            report.problems.extend(stop.problem.clone());
            report.more = true;
            report.state = meaning.account;
            report.error_type = Some(meaning.error_type.to_owned());
            report.outcome = match (&stop.next, &stop.problem) {
                (Next::Retry { .. }, None) => Outcome::Incomplete,
                (Next::Retry { .. }, Some(_)) => Outcome::Waiting,
                _ => Outcome::Failed,
            };
            if let Next::Retry { after: Some(after) } = stop.next {
                // Ten to the ninth seconds were seen, from the token endpoint, too: nobody pauses for thirty years.
                let until = crate::time::plus(now, after.min(LONGEST_HOLD));
                report.goes_on_at = Some(until);
                batch.set.insert("paused_until".into(), json(&until));
            }
        } else if report.owed > 0 || report.more || undelivered > 0 || !report.problems.is_empty() {
            report.outcome = Outcome::Incomplete;
            if report.state == AccountState::Healthy {
                report.state = AccountState::Waiting;
            }
        }
        if row.paused_until.is_some() && report.goes_on_at.is_none() {
            batch.set.insert("paused_until".into(), serde_json::Value::Null);
        }
        if complete {
            batch.set.insert("last_success".into(), json(&now));
        }
        batch.set.insert("more".into(), (report.more || undelivered > 0).into());
        let last = LastRun {
            run: report.run.clone(),
            at: now,
            outcome: report.outcome,
            state: report.state,
            problem: report.problems.first().map(|problem| problem.what.clone()),
        };
        batch.set.insert("last_run".into(), json(&last));
        if report.is_idle() {
            batch.count("idle_runs", 1);
        } else {
            batch.writes.push(Runs::write(&report));
        }
        if let (Some(mut committer), false) = (committer, stop.as_ref().is_some_and(|stop| stop.silent))
            && let Err(error) = committer.commit(batch, &governor.spent(), true).await
        {
            warn!(%error, "the end of the run could not be recorded");
            report.problems.push(Problem {
                folder: None,
                what: format!("the end of the run could not be recorded: {error}"),
                request_id: None,
            });
            if report.outcome == Outcome::Done {
                report.outcome = Outcome::Incomplete;
            }
        }
        info!(outcome = ?report.outcome, imported = report.imported, known = report.known, owed = report.owed, requests = report.requests_total, "run ended");
        report
    }
}

fn fill(report: &mut RunReport, tally: &Tally, row: &AccountRow, counts: &Counts, now: Timestamp) {
    use std::sync::atomic::Ordering::Relaxed;
    let unsigned = |value: i64| u64::try_from(value).unwrap_or_default();
    report.ended_at = now;
    report.imported = tally.imported;
    report.oldest = tally.oldest;
    report.known = tally.known;
    report.filtered = tally.filtered;
    report.before_start = tally.before_start;
    report.quarantined = tally.quarantined;
    report.gone = tally.gone;
    report.pages = tally.pages;
    report.acted = tally.acted;
    report.delivered = tally.delivered;
    report.owed = unsigned(row.owed + tally.owed_change);
    report.set_aside = unsigned(row.quarantined + tally.quarantined_change);
    report.actions_pending = unsigned(row.actions + tally.actions_change);
    report.requests = counts.requests();
    report.requests_total = report.requests.total();
    report.throttled = counts.throttled.load(Relaxed);
    report.waited_ms = counts.waited.load(Relaxed);
    report.bytes = counts.bytes.load(Relaxed);
}
