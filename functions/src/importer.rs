//! The importer: runs one account once, or frees its archive of what no record names; and tries what an admin asks, since it
//! is the one that may read access tokens and call Graph.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    archive::Archive,
    error::Next,
    import::{
        Importer, RunError, RunOptions,
        check::Step,
        checks::{CheckError, Checks as _, InProcess},
        reconcile::orphans,
        redirect,
        report::{Outcome, RunReport},
    },
    origin::SafeUrl,
    ports::Ports,
    records::{RecordError, accounts::Accounts, warnings},
    time::{between, minus},
};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::{
    adapters::{self, Try},
    failure::Failure,
    metrics::{self, Metric},
    sandbox::Sandbox,
    serve::{Function, Invocation},
};

/// A run saves and ends this long before Lambda would end it: time for what is in flight, the last commit, the events.
const MARGIN: Duration = Duration::from_secs(20);
/// A function with little time gives at most this share of it away.
const SHARE: u32 = 3;
/// A credential as read serves the runs of a warm sandbox for this long, as long as they go well.
const REMEMBER: Duration = Duration::from_mins(10);
/// The console waits for a check, and an HTTP API for the console: 29 s.
const CHECK: Duration = Duration::from_secs(24);
/// A longer wait that Microsoft asks for within a check is told, not taken.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// The trigger that asks for reconciliation instead of a run.
pub const RECONCILE: &str = "reconcile";

/// What the importer is sent, by Scheduler and by `watch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    account: String,
    trigger: String,
}

/// The function.
pub struct ImporterFunction {
    ports: Ports,
    importer: Arc<Importer>,
    checks: InProcess,
    archive: Archive,
    accounts: Accounts,
    stack: String,
    patience: Duration,
}

/// Sets it up. What a first run needs is warmed: the connection to the table.
pub async fn start(sandbox: Sandbox) -> Result<ImporterFunction, Failure> {
    let settings = &sandbox.settings;
    let bucket = settings.required("POSTROOM_BUCKET")?;
    let archive = adapters::archive(&sandbox.client, &settings.account, &bucket)?;
    let ports = Ports {
        vault: sandbox.vault(false)?,
        publisher: sandbox.publisher()?,
        http: sandbox.http(),
        ..sandbox.ports()
    };
    let accounts = Accounts::new(Arc::clone(&ports.store));
    crate::warm::table(&*ports.store).await;
    let importer = Importer::new(ports.clone(), sandbox.tokens()?, archive.clone()).remembering(REMEMBER);
    let importer = Arc::new(importer);
    Ok(ImporterFunction {
        checks: InProcess::new(Arc::clone(&importer), CHECK_PATIENCE).over(sandbox.wire()),
        importer,
        patience: settings.shared.patience,
        stack: sandbox.stack.clone(),
        archive,
        accounts,
        ports,
    })
}

