//! The scheduler over the store and timers: schedules are rows, so that any process may change what `serve` does.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::{
    memory::check_schedule,
    ports::{Attributes, Clock, Item, Key, Query, Schedule, ScheduleError, Scheduler, Store, Write},
};
use tokio::task::{Id, JoinSet};

const PARTITION: &str = "schedules";
/// How often the rows are read again, and so how late a change takes effect at most.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Schedules in the store.
#[derive(Clone)]
pub struct TimerScheduler {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// What is to be done when an account's time has come.
pub type Fire = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

impl TimerScheduler {
    /// Schedules in this store, time by this clock.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Fires the schedules until `stop` completes, then waits for what runs. For the one process that serves.
    ///
    /// An account fires when it is first seen (spread by its own jitter), then once in every interval. Two firings of
    /// one account never overlap; what was missed while one ran, or while the machine slept, is made up once.
    pub async fn run(&self, fire: Fire, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let mut timers = Timers::default();
        let mut tasks = JoinSet::new();
        let mut running = HashMap::<Id, String>::new();
        loop {
            match self.list().await {
                Ok(schedules) => timers.take(&schedules, self.clock.now()),
                // The schedules as last read go on: a store that is busy for a moment stops no import.
                Err(error) => {
                    tracing::warn!(%error, "the schedules could not be read; going on with those known");
                }
            }
            let busy: HashSet<&str> = running.values().map(String::as_str).collect();
            for account in timers.due(self.clock.now(), &busy) {
                let task = tasks.spawn(fire(account.clone()));
                running.insert(task.id(), account);
            }
            let wait = timers.until_next(self.clock.now()).min(LOOK_AGAIN);
            tokio::select! {
                () = &mut stop => break,
                () = self.clock.sleep(wait) => {}
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
                    let account = running.remove(&id).unwrap_or_default();
                    if let Err(error) = ended {
                        tracing::error!(account, %error, "a run ended in a panic; the account fires again at its next time");
                    }
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }
}

#[async_trait]
impl Scheduler for TimerScheduler {
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        check_schedule(schedule)?;
        let write = Write::put(Key::new(PARTITION, &schedule.account), attributes(schedule));
        self.store
            .update(write)
            .await
            .map(drop)
            .map_err(|error| failed(&schedule.account, &error))
    }

    async fn remove(&self, account: &str) -> Result<(), ScheduleError> {
        self.store
            .update(Write::delete(Key::new(PARTITION, account)))
            .await
            .map(drop)
            .map_err(|error| failed(account, &error))
    }

    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError> {
        let mut schedules = Vec::new();
        let mut query = Query::all(PARTITION);
        loop {
            let page = self.store.query(&query).await.map_err(|error| failed("*", &error))?;
            for item in page.items {
                schedules.push(schedule(&item).ok_or_else(|| failed(&item.key.sort, &"its row cannot be read"))?);
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(schedules);
            }
        }
    }
}

fn failed(account: &str, reason: &dyn std::fmt::Display) -> ScheduleError {
    ScheduleError {
        account: account.to_owned(),
        reason: reason.to_string(),
    }
}

fn attributes(schedule: &Schedule) -> Attributes {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    [
        ("every_ms".to_owned(), json!(millis(schedule.every))),
        ("window_ms".to_owned(), json!(millis(schedule.window))),
        ("enabled".to_owned(), json!(schedule.enabled)),
    ]
    .into()
}

fn schedule(item: &Item) -> Option<Schedule> {
    let millis = |name: &str| {
        item.attributes
            .get(name)
            .and_then(Value::as_u64)
            .map(Duration::from_millis)
    };
    let every = millis("every_ms").filter(|every| !every.is_zero())?;
    Some(Schedule {
        account: item.key.sort.clone(),
        every,
        window: millis("window_ms")?,
        enabled: item.attributes.get("enabled")?.as_bool()?,
    })
}

/// When each account fires next.
#[derive(Default)]
struct Timers {
    next: HashMap<String, (Schedule, Timestamp)>,
}

impl Timers {
    /// Takes over the schedules as they are now; an unchanged one keeps its time.
    fn take(&mut self, schedules: &[Schedule], now: Timestamp) {
        let mut next = HashMap::with_capacity(schedules.len());
        for schedule in schedules.iter().filter(|schedule| schedule.enabled) {
            let time = match self.next.get(&schedule.account) {
                Some((same, time)) if same == schedule => *time,
                Some(_) => following(schedule, now),
                None => later(now, jitter(schedule)),
            };
            next.insert(schedule.account.clone(), (schedule.clone(), time));
        }
        self.next = next;
    }

    /// The accounts to fire now, except those that still run; each of these is due again at its following time.
    fn due(&mut self, now: Timestamp, busy: &HashSet<&str>) -> Vec<String> {
        let mut due = Vec::new();
        for (account, (schedule, time)) in &mut self.next {
            if *time <= now && !busy.contains(account.as_str()) {
                *time = following(schedule, now);
                due.push(account.clone());
            }
        }
        due.sort();
        due
    }

    /// How long nothing is due.
    fn until_next(&self, now: Timestamp) -> Duration {
        let next = self
            .next
            .values()
            .map(|(_, time)| *time)
            .filter(|time| *time > now)
            .min();
        next.and_then(|time| Duration::try_from(time.duration_since(now)).ok())
            .unwrap_or(LOOK_AGAIN)
    }
}

/// The account's next time after now: a multiple of the interval since 1970 plus its jitter, so that it does not drift
/// and survives a restart.
fn following(schedule: &Schedule, now: Timestamp) -> Timestamp {
    let every = i128::try_from(schedule.every.as_nanos()).unwrap_or(i128::MAX).max(1);
    let jitter = i128::try_from(jitter(schedule).as_nanos()).unwrap_or(0);
    let slot = (now.as_nanosecond() - jitter).div_euclid(every).saturating_add(1);
    Timestamp::from_nanosecond(slot.saturating_mul(every).saturating_add(jitter)).unwrap_or(Timestamp::MAX)
}

/// The account's own place in the window: always the same, and evenly spread over many accounts.
fn jitter(schedule: &Schedule) -> Duration {
    let digest = Sha256::digest(schedule.account.as_bytes());
    let hash = digest[..8]
        .iter()
        .fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    let window = u64::try_from(schedule.window.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hash.checked_rem(window).unwrap_or(0))
}

fn later(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}
