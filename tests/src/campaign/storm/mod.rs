//! A storm: one seed decides faults, crashes, frozen runs, several importers, renewals and an admin; afterwards nothing is lost.

mod admin;
mod check;
mod plan;
mod shrink;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::Hits;
use crate::world::{Backend, Bend, Crash, DESK, InProcess, Logs, Process, World};
use jiff::Timestamp;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use shared::{
    import::{RunOptions, report::Outcome},
    memory::PausedClock,
    ports::Clock,
};
use simulator::{Latency, Options, Readings, User};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use plan::Shape;
pub use shrink::{explain, shrink};

/// One storm in this many is logged at the finest level, and the log searched for secrets; it takes several times as long.
const LOGGED: u64 = 50;
/// After a storm the accounts run so far apart, and at least once more than so often: the folders are walked anew once a day.
const REST: Duration = Duration::from_secs(5 * 3600);
const RESTS: usize = 5;
/// Who signs in where a storm's credential is a person's.
const ADA: &str = "ada@harbour-homes.example";

thread_local! {
    /// Happenings of the last storm in this thread, however it ended.
    static HAPPENINGS: Cell<usize> = const { Cell::new(0) };
}

/// Which of the things that happen in a storm are left out: to find those that a failure needs.
pub type Skip = BTreeSet<usize>;

/// How long a storm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Half of the happenings and a third of the first mail: what every test run has time for.
    Small,
    /// All of it.
    Whole,
}

/// What a storm came to.
#[derive(Debug, Clone)]
pub struct Told {
    /// A digest of everything that happened and of the end state: the same seed, the same digest.
    pub digest: String,
    /// Things that went wrong or were done, each of which could have been left out.
    pub happenings: usize,
    /// Bends, deaths and faults that were met.
    pub faults: u64,
    /// Which calls were bent how.
    pub hits: Hits,
}