#[async_trait]
impl Function for ImporterFunction {
    async fn handle(&self, event: Value, invocation: &Invocation) -> Result<Value, Failure> {
        if event.get("ask").is_some() {
            let ask = serde_json::from_value(event).map_err(Failure::malformed)?;
            return self.answer(ask, invocation).await;
        }
        let event: Event = serde_json::from_value(event).map_err(Failure::malformed)?;
        if event.trigger == RECONCILE {
            return self.reconcile(&event.account).await;
        }
        let now = self.ports.clock.now();
        let options = RunOptions {
            deadline: Some(deadline(now, invocation.deadline)),
            patience: self.patience,
            ..RunOptions::new(&event.trigger)
        };
        match self.importer.run(&event.account, &options).await {
            Ok(report) => self.told(&report),
            Err(RunError::Record(RecordError::Missing { .. })) => {
                // A schedule that fires once more after its account was removed: nothing is wrong, `watch` removes it.
                warn!(account = event.account, "there is no such account; nothing was done");
                Ok(json!({"account": event.account, "outcome": "no_account"}))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// When a run is to save and end.
fn deadline(now: Timestamp, end: Timestamp) -> Timestamp {
    let left = between(now, end);
    minus(end, MARGIN.min(left / SHARE))
}

/// What makes an invocation fail although its run ended: an operator must look, or it is a defect of ours.
fn cause(report: &RunReport) -> Option<Next> {
    let error_type = report.error_type.as_deref()?;
    [Next::Operator, Next::Fail]
        .into_iter()
        .find(|next| next.meaning().error_type == error_type)
}

/// A refusal is an answer: it travels as what it is, and the invocation went well.
fn wire<T: Serialize>(answer: Result<T, CheckError>) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(Failure::malformed)
}

/// Within the time that somebody waits.
async fn soon<T>(check: impl Future<Output = Result<T, CheckError>>) -> Result<T, CheckError> {
    let late = |_| {
        let seconds = CHECK.as_secs();
        Err(CheckError::Trouble(format!(
            "Microsoft did not answer everything within {seconds} s; try again"
        )))
    };
    timeout(CHECK, check).await.unwrap_or_else(late)
}

impl ImporterFunction {
    async fn answer(&self, ask: Try, invocation: &Invocation) -> Result<Value, Failure> {
        match ask {
            Try::Account { account } => wire(soon(self.checks.account(&account)).await),
            Try::Reach { credential } => wire(soon(self.checks.reach(&credential)).await),
            // No other address of its host: whoever asks names where Postroom is, and nothing else there.
            Try::Redirect { redirect_uri } if !redirect::is_ours(&redirect_uri) => {
                let why = format!("{} is no redirect URI of Postroom's", SafeUrl(&redirect_uri));
                wire(Err::<Step, _>(CheckError::Refused(why)))
            }
            Try::Redirect { redirect_uri } => wire(soon(self.checks.redirect(&redirect_uri)).await),
            Try::Look {} => self.look(invocation).await,
        }
    }

    /// Tells what ends soon and what apps reach, each change once, and sends it.
    async fn look(&self, invocation: &Invocation) -> Result<Value, Failure> {
        let end = deadline(self.ports.clock.now(), invocation.deadline);
        let ending = warnings::look(&self.ports).await?;
        let reach = self.importer.look_at_reach(self.patience, Some(end)).await?;
        Ok(json!({"ending": ending.warnings.len(), "news": ending.news, "tried": reach.tried, "failed": reach.failed}))
    }

    fn told(&self, report: &RunReport) -> Result<Value, Failure> {
        let failed = cause(report);
        // The one for which the invocation fails is told with it.
        for problem in report.problems.iter().skip(usize::from(failed.is_some())) {
            warn!(
                account = report.account,
                run = report.run,
                graph_request_id = problem.request_id,
                "{}",
                problem.what
            );
        }
        if report.outcome != Outcome::Busy {
            self.measure(report);
        }
        let Some(next) = failed else {
            return Ok(json!({
                "account": report.account, "run": report.run, "outcome": report.outcome, "state": report.state,
                "imported": report.imported, "more": report.more,
            }));
        };
        let what = report
            .problems
            .first()
            .map_or("the run failed", |problem| problem.what.as_str());
        Err(Failure::new(&next, format!("account `{}`: {what}", report.account)))
    }

    fn measure(&self, report: &RunReport) {
        let now = report.ended_at;
        let duration = u64::try_from(between(report.started_at, now).as_millis()).unwrap_or(u64::MAX);
        let mut values = vec![
            (Metric::Imported, report.imported),
            (Metric::RunDuration, duration),
            (Metric::GraphRequests, report.requests_total),
            (Metric::Throttled, report.throttled),
            (Metric::NewlySetAside, report.quarantined),
            (Metric::RunsFailed, u64::from(report.outcome == Outcome::Failed)),
        ];
        if let Some(oldest) = report.oldest {
            values.push((Metric::OldestMailAge, between(oldest, now).as_secs()));
        }
        let beside = [("account", report.account.as_str()), ("run", report.run.as_str())];
        metrics::print(&self.stack, now, &values, &beside);
    }

    async fn reconcile(&self, account: &str) -> Result<Value, Failure> {
        let row = match self.accounts.get(account).await {
            Err(RecordError::Missing { .. }) => return Ok(json!({"account": account, "outcome": "no_account"})),
            other => other?,
        };
        let removed = orphans(&self.ports, &self.archive, &row).await.map_err(|error| {
            Failure::new(
                &Next::Operator,
                format!("the archive of account `{account}` could not be compared with the records: {error}"),
            )
        })?;
        if removed > 0 {
            info!(
                account,
                removed, "the archive was freed of objects that no record names"
            );
        }
        Ok(json!({"account": account, "outcome": "reconciled", "removed": removed}))
    }
}

#[cfg(test)]
mod tests {
    use shared::time::plus;

    use super::*;

    #[test]
    fn a_run_ends_before_lambda_ends_it() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let left = |seconds| between(now, deadline(now, plus(now, Duration::from_secs(seconds)))).as_secs();
        assert_eq!(left(300), 280);
        assert_eq!(left(30), 20);
        assert_eq!(left(0), 0);
    }

    #[test]
    fn only_whole_events_are_taken() {
        let read = |value| serde_json::from_value::<Event>(value);
        assert!(read(json!({"account": "desk", "trigger": "schedule"})).is_ok());
        for bad in [
            json!({}),
            json!({"account": "desk"}),
            json!({"account": 1, "trigger": "x"}),
            json!(null),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
