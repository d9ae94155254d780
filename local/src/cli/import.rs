//! `postroom import`: one account, or all enabled ones side by side.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use shared::{error::exit, import::report::RunReport, records::json as to_json};

use tokio_util::task::AbortOnDropHandle;

use super::{
    Desk, arguments::ImportArguments, failure::Failure, output::Answer, progress::Watched, report::report_text,
};

/// What these runs say of how they came about.
const TRIGGER: &str = "command line";
/// How many mailboxes are imported at once.
const SIDE_BY_SIDE: usize = 16;

pub(super) async fn run(desk: &Desk, typed: &ImportArguments) -> Result<Answer, Failure> {
    match &typed.id {
        Some(id) => {
            let report = Watched::new(desk).run(id, TRIGGER, !typed.no_wait).await?;
            let answer = Answer::new(report_json(&report), report_text(&desk.output, &report));
            Ok(answer.exit(report.exit_code()))
        }
        None => all(desk, !typed.no_wait).await,
    }
}

/// A report for scripts, with the exit code it stands for.
fn report_json(report: &RunReport) -> Value {
    let mut value = to_json(report);
    if let Value::Object(fields) = &mut value {
        fields.insert("exit_code".into(), report.exit_code().into());
    }
    value
}

async fn all(desk: &Desk, wait: bool) -> Result<Answer, Failure> {
    let rows = desk.accounts.all().await?;
    let ids: Vec<String> = rows
        .iter()
        .filter(|row| row.account.enabled)
        .map(|row| row.account.id.to_string())
        .collect();
    if ids.is_empty() {
        let text = "No enabled accounts. `postroom account list` shows all.";
        return Ok(Answer::new(json!([]), text));
    }
    let watched = Watched::new(desk);
    let mut results: Vec<(usize, String, Result<RunReport, Failure>)> = stream::iter(ids.into_iter().enumerate())
        .map(|(at, id)| {
            let watched = watched.clone();
            async move {
                let run = {
                    let id = id.clone();
                    async move { watched.run(&id, TRIGGER, wait).await }
                };
                let result = match AbortOnDropHandle::new(tokio::spawn(run)).await {
                    Ok(result) => result.map_err(Failure::from),
                    Err(error) => Err(Failure::new("failed", format!("the run failed: {error}"), exit::FAILED)),
                };
                (at, id, result)
            }
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    results.sort_by_key(|(at, ..)| *at);
    let mut reports = Vec::new();
    let mut text = String::new();
    let mut worst = exit::OK;
    for (_, id, result) in results {
        match result {
            Ok(report) => {
                worst = worse(worst, report.exit_code());
                text.push_str(&report_text(&desk.output, &report));
                reports.push(report_json(&report));
            }
            // One mailbox never holds another: its failure is one line of many.
            Err(failure) => {
                worst = worse(worst, failure.exit);
                desk.output
                    .complain("error", &format!("account `{id}`: {}", failure.what));
                let mut value = failure.json();
                if let Value::Object(fields) = &mut value {
                    fields.insert("account".into(), id.into());
                    fields.insert("exit_code".into(), failure.exit.into());
                }
                reports.push(value);
            }
        }
    }
    Ok(Answer::new(Value::Array(reports), text).exit(worst))
}

/// The worse of two exit codes: what needs an operator before what needs an admin before what heals by itself.
fn worse(one: u8, other: u8) -> u8 {
    let rank = |code| match code {
        exit::OK => 0,
        exit::OWED => 1,
        exit::UNAVAILABLE => 2,
        exit::ADMIN => 3,
        exit::OPERATOR => 5,
        _ => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_wins() {
        for (codes, expected) in [
            (&[exit::OK, exit::OWED, exit::OK][..], exit::OWED),
            (&[exit::OPERATOR, exit::ADMIN], exit::OPERATOR),
            (&[exit::OWED, exit::UNAVAILABLE], exit::UNAVAILABLE),
            (&[], exit::OK),
        ] {
            assert_eq!(codes.iter().fold(exit::OK, |worst, code| worse(worst, *code)), expected);
        }
    }
}
