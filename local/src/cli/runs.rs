//! `postroom runs`: what runs did; those that found nothing are only counted.

use serde_json::Value;
use shared::import::report::{Outcome, RunReport};

use super::{Desk, arguments::ListArguments, failure::Failure, output::Answer, table::Table};

pub(super) async fn run(desk: &Desk, typed: &ListArguments) -> Result<Answer, Failure> {
    let mut all: Vec<RunReport> = Vec::new();
    let mut idle = 0;
    for row in desk.accounts_of(typed.account.as_deref()).await? {
        idle += row.idle_runs;
        let mut after = None;
        let mut taken = 0;
        loop {
            let shelf = desk
                .runs
                .page(row.account.id.as_str(), typed.limit - taken, after)
                .await?;
            taken += shelf.records.len();
            all.extend(shelf.records);
            after = shelf.next;
            if after.is_none() || taken >= typed.limit {
                break;
            }
        }
    }
    all.sort_by_key(|report| std::cmp::Reverse(report.started_at));
    all.truncate(typed.limit);
    let mut table = Table::new(
        &[
            "started", "account", "by", "outcome", "new", "owed", "requests", "problem",
        ],
        7,
    );
    for report in &all {
        table.row(&[
            desk.output.short_time(report.started_at, desk.now()),
            report.account.clone(),
            report.trigger.clone(),
            outcome(report.outcome).into(),
            report.imported.to_string(),
            report.owed.to_string(),
            report.requests_total.to_string(),
            report
                .problems
                .first()
                .map(|problem| problem.what.clone())
                .unwrap_or_default(),
        ]);
    }
    let text = if table.is_empty() {
        "No run did anything yet.".to_owned()
    } else {
        table.text()
    };
    let text = format!("{}\n{idle} runs found nothing to do.", text.trim_end());
    Ok(Answer::new(
        shared::records::json::<Vec<Value>>(&all.iter().map(shared::records::json).collect()),
        text,
    ))
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Incomplete => "incomplete",
        Outcome::Busy => "busy",
        Outcome::Waiting => "waiting",
        Outcome::Failed => "failed",
    }
}
