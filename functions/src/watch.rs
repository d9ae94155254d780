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
    adapters::Try,
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
const DAY: i64 = 24 * 60;
/// Minutes of an hour: in one of them credentials are looked at.
const HOUR: i64 = 60;
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
                let reconcile = is_its_minute(account, now, DAY).then_some((account, RECONCILE));
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
        if is_its_minute(&self.stack, now, HOUR) {
            self.send(&json!(Try::Look {}), "the look at credentials").await;
        }
        self.measure(&rows, now);
        Ok(json!({"accounts": rows.len(), "mended": mended, "started": started}))
    }
}

/// Whether it is the minute that somebody has of so many, by a hash of the name.
fn is_its_minute(name: &str, now: Timestamp, of: i64) -> bool {
    // FNV-1a: spread evenly, the same in every version of Rust.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let its = i64::try_from(hash % of.unsigned_abs()).unwrap_or(0);
    (millis(now) / MILLIS).rem_euclid(of) == its
}

impl Watch {
    /// Starts a run of an account, without waiting for it. Whether one runs already is for the lease to say.
    async fn begin(&self, account: &str, trigger: &str) -> bool {
        let event = json!({"account": account, "trigger": trigger});
        self.send(&event, &format!("a run of `{account}` ({trigger})")).await
    }

    /// Sends the importer an event, without waiting for what comes of it.
    async fn send(&self, event: &Value, what: &str) -> bool {
        let call = self
            .lambda
            .invoke()
            .function_name(&self.importer)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(event.to_string().into_bytes()));
        match call.send().await {
            Ok(_) => {
                info!(what, "it was started");
                true
            }
            Err(error) => {
                warn!(what, problem = Fault::of(&error).what(), "it could not be started");
                false
            }
        }
    }

    /// The dead-man's switch: how long the quietest account is without success.
    fn measure(&self, rows: &[AccountRow], now: Timestamp) {
        let age = |row: &AccountRow| age(row, now);
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
        let account = oldest.map_or("-", |row| row.account.id.as_str());
        metrics::print(&self.stack, now, &values(rows, now), &[("account", account)]);
    }
}

fn age(row: &AccountRow, now: Timestamp) -> u64 {
    between(row.last_success.unwrap_or(row.created_at), now).as_secs()
}

/// What is told of all accounts together.
fn values(rows: &[AccountRow], now: Timestamp) -> [(Metric, u64); 6] {
    let enabled = || rows.iter().filter(|row| row.account.enabled);
    let troubled = |row: &&AccountRow| {
        let state = row.last_run.as_ref().map(|run| run.state);
        !matches!(state, None | Some(AccountState::Healthy | AccountState::Waiting))
    };
    let sum = |count: fn(&AccountRow) -> u64| rows.iter().map(count).sum::<u64>();
    [
        (
            Metric::LastSuccessAge,
            enabled().map(|row| age(row, now)).max().unwrap_or_default(),
        ),
        (
            Metric::SilentAccounts,
            enabled().filter(|row| row.silent_for(now).is_some()).count() as u64,
        ),
        (Metric::AccountsInTrouble, enabled().filter(troubled).count() as u64),
        (Metric::Owed, sum(|row| row.owed.try_into().unwrap_or_default())),
        (
            Metric::SetAside,
            sum(|row| row.quarantined.try_into().unwrap_or_default()),
        ),
        (Metric::UnsentEvents, sum(AccountRow::unsent)),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::{
        account::{Account, AfterImport, FolderName, MAX_MESSAGE, Mailbox, Start},
        field::Id,
        ports::{Attributes, Item, Key},
        time::{minus, plus},
    };

    use super::*;

    /// An account that was made at the given instant and never ran, with counters.
    fn row(id: &str, enabled: bool, made: Timestamp, counters: &[(&str, i64)]) -> AccountRow {
        let account = Account {
            id: Id::parse("id", id).unwrap(),
            description: String::new(),
            mailbox: Mailbox::parse("desk@contoso.example").unwrap(),
            credential: Id::parse("credential", "app").unwrap(),
            folders: vec![FolderName::parse("inbox").unwrap()],
            subfolders: false,
            start: Start::Now,
            after_import: AfterImport::Nothing,
            every: Duration::from_mins(5),
            max_message: MAX_MESSAGE,
            enabled,
        };
        let mut attributes: Attributes = [
            ("settings".to_owned(), json!(account)),
            ("created_at".to_owned(), json!(made)),
            ("mailbox".to_owned(), json!(id)),
            ("lease_on".to_owned(), json!(Key::new("accounts", id))),
        ]
        .into();
        attributes.extend(counters.iter().map(|(name, count)| ((*name).to_owned(), json!(count))));
        let key = Key::new("accounts", id);
        AccountRow::read(&Item { key, attributes }).unwrap()
    }

    #[test]
    fn silence_debts_and_events_are_told_of_all_accounts_together() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let long_ago = minus(now, Duration::from_hours(2));
        let counted = [
            ("owed", 2),
            ("quarantined", 1),
            ("next_sequence", 5),
            ("sent_sequence", 1),
        ];
        let rows = [
            row("silent", true, long_ago, &counted),
            row("paused", false, long_ago, &[("owed", 3)]),
            row("fresh", true, now, &[]),
        ];
        let told = values(&rows, now);
        let of = |metric| told.iter().find(|(one, _)| *one == metric).unwrap().1;
        assert_eq!(of(Metric::SilentAccounts), 1, "a paused one is not silent");
        assert_eq!(of(Metric::LastSuccessAge), 7200);
        assert_eq!(of(Metric::Owed), 5, "a paused one owes all the same");
        assert_eq!((of(Metric::SetAside), of(Metric::UnsentEvents)), (1, 3));
        assert_eq!(values(&[], now)[1].1, 0, "without accounts it is there all the same");
    }

    #[test]
    fn every_account_has_one_minute_of_the_day_and_the_stack_one_of_the_hour() {
        let midnight = Timestamp::from_second(1_800_000_000 - 1_800_000_000 % 86_400).unwrap();
        let at = |minute: u64| plus(midnight, Duration::from_secs(minute * 60 + 31));
        let hits = |name: &str, of: i64| (0..1440).filter(|minute| is_its_minute(name, at(*minute), of)).count();
        for account in ["desk", "orders", "a", "post-7"] {
            assert_eq!((hits(account, DAY), hits(account, HOUR)), (1, 24), "{account}");
        }
        let first = |account| (0..1440).find(|minute| is_its_minute(account, at(*minute), DAY));
        assert_ne!(first("desk"), first("orders"));
    }
}
