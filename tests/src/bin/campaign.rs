//! `campaign`: the long campaign, resumable; one seed or one point again, told; and the short one that a mutant has to fail.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tests::campaign::{
    Scenario, all_points, gate,
    long::{self, Long},
    mutant,
    storm::{self, Size},
    try_point,
};

/// A storm is a great many small pieces of memory: an eighth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Faults, seeded: nothing is lost, doubled or stuck")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The long campaign: goes on where it was stopped.
    Long(Long),
    /// One storm again, told line by line.
    Seed {
        /// The seed.
        seed: u64,
        /// Happenings to leave out, as a failure names them.
        #[arg(long, value_delimiter = ',')]
        skip: Vec<usize>,
        /// As small as the storms of `make test` are.
        #[arg(long)]
        small: bool,
    },
    /// One scene again with one step bent.
    Point {
        /// The scene, as the table names it.
        scenario: String,
        /// `memory` or `disk`.
        backend: String,
        /// The step.
        step: usize,
        /// What becomes of it.
        bend: String,
    },
    /// What of `make test` catches a planted bug: scenes, points and storms; ends at the first that fails.
    Mutant {
        /// Storms at most.
        #[arg(long, default_value_t = gate::STORMS)]
        seeds: u64,
    },
}

fn named<T: std::fmt::Debug + Copy>(all: impl IntoIterator<Item = T>, name: &str) -> Option<T> {
    all.into_iter()
        .find(|one| format!("{one:?}").eq_ignore_ascii_case(name))
}

fn point(scenario: &str, backend: &str, step: usize, bend: &str) -> Result<(), String> {
    let scenario = named(Scenario::ALL, scenario).ok_or("there is no such scene")?;
    let backend = named(tests::world::Backend::ALL, backend).ok_or("the stores are `memory` or `disk`")?;
    let bend = named(tests::world::Bend::ALL, bend).ok_or("there is no such bend")?;
    let (mut points, clean) = all_points(scenario, backend)?;
    points.retain(|point| point.lives == [vec![(step, bend)]]);
    let point = points.first().ok_or("that step takes no such bend")?;
    let found = try_point(point, &clean);
    println!("{:?}, at rest after {} runs", found.met, found.runs);
    found.broken.map_or(Ok(()), Err)
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Long(long) => long::run(&long),
        What::Seed { seed, skip, small } => {
            let size = if small { Size::Small } else { Size::Whole };
            storm::storm(seed, size, true, &skip.into_iter().collect()).map(|told| {
                println!("{} faults, digest {}", told.faults, told.digest);
            })
        }
        What::Point {
            scenario,
            backend,
            step,
            bend,
        } => point(&scenario, &backend, step, &bend),
        What::Mutant { seeds } => mutant::caught(seeds),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}
