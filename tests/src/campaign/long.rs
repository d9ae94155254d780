//! The long campaign: storms, pairs of crashes, real kills, in turns; in batches, each noted when it is done, so that it goes on
//! later, and so that there is something of everything whenever it is stopped.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rand::{SeedableRng as _, rngs::SmallRng};
use serde::{Deserialize, Serialize};

use super::{Scenario, cpu_time, directory, gate, kills, pairs, parallel, storm, try_point};
use crate::world::Backend;

/// The scenes of the pairs.
const OF_PAIRS: [Scenario; 3] = [Scenario::FirstImport, Scenario::Moves, Scenario::Renewal];
/// Of so many storms one is a whole one: what takes several times as long shows little more.
const A_WHOLE_ONE: u64 = 20;

/// How much.
#[derive(Debug, Args)]
pub struct Long {
    /// Storms: one in twenty a whole one, the others small.
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

/// What is done in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Storms,
    Pairs,
    Kills,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Storms, Self::Pairs, Self::Kills];

    fn batch(self) -> u64 {
        match self {
            Self::Storms => 200,
            Self::Pairs => 300,
            Self::Kills => 50,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Storms => "storms",
            Self::Pairs => "pairs",
            Self::Kills => "kills",
        }
    }

    fn wanted(self, long: &Long) -> u64 {
        match self {
            Self::Storms => long.seeds,
            Self::Pairs => long.pairs,
            Self::Kills => long.kills,
        }
    }
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Whether all points were tried.
    #[serde(default)]
    points: bool,
    seeds: u64,
    /// Whole ones among the storms.
    #[serde(default)]
    whole: u64,
    pairs: u64,
    kills: u64,
    /// Faults that storms met.
    faults: u64,
    /// Seconds of it all, and seconds of processors of the campaign itself (not of the binary that is killed).
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    cpu_seconds: f64,
    /// The same of the storms alone.
    #[serde(default)]
    storm_cpu_seconds: f64,
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

    fn done(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Storms => &mut self.seeds,
            Kind::Pairs => &mut self.pairs,
            Kind::Kills => &mut self.kills,
        }
    }

    /// Whose turn it is, from where on, and how many: of what is furthest from its end.
    fn turn(&mut self, long: &Long) -> Option<(Kind, u64, u64)> {
        let mut next: Option<(Kind, u64, u64)> = None;
        for kind in Kind::ALL {
            let (done, wanted) = (*self.done(kind), kind.wanted(long));
            // Compared as fractions: done / wanted.
            let behind = next.is_none_or(|(other, from, _)| {
                u128::from(done) * u128::from(other.wanted(long)) < u128::from(from) * u128::from(wanted)
            });
            if done < wanted && behind {
                next = Some((kind, done, kind.batch().min(wanted - done)));
            }
        }
        next
    }

    fn note(&mut self, begun: Instant, cpu: Duration) {
        self.seconds += begun.elapsed().as_secs_f64();
        self.cpu_seconds += cpu.as_secs_f64();
    }
}

/// A bar on a terminal, lines anywhere else, nothing with `--json`.
struct Shown {
    bars: Option<[ProgressBar; 3]>,
    lines: bool,
}

impl Shown {
    fn new(long: &Long, state: &mut State) -> Self {
        let terminal = io::stderr().is_terminal();
        let bars = (terminal && !long.json).then(|| {
            let all = MultiProgress::new();
            Kind::ALL.map(|kind| {
                let bar = ProgressBar::new(kind.wanted(long)).with_position(*state.done(kind));
                let bar = all.add(bar.with_prefix(kind.name()));
                if let Ok(style) = ProgressStyle::with_template("{prefix:8} {wide_bar} {pos}/{len} {eta}") {
                    bar.set_style(style);
                }
                bar
            })
        });
        Self {
            bars,
            lines: !terminal && !long.json,
        }
    }

    fn at(&self, kind: Kind, done: u64, long: &Long, broken: usize) {
        if let Some(bars) = &self.bars {
            for (bar, of) in bars.iter().zip(Kind::ALL) {
                if of == kind {
                    bar.set_position(done);
                }
            }
        }
        if self.lines {
            let (name, all) = (kind.name(), kind.wanted(long));
            let _ = writeln!(io::stderr(), "{name}: {done} of {all}, {broken} did not hold");
        }
    }
}

/// Goes on where the last one was stopped.
pub fn run(long: &Long) -> Result<(), String> {
    let mut state = if long.fresh { State::default() } else { State::read()? };
    if !state.points {
        let (begun, cpu) = (Instant::now(), cpu_time());
        let points = gate::points(1);
        if !long.json {
            println!("{}", points.table);
        }
        state.broken.extend(points.broken);
        state.points = true;
        state.note(begun, cpu_time().saturating_sub(cpu));
        state.save()?;
    }
    let shown = Shown::new(long, &mut state);
    while let Some((kind, from, count)) = state.turn(long) {
        let (begun, cpu) = (Instant::now(), cpu_time());
        match kind {
            Kind::Storms => storms(&mut state, from, count),
            Kind::Pairs => crashes(&mut state, from, count)?,
            Kind::Kills => {
                if let Err(what) = killed(from, count) {
                    state.broken.push(format!("kills with seed {from}: {what}"));
                }
            }
        }
        let cpu = cpu_time().saturating_sub(cpu);
        if kind == Kind::Storms {
            state.storm_cpu_seconds += cpu.as_secs_f64();
        }
        state.note(begun, cpu);
        *state.done(kind) += count;
        state.save()?;
        shown.at(kind, from + count, long, state.broken.len());
    }
    tell(long, &state)
}

fn storms(state: &mut State, from: u64, count: u64) {
    let seeds = from..from + count;
    let (whole, small): (Vec<u64>, Vec<u64>) = seeds.partition(|seed| seed.is_multiple_of(A_WHOLE_ONE));
    state.whole += whole.len() as u64;
    for (seeds, size) in [(whole, storm::Size::Whole), (small, storm::Size::Small)] {
        let (faults, _, broken) = gate::storms(&seeds, size);
        state.faults += faults;
        state.broken.extend(broken);
    }
}

fn crashes(state: &mut State, from: u64, count: u64) -> Result<(), String> {
    let batch = from / Kind::Pairs.batch();
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
    Ok(())
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
            "{} storms ({} whole, the others small) with {} faults, {} pairs, {} kills; {} did not hold; {:.0} s, {:.0} s of processors, \
             {:.1} ms of them for a storm",
            state.seeds,
            state.whole,
            state.faults,
            state.pairs,
            state.kills,
            state.broken.len(),
            state.seconds,
            state.cpu_seconds,
            1000.0 * state.storm_cpu_seconds / f64::from(u32::try_from(state.seeds.max(1)).unwrap_or(u32::MAX))
        );
    }
    if state.broken.is_empty() {
        Ok(())
    } else {
        Err(state.broken.join("\n\n"))
    }
}
