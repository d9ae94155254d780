//! The long campaign: storms, pairs of crashes, real kills; in batches, each noted when it is done, so that it goes on later.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{SeedableRng as _, rngs::SmallRng};
use serde::{Deserialize, Serialize};

use super::{Scenario, directory, gate, kills, pairs, parallel, storm, try_point};
use crate::world::Backend;

/// The scenes of the pairs.
const OF_PAIRS: [Scenario; 3] = [Scenario::FirstImport, Scenario::Moves, Scenario::Renewal];
const STORMS_A_BATCH: u64 = 200;
const PAIRS_A_BATCH: u64 = 300;
const KILLS_A_BATCH: u64 = 50;

/// How much.
#[derive(Debug, Args)]
pub struct Long {
    /// Storms.
    #[arg(long, default_value_t = 200_000)]
    pub seeds: u64,
    /// Pairs of crashes.
    #[arg(long, default_value_t = 20_000)]
    pub pairs: u64,
    /// Kills of the real binary; `POSTROOM_BIN` says where it is.
    #[arg(long, default_value_t = 1_000)]
    pub kills: u64,
    /// One JSON object at the end, and none of the progress.
    #[arg(long)]
    pub json: bool,
    /// Begin anew: forget what an earlier campaign did.
    #[arg(long)]
    pub fresh: bool,
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Whether all points were tried.
    #[serde(default)]
    points: bool,
    seeds: u64,
    pairs: u64,
    kills: u64,
    /// Faults that storms met.
    faults: u64,
    /// What did not hold, each as a person repeats it.
    broken: Vec<String>,
}

fn file() -> PathBuf {
    directory().join("state.json")
}

impl State {
    fn read() -> Result<Self, String> {
        match fs::read(file()) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{} cannot be read ({error}); `--fresh` begins anew", file().display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", file().display())),
        }
    }

    /// Beside it first, then in its place: a campaign that is stopped at any moment leaves one or the other.
    fn save(&self) -> Result<(), String> {
        let beside = file().with_extension("new");
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| error.to_string())?;
        fs::write(&beside, bytes)
            .and_then(|()| fs::rename(&beside, file()))
            .map_err(|error| format!("{}: {error}", file().display()))
    }
}

/// A bar on a terminal, lines anywhere else, nothing with `--json`.
struct Shown {
    bar: Option<ProgressBar>,
    lines: bool,
    name: &'static str,
    all: u64,
}

impl Shown {
    fn new(name: &'static str, done: u64, all: u64, json: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = (terminal && !json).then(|| {
            let bar = ProgressBar::new(all).with_position(done).with_prefix(name);
            if let Ok(style) = ProgressStyle::with_template("{prefix:8} {wide_bar} {pos}/{len} {eta}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            lines: !terminal && !json,
            name,
            all,
        }
    }

    fn at(&self, done: u64, broken: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if self.lines {
            let _ = writeln!(
                io::stderr(),
                "{}: {done} of {}, {broken} did not hold",
                self.name,
                self.all
            );
        }
    }
}

/// Goes on where the last one was stopped.
pub fn run(long: &Long) -> Result<(), String> {
    let mut state = if long.fresh { State::default() } else { State::read()? };
    if !state.points {
        let points = gate::points(1);
        if !long.json {
            println!("{}", points.table);
        }
        state.broken.extend(points.broken);
        state.points = true;
        state.save()?;
    }
    let shown = Shown::new("storms", state.seeds, long.seeds, long.json);
    while state.seeds < long.seeds {
        let until = long.seeds.min(state.seeds + STORMS_A_BATCH);
        let (faults, _, broken) = gate::storms(state.seeds..until, storm::Size::Whole);
        state.faults += faults;
        state.broken.extend(broken);
        state.seeds = until;
        state.save()?;
        shown.at(state.seeds, state.broken.len());
    }
    let shown = Shown::new("pairs", state.pairs, long.pairs, long.json);
    while state.pairs < long.pairs {
        let count = PAIRS_A_BATCH.min(long.pairs - state.pairs);
        let batch = state.pairs / PAIRS_A_BATCH;
        let scenario = OF_PAIRS[usize::try_from(batch % 3).unwrap_or_default()];
        let backend = if (batch / 3).is_multiple_of(2) {
            Backend::Memory
        } else {
            Backend::Disk
        };
        let (points, clean) = pairs(scenario, backend, usize::try_from(count).unwrap_or_default(), batch)?;
        let found = parallel(&points, |point| try_point(point, &clean));
        for (point, found) in points.iter().zip(found) {
            if let Some(what) = found.broken {
                state.broken.push(format!("pair {}: {what}", gate::again(point)));
            }
        }
        state.pairs += count;
        state.save()?;
        shown.at(state.pairs, state.broken.len());
    }
    let shown = Shown::new("kills", state.kills, long.kills, long.json);
    while state.kills < long.kills {
        let count = KILLS_A_BATCH.min(long.kills - state.kills);
        if let Err(what) = killed(state.kills, count) {
            state.broken.push(format!("kills with seed {}: {what}", state.kills));
        }
        state.kills += count;
        state.save()?;
        shown.at(state.kills, state.broken.len());
    }
    tell(long, &state)
}

fn killed(seed: u64, count: u64) -> Result<(), String> {
    let whole = std::panic::AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let count = usize::try_from(count).unwrap_or_default();
        runtime.block_on(kills::kill(
            &mut SmallRng::seed_from_u64(seed),
            seed,
            count.div_ceil(2),
            count / 2,
        ));
    });
    super::quietly(|| std::panic::catch_unwind(whole))
}

fn tell(long: &Long, state: &State) -> Result<(), String> {
    if long.json {
        println!("{}", serde_json::to_string(state).map_err(|error| error.to_string())?);
    } else {
        println!(
            "{} storms with {} faults, {} pairs, {} kills; {} did not hold",
            state.seeds,
            state.faults,
            state.pairs,
            state.kills,
            state.broken.len()
        );
    }
    if state.broken.is_empty() {
        Ok(())
    } else {
        Err(state.broken.join("\n\n"))
    }
}