/// A storm over one world.
struct Storm {
    world: World,
    shape: Shape,
    size: Size,
    skip: Skip,
    happenings: Cell<usize>,
    crashes: RefCell<Vec<Crash>>,
    rng: RefCell<SmallRng>,
    trace: RefCell<Vec<String>>,
    loud: bool,
    over: Cell<bool>,
    lives: Cell<u32>,
    deaths: Cell<u32>,
    runs: Cell<u32>,
    frozen: RefCell<Vec<JoinHandle<()>>>,
    wires: RefCell<Vec<Arc<InProcess>>>,
    dismissed: RefCell<BTreeSet<String>>,
    disabled: RefCell<BTreeSet<&'static str>>,
}

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
    fn new(seed: u64, size: Size, loud: bool, skip: Skip) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let shape = Shape::draw(&mut rng, size);
        let readings = Readings::all_variants();
        let mut options = Options {
            vary_mime: shape.vary_mime,
            readings: readings[shape.reading % readings.len()],
            light_tokens: true,
            ..Options::default()
        };
        if let Some(rotation) = shape.person {
            options.users = vec![User::new(ADA, "Ada Moor").with_shared(DESK).with_shared(plan::SIDE)];
            options.permissions = ["Mail.ReadWrite.Shared", "Mail.Read.Shared", "User.Read"]
                .map(str::to_owned)
                .to_vec();
            options.rotation = rotation;
        }
        let logs = seed.is_multiple_of(LOGGED).then(Logs::capture);
        let world = World::on(seed, options, Backend::Memory, logs);
        if !shape.is_orderly() {
            world.forgive_haste();
        }
        Self {
            world,
            shape,
            size,
            skip,
            happenings: Cell::new(0),
            crashes: RefCell::default(),
            rng: RefCell::new(rng),
            trace: RefCell::default(),
            loud,
            over: Cell::new(false),
            lives: Cell::new(0),
            deaths: Cell::new(0),
            runs: Cell::new(0),
            frozen: RefCell::default(),
            wires: RefCell::default(),
            dismissed: RefCell::default(),
            disabled: RefCell::default(),
        }
    }

    fn ids(&self) -> &'static [&'static str] {
        if self.shape.neighbours {
            &["desk", "side", "orders"]
        } else {
            &["desk", "side"]
        }
    }

    fn say(&self, line: impl Into<String>) {
        let line = format!("{} {}", self.world.clock.now(), line.into());
        if self.loud {
            println!("{line}");
        }
        self.trace.borrow_mut().push(line);
    }

    fn draw<T>(&self, choose: impl FnOnce(&mut SmallRng) -> T) -> T {
        choose(&mut self.rng.borrow_mut())
    }

    /// Whether the next thing happens, or is left out.
    fn happens(&self) -> bool {
        let number = self.happenings.get();
        self.happenings.set(number + 1);
        HAPPENINGS.with(|last| last.set(number + 1));
        !self.skip.contains(&number)
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.wires.borrow().iter().flat_map(|wire| wire.asked()).collect()
    }

    /// A new process; its clock may be wrong.
    fn process(&self) -> Process {
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

    fn note(&self, report: &Result<shared::import::report::RunReport, shared::import::RunError>) {
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
    fn bends(&self) -> Vec<(usize, Bend)> {
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
    async fn importing(self: Rc<Self>) {
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

    /// What happens outside.
    async fn weather(self: Rc<Self>) {
        for _ in 0..self.shape.acts {
            let pause = self.draw(|rng| match rng.random_range(0..20) {
                0 if rng.random_ratio(1, 3) => rng.random_range(0..20 * 3_600_000),
                0..4 => rng.random_range(0..1_200_000),
                4..8 => rng.random_range(0..60_000),
                _ => rng.random_range(0..800),
            });
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let kind = self.draw(|rng| rng.random_range(0..20));
            if !self.happens() {
                continue;
            }
            match kind {
                0..5 if self.shape.wire => {
                    let spec = self.draw(plan::wire_fault);
                    self.say(format!("fault {spec:?}"));
                    self.world.simulator.arm(spec);
                }
                5 | 6 if self.shape.wire => {
                    self.say("the wire is mended");
                    self.world.simulator.clear_faults();
                }
                7 if self.shape.wire => {
                    self.say("tokens revoked");
                    self.world.simulator.revoke_tokens();
                }
                8 | 9 if self.shape.stores => self.arm_adapters(),
                10 => {
                    let service = self.draw(|rng| rng.random_range(0..400));
                    self.world.simulator.set_latency(Latency {
                        service: Duration::from_millis(service),
                        network: Duration::from_millis(service / 3),
                    });
                }
                _ => {
                    let act = self.draw(|rng| plan::mailbox_act(rng, &self.world.simulator, self.shape.folders));
                    self.say(act);
                }
            }
        }
        self.over.set(true);
    }

    fn arm_adapters(&self) {
        let memory = &self.world.memory;
        match self.draw(|rng| rng.random_range(0..6)) {
            0 => {
                let (fault, times) = self.draw(plan::publisher_fault);
                self.say(format!("publisher {fault:?} {times}"));
                memory.publisher.faults().arm(None, fault, times);
            }
            1 => {
                let (call, fault, times) = self.draw(plan::vault_fault);
                self.say(format!("vault {call:?} {fault:?} {times}"));
                memory.vault.faults().arm(call, fault, times);
            }
            _ => {
                let (call, fault, skip, times) = self.draw(plan::store_fault);
                self.say(format!("store {call:?} {fault:?} {skip} {times}"));
                memory.store.faults().arm_after(call, fault, skip, times);
            }
        }
    }

    /// All is mended, and everything has more than a day.
    async fn settle(self: &Rc<Self>) {
        let frozen = self.frozen.take();
        for one in frozen {
            one.await.expect("a frozen run that woke up");
        }
        let (simulator, memory) = (&self.world.simulator, &self.world.memory);
        simulator.clear_faults();
        memory.store.faults().clear();
        memory.vault.faults().clear();
        memory.publisher.faults().clear();
        simulator.set_latency(Latency {
            service: Duration::ZERO,
            network: Duration::ZERO,
        });
        for mail in simulator.truth(None).iter().filter(|mail| mail.corrupt) {
            // A mail that is gone for good needs no repair.
            let _ = simulator.corrupt(&mail.mailbox, &mail.immutable_id, None);
        }
        if simulator.folder_id(DESK, "Orders").is_err()
            && simulator.rename_folder(DESK, "Orders of old", "Orders").is_err()
        {
            simulator.create_folder(DESK, "Orders", false).expect("a folder");
        }
        self.mend_accounts().await;
        self.mend_sign_in().await;
        self.say("the storm is over");
        let process = self.process();
        for round in 0.. {
            tokio::time::sleep(REST).await;
            let mut quiet = round >= RESTS;
            for id in self.ids() {
                self.runs.set(self.runs.get() + 1);
                let report = process.importer.run(id, &RunOptions::new("storm")).await;
                self.note(&report);
                let report = report.expect("a run");
                quiet &= report.outcome == Outcome::Done && report.actions_pending == 0;
                quiet &= self.retry_all(id).await == 0;
            }
            if quiet {
                return;
            }
            self.mend_late().await;
            assert!(round < 60, "not settled after {round} rounds");
        }
    }

    async fn whole(self: Rc<Self>) {
        self.say(format!("{:?}", self.shape));
        self.found().await;
        let mut actors = vec![spawn_local(Rc::clone(&self).weather())];
        for _ in 0..self.shape.processes {
            actors.push(spawn_local(Rc::clone(&self).importing()));
        }
        if self.shape.admin {
            actors.push(spawn_local(Rc::clone(&self).administer()));
        }
        if self.shape.person.is_some() {
            actors.push(spawn_local(Rc::clone(&self).renewing()));
        }
        for actor in actors {
            actor.await.expect("an actor");
        }
        self.settle().await;
        self.check().await;
    }
}

/// One storm, from the beginning to the end; what did not hold, if something did not.
pub fn storm(seed: u64, size: Size, loud: bool, skip: &Skip) -> Result<Told, String> {
    let whole = AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let storm = Rc::new(Storm::new(seed, size, loud, skip.clone()));
            let whole = spawn_local(Rc::clone(&storm).whole());
            if let Err(error) = whole.await {
                std::panic::resume_unwind(error.into_panic());
            }
            storm.told()
        })
    });
    super::quietly(|| catch_unwind(whole))
}
