//! A storm: one seed decides faults, crashes, frozen runs, several importers, renewals and an admin; afterwards nothing is lost.

mod admin;
mod check;
mod plan;
mod rest;
mod runs;
mod shrink;
mod weather;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
};

use super::Hits;
use crate::world::{Backend, Crash, DESK, InProcess, Logs, World};
use rand::{SeedableRng as _, rngs::SmallRng};
use shared::ports::Clock as _;
use simulator::{Options, Readings, User};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use plan::Shape;
pub use shrink::{explain, shrink};

/// One storm in this many is logged at the finest level, and the log searched for secrets; it takes several times as long.
const LOGGED: u64 = 50;
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
