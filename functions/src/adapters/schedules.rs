//! The scheduler over EventBridge Scheduler: one schedule per account, named like it, in the stack's group.
//!
//! EventBridge counts whole minutes: intervals and windows are rounded up, and a window as long as its interval is none.
//! What was asked for stands in the schedule's description, so that a schedule that somebody changed by hand is seen.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_scheduler::{
    Client,
    operation::get_schedule::GetScheduleOutput,
    types::{
        ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy,
        ScheduleState, Target,
    },
};
use aws_types::SdkConfig;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use shared::{
    memory::check_schedule,
    ports::{Schedule, ScheduleError, Scheduler},
};

use crate::sdk::{self, Fault};

/// How often EventBridge tries a firing again. The next firing does the same work, so few are enough.
const RETRIES: i32 = 2;
/// Schedules read at once while listing.
const AT_ONCE: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);
/// A firing that could not be delivered is given up after this long at most; the least and the most AWS takes.
const EVENT_AGE: std::ops::RangeInclusive<u64> = 60..=86_400;

/// What a schedule fires and as whom.
#[derive(Debug, Clone)]
pub struct Firing {
    /// The schedule group.
    pub group: String,
    /// ARN of the role that EventBridge Scheduler assumes.
    pub role: String,
    /// ARN of the importer.
    pub importer: String,
    /// ARN of the queue for firings that could not be delivered.
    pub dead_letters: String,
}

/// Schedules in EventBridge Scheduler.
#[derive(Clone)]
pub struct EventBridgeScheduler {
    reads: Client,
    writes: Client,
    firing: Arc<Firing>,
}

/// A schedule in EventBridge's terms.
#[derive(Debug, PartialEq, Eq)]
struct Terms {
    expression: String,
    /// Minutes; none: at the exact time.
    window: Option<i32>,
}

impl Terms {
    fn of(schedule: &Schedule) -> Self {
        let minutes = whole_minutes(schedule.every).max(1);
        let window = whole_minutes(schedule.window);
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        Self {
            expression: format!("rate({minutes} {unit})"),
            window: (window > 0 && window < minutes)
                .then(|| i32::try_from(window).ok())
                .flatten(),
        }
    }
}

fn whole_minutes(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(MINUTE.as_millis())).unwrap_or(u64::MAX)
}

impl EventBridgeScheduler {
    /// In this group.
    pub fn new(config: &SdkConfig, firing: Firing) -> Self {
        Self {
            reads: Client::new(&sdk::repeating(config)),
            writes: Client::new(config),
            firing: Arc::new(firing),
        }
    }

    fn target(&self, schedule: &Schedule) -> Result<Target, ScheduleError> {
        let wrong = |error: aws_smithy_types::error::operation::BuildError| refused(&schedule.account, &error);
        let age = whole_minutes(schedule.every).saturating_mul(60);
        let age = age.clamp(*EVENT_AGE.start(), *EVENT_AGE.end());
        let retry = RetryPolicy::builder()
            .maximum_retry_attempts(RETRIES)
            .maximum_event_age_in_seconds(i32::try_from(age).unwrap_or(i32::MAX))
            .build();
        Target::builder()
            .arn(&self.firing.importer)
            .role_arn(&self.firing.role)
            .input(json!({"account": schedule.account, "trigger": "schedule"}).to_string())
            .retry_policy(retry)
            .dead_letter_config(DeadLetterConfig::builder().arn(&self.firing.dead_letters).build())
            .build()
            .map_err(wrong)
    }

    async fn get(&self, name: &str) -> Result<Option<Schedule>, ScheduleError> {
        let read = self.reads.get_schedule().group_name(&self.firing.group).name(name);
        match read.send().await {
            Ok(found) => Ok(Some(self.read(name, &found))),
            Err(error) => {
                let fault = Fault::of(&error);
                // Removed while the list was read.
                if fault.is("ResourceNotFoundException") {
                    return Ok(None);
                }
                Err(failed(name, &fault))
            }
        }
    }

    /// A schedule as it was asked for, if it still is what was asked for; otherwise one that nobody asks for, so that it is
    /// put right.
    fn read(&self, name: &str, found: &GetScheduleOutput) -> Schedule {
        let (every, window) = described(found.description().unwrap_or_default()).unwrap_or_default();
        let mut schedule = Schedule {
            account: name.to_owned(),
            every,
            window,
            enabled: found.state() == Some(&ScheduleState::Enabled),
        };
        let terms = Terms {
            expression: found.schedule_expression().unwrap_or_default().to_owned(),
            window: found.flexible_time_window().and_then(|window| match window.mode() {
                FlexibleTimeWindowMode::Flexible => window.maximum_window_in_minutes(),
                _ => None,
            }),
        };
        let target = found.target();
        let ours =
            target.is_some_and(|target| target.arn() == self.firing.importer && target.role_arn() == self.firing.role);
        if Terms::of(&schedule) != terms || !ours {
            schedule.every = Duration::ZERO;
        }
        schedule
    }
}

