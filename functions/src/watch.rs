//! watch: every minute it mends schedules, starts runs that are wanted before their time, and tells of silence.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_lambda::{Client, types::InvocationType};
use aws_smithy_types::Blob;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    error::AccountState,
    ports::Ports,
    records::accounts::{AccountRow, Accounts},
    time::{between, millis},
    watch::{mend_schedules, wants_more},
};
use tracing::{info, warn};

use crate::{
    failure::Failure,
    importer::RECONCILE,
    metrics::{self, Metric},
    sandbox::Sandbox,
    sdk::Fault,
    serve::{Function, Invocation},
};

/// Runs started at once.
const AT_ONCE: usize = 16;
/// Minutes of a day: each account has one of its own in which its archive is reconciled.
const MINUTES: i64 = 24 * 60;
const MILLIS: i64 = 60 * 1000;

/// The function.
pub struct Watch {
    ports: Ports,
    accounts: Accounts,
    lambda: Client,
    importer: String,
    stack: String,
}

/// Sets it up.
pub async fn start(sandbox: Sandbox) -> Result<Watch, Failure> {
    let ports = Ports {
        scheduler: sandbox.scheduler()?,
        ..sandbox.ports()
    };
    crate::warm::table(&*ports.store).await;
    Ok(Watch {
        accounts: Accounts::new(Arc::clone(&ports.store)),
        lambda: Client::new(&sandbox.sdk),
        importer: sandbox.settings.required("POSTROOM_IMPORTER")?,
        stack: sandbox.stack.clone(),
        ports,
    })
}

#[async_trait]
impl Function for Watch {
    async fn handle(&self, _: Value, _: &Invocation) -> Result<Value, Failure> {
        let now = self.ports.clock.now();
        let (rows, mended) = match mend_schedules(&*self.ports.scheduler, &self.accounts).await {
            Ok(seen) => seen,
            Err(problem) => {
                // Schedules that cannot be read or put must not keep runs from being started, nor silence from being told.
                warn!(%problem, "the schedules could not be compared with the accounts");
                (self.accounts.all().await?, 0)
            }
        };
        let wanted: Vec<(&str, &str)> = rows
            .iter()
            .flat_map(|row| {
                let account = row.account.id.as_str();
                let more = wants_more(row, now).then_some((account, "watch"));
                let reconcile = is_its_minute(account, now).then_some((account, RECONCILE));
                [more, reconcile].into_iter().flatten()
            })
            .collect();
        let calls: Vec<_> = wanted
            .iter()
            .map(|(account, trigger)| self.begin(account, trigger))
            .collect();
        let started = stream::iter(calls)
            .buffer_unordered(AT_ONCE)
            .filter(|started| std::future::ready(*started))
            .count()
            .await;
        self.measure(&rows, now);
        Ok(json!({"accounts": rows.len(), "mended": mended, "started": started}))
    }
}

/// Whether it is the account's minute of the day, by a hash of its id.
fn is_its_minute(account: &str, now: Timestamp) -> bool {
    // FNV-1a: spread evenly, the same in every version of Rust.
    let hash = account.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let its = i64::try_from(hash % MINUTES.unsigned_abs()).unwrap_or(0);
    (millis(now) / MILLIS).rem_euclid(MINUTES) == its
}

impl Watch {
    /// Starts a run of an account, without waiting for it. Whether one runs already is for the lease to say.
    async fn begin(&self, account: &str, trigger: &str) -> bool {
        let event = json!({"account": account, "trigger": trigger}).to_string();
        let call = self
            .lambda
            .invoke()
            .function_name(&self.importer)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(event.into_bytes()));
        match call.send().await {
            Ok(_) => {
                info!(account, trigger, "a run was started");
                true
            }
            Err(error) => {
                warn!(
                    account,
                    trigger,
                    problem = Fault::of(&error).what(),
                    "a run could not be started"
                );
                false
            }
        }
    }

    /// The dead-man's switch: how long the quietest account is without success.
    fn measure(&self, rows: &[AccountRow], now: Timestamp) {
        let age = |row: &AccountRow| between(row.last_success.unwrap_or(row.created_at), now).as_secs();
        let enabled = || rows.iter().filter(|row| row.account.enabled);
        for row in enabled() {
            let account = row.account.id.as_str();
            let problem = row.last_run.as_ref().and_then(|run| run.problem.as_deref());
            if let Some(silence) = row.silent_for(now) {
                let seconds = silence.as_secs();
                warn!(
                    account,
                    seconds, problem, "no success for three intervals: nobody imports this mailbox"
                );
            } else {
                info!(account, seconds = age(row), "age of the last success");
            }
        }
        let oldest = enabled().max_by_key(|row| age(row));
        let silent = enabled().filter(|row| row.silent_for(now).is_some()).count();
        let troubled = |row: &AccountRow| {
            let state = row.last_run.as_ref().map(|run| run.state);
            !matches!(state, None | Some(AccountState::Healthy | AccountState::Waiting))
        };
        let values = [
            (Metric::LastSuccessAge, oldest.map_or(0, age)),
            (Metric::SilentAccounts, silent as u64),
            (
                Metric::AccountsInTrouble,
                enabled().filter(|row| troubled(row)).count() as u64,
            ),
        ];
        let account = oldest.map_or("-", |row| row.account.id.as_str());
        metrics::print(&self.stack, now, &values, &[("account", account)]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::time::plus;

    use super::*;

    #[test]
    fn every_account_has_one_minute_of_the_day() {
        let midnight = Timestamp::from_second(1_800_000_000 - 1_800_000_000 % 86_400).unwrap();
        for account in ["desk", "orders", "a", "post-7"] {
            let hits = (0..MINUTES.unsigned_abs())
                .filter(|minute| is_its_minute(account, plus(midnight, Duration::from_secs(minute * 60 + 31))))
                .count();
            assert_eq!(hits, 1, "{account}");
        }
        let first = |account| (0..1440).find(|m| is_its_minute(account, plus(midnight, Duration::from_secs(m * 60))));
        assert_ne!(first("desk"), first("orders"));
    }
}
