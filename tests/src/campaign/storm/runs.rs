//! The processes of a storm: each runs, dies, freezes and wakes up as the seed says.

use std::{collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use jiff::Timestamp;
use rand::Rng as _;
use shared::{
    import::{
        RunError, RunOptions,
        report::{Outcome, RunReport},
    },
    memory::PausedClock,
    ports::Clock,
};
use tokio::task::spawn_local;

use super::{Storm, plan};
use crate::world::{Bend, Process};

/// A clock that goes wrong by so many milliseconds.
struct Skewed(PausedClock, i64);

#[async_trait::async_trait]
impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let now = self.0.now();
        Timestamp::from_millisecond(now.as_millisecond() + self.1).unwrap_or(now)
    }
    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

impl Storm {
    /// A new process; its clock may be wrong.
    pub(super) fn process(&self) -> Process {
        self.lives.set(self.lives.get() + 1);
        let wrong = self.draw(|rng| match rng.random_range(0..3) {
            0 if self.shape.skew && !self.over.get() => rng.random_range(-600_000..600_000),
            _ => 0,
        });
        let clock = Arc::new(Skewed(self.world.clock.clone(), wrong));
        let process = self.world.process(&format!("p{}", self.lives.get()), clock);
        self.wires.borrow_mut().push(Arc::clone(&process.wire));
        self.crashes.borrow_mut().push(process.crash.clone());
        process
    }

    pub(super) fn note(&self, report: &Result<RunReport, RunError>) {
        match report {
            Ok(report) => self.say(format!(
                "{} {:?} imported {} known {} owed {} actions {} requests {} {:?}",
                report.account,
                report.outcome,
                report.imported,
                report.known,
                report.owed,
                report.actions_pending,
                report.requests_total,
                report.problems.iter().map(|problem| &problem.what).collect::<Vec<_>>()
            )),
            Err(error) => self.say(format!("no run: {error}")),
        }
    }

    /// Bends of the next run.
    pub(super) fn bends(&self) -> Vec<(usize, Bend)> {
        if !self.shape.bends {
            return Vec::new();
        }
        let count = self.draw(|rng| rng.random_range(0..4));
        let drawn = (0..count).map(|_| self.draw(|rng| (rng.random_range(0..150), plan::bend(rng))));
        drawn.filter(|_| self.happens()).collect()
    }

    /// One run of one process, which may die or freeze in it. `false`: the process is no more.
    async fn one_run(self: &Rc<Self>, process: &Rc<Process>) -> bool {
        let id = self.draw(|rng| self.ids()[rng.random_range(0..self.ids().len())]);
        if self.disabled.borrow().contains(id) {
            return true;
        }
        self.runs.set(self.runs.get() + 1);
        let mut options = RunOptions::new("storm");
        let (deadline, patience, point) = self.draw(|rng| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "below 400, never below 0"
            )]
            let step = (rng.random_range(0.0_f64..1.0).powi(2) * 400.0) as usize;
            let point = (step, if rng.random() { Bend::Before } else { Bend::After });
            (
                rng.random_ratio(1, 5).then(|| rng.random_range(1..120)),
                rng.random_range(0..90),
                rng.random_ratio(1, 3).then_some(point),
            )
        });
        options.deadline =
            deadline.map(|seconds| shared::time::plus(self.world.clock.now(), Duration::from_secs(seconds)));
        options.patience = Duration::from_secs(patience);
        let point = point.filter(|_| self.shape.crashes || self.shape.zombies);
        let mut plan = self.bends();
        plan.extend(point.filter(|_| self.happens()));
        process.crash.plan(plan);
        let looked = self.draw(|rng| rng.random_ratio(1, 6));
        let before = if looked {
            self.at_rest(id).await
        } else {
            BTreeSet::new()
        };
        let (of, who) = (Rc::clone(process), id.to_owned());
        let mut run = Box::pin(async move { of.importer.run(&who, &options).await });
        if let Some(report) = process.crash.or(&mut run).await {
            process.crash.disarm();
            self.note(&report);
            if looked && report.is_ok_and(|report| report.outcome == Outcome::Done) && !self.reads_badly() {
                self.check_done(id, &before).await;
            }
            return true;
        }
        process.crash.disarm();
        self.deaths.set(self.deaths.get() + 1);
        if self.shape.zombies && (!self.shape.crashes || self.draw(rand::Rng::random)) {
            let asleep = self.draw(|rng| rng.random_range(0..400_000_u64));
            self.say(format!("{} freezes in a run of {id} for {asleep} ms", process.instance));
            let (storm, process) = (Rc::clone(self), Rc::clone(process));
            let handle = spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(asleep)).await;
                process.crash.thaw();
                let report = run.await;
                storm.say(format!("{} woke up", process.instance));
                storm.note(&report);
            });
            self.frozen.borrow_mut().push(handle);
        } else {
            drop(run);
            let known = self.draw(rand::Rng::random);
            self.say(format!(
                "{} dies in a run of {id}, known: {known}, {point:?}",
                process.instance
            ));
            if known {
                self.world.memory.bury(&process.instance);
            }
        }
        false
    }

    /// A test that looks into the store is not told what is not so.
    fn reads_badly(&self) -> bool {
        self.world.memory.store.faults().armed() > 0
    }

    /// Processes one after another, until the storm is over.
    pub(super) async fn importing(self: Rc<Self>) {
        let mut process = Rc::new(self.process());
        while !self.over.get() {
            let pause = self.draw(|rng| match rng.random_range(0..4) {
                0 => rng.random_range(0..500),
                1 => rng.random_range(0..30_000),
                _ => rng.random_range(0..1_800_000),
            });
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if !self.one_run(&process).await {
                process = Rc::new(self.process());
            }
        }
    }
}