fn description(schedule: &Schedule) -> String {
    format!(
        "Postroom account {}; every_ms={} window_ms={}",
        schedule.account,
        schedule.every.as_millis(),
        schedule.window.as_millis()
    )
}

fn described(text: &str) -> Option<(Duration, Duration)> {
    let number = |name: &str| {
        let rest = text.split(name).nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().map(Duration::from_millis)
    };
    Some((number("every_ms=")?, number("window_ms=")?))
}

#[async_trait]
impl Scheduler for EventBridgeScheduler {
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        check_schedule(schedule)?;
        let account = &schedule.account;
        let terms = Terms::of(schedule);
        let window = FlexibleTimeWindow::builder()
            .mode(match terms.window {
                Some(_) => FlexibleTimeWindowMode::Flexible,
                None => FlexibleTimeWindowMode::Off,
            })
            .set_maximum_window_in_minutes(terms.window)
            .build()
            .map_err(|error| refused(account, &error))?;
        let target = self.target(schedule)?;
        let state = if schedule.enabled {
            ScheduleState::Enabled
        } else {
            ScheduleState::Disabled
        };
        // Whichever of two callers makes it, the other changes it: two rounds are enough for both.
        let mut last = None;
        for _ in 0..2 {
            let update = self
                .writes
                .update_schedule()
                .group_name(&self.firing.group)
                .name(account)
                .schedule_expression(&terms.expression)
                .flexible_time_window(window.clone())
                .target(target.clone())
                .description(description(schedule))
                .state(state.clone())
                .action_after_completion(ActionAfterCompletion::None);
            match update.send().await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let fault = Fault::of(&error);
                    if !fault.is("ResourceNotFoundException") {
                        return Err(failed(account, &fault));
                    }
                }
            }
            let create = self
                .writes
                .create_schedule()
                .group_name(&self.firing.group)
                .name(account)
                .schedule_expression(&terms.expression)
                .flexible_time_window(window.clone())
                .target(target.clone())
                .description(description(schedule))
                .state(state.clone())
                .action_after_completion(ActionAfterCompletion::None);
            match create.send().await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let fault = Fault::of(&error);
                    if !fault.is("ConflictException") {
                        return Err(failed(account, &fault));
                    }
                    last = Some(failed(account, &fault));
                }
            }
        }
        last.map_or(Ok(()), Err)
    }

    async fn remove(&self, account: &str) -> Result<(), ScheduleError> {
        let delete = self
            .writes
            .delete_schedule()
            .group_name(&self.firing.group)
            .name(account);
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.is("ResourceNotFoundException") {
                    return Ok(());
                }
                Err(failed(account, &fault))
            }
        }
    }

    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError> {
        let mut pages = self
            .reads
            .list_schedules()
            .group_name(&self.firing.group)
            .into_paginator()
            .send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("*", &Fault::of(&error)))?;
            names.extend(page.schedules.into_iter().filter_map(|summary| summary.name));
        }
        // The list tells names and states only.
        let found: Vec<Option<Schedule>> = stream::iter(names)
            .map(|name| async move { self.get(&name).await })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut schedules: Vec<Schedule> = found.into_iter().flatten().collect();
        schedules.sort_by(|a, b| a.account.cmp(&b.account));
        Ok(schedules)
    }
}

fn refused(account: &str, reason: &dyn std::fmt::Display) -> ScheduleError {
    ScheduleError {
        account: account.to_owned(),
        reason: reason.to_string(),
    }
}

fn failed(account: &str, fault: &Fault) -> ScheduleError {
    let what = fault.what();
    match fault {
        Fault::Denied(_) => refused(
            account,
            &format!(
                "{what}; the function's role needs the schedules of its group and iam:PassRole on the scheduler's role"
            ),
        ),
        _ => refused(account, &what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(every: Duration, window: Duration) -> Schedule {
        Schedule {
            account: "desk".into(),
            every,
            window,
            enabled: true,
        }
    }

    #[test]
    fn minutes_are_whole() {
        let terms = |every, window| {
            let terms = Terms::of(&schedule(Duration::from_secs(every), Duration::from_secs(window)));
            (terms.expression, terms.window)
        };
        assert_eq!(terms(300, 30), ("rate(5 minutes)".into(), Some(1)));
        assert_eq!(terms(60, 6), ("rate(1 minute)".into(), None));
        assert_eq!(terms(10, 1), ("rate(1 minute)".into(), None));
        assert_eq!(terms(90, 0), ("rate(2 minutes)".into(), None));
        assert_eq!(terms(86_400, 60), ("rate(1440 minutes)".into(), Some(1)));
    }

    #[test]
    fn what_was_asked_for_is_kept_exactly() {
        let asked = schedule(Duration::from_secs(300), Duration::from_millis(1500));
        assert_eq!(described(&description(&asked)), Some((asked.every, asked.window)));
        assert_eq!(described("made by hand"), None);
    }
}
