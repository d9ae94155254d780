//! What every `make test` does of the campaign: all points, and some storms.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use super::{
    Found, Hits, Point, Rehearsed, all_points, cpu_time, directory, parallel, scenario::Scenario, storm, try_point,
};
use crate::world::Backend;

/// Storms of every `make test`.
pub const STORMS: u64 = 2_000;
/// Crashes and lost answers are tried at every step by every `make test`; of the other bends each so-many-th, all of them
/// by `make campaign`.
pub const OTHERS: usize = 7;

/// The points of all scenes, tried.
pub struct Points {
    /// How many there were.
    pub count: usize,
    /// Which calls were bent how, per stores.
    pub hits: Vec<(Backend, Hits)>,
    /// Points that did not hold, as a person repeats them.
    pub broken: Vec<String>,
    /// What a person reads.
    pub table: String,
}

/// How to repeat a point.
pub fn again(point: &Point) -> String {
    let lives = point.lives.iter().map(|plan| {
        let bends = plan.iter().map(|(step, bend)| format!("{step} {bend:?}"));
        bends.collect::<Vec<_>>().join(" + ")
    });
    format!(
        "{:?} {:?} {}",
        point.scenario,
        point.backend,
        lives.collect::<Vec<_>>().join(" then ")
    )
    .to_lowercase()
}

/// The points of a scene, with how it goes when nothing goes wrong. `others`: of those that are no crash and no lost
/// answer, each so-many-th only.
pub fn chosen(scenario: Scenario, backend: Backend, others: usize) -> Result<(Vec<Point>, Rehearsed), String> {
    let (points, clean) = all_points(scenario, backend)?;
    let points = points.into_iter().enumerate();
    let points = points.filter(|(at, point)| point.is_crash() || at.is_multiple_of(others.max(1)));
    Ok((points.map(|(_, point)| point).collect(), clean))
}

/// Tries the chosen points of every scene on both stores.
pub fn points(others: usize) -> Points {
    let (begun, cpu) = (Instant::now(), cpu_time());
    let scenes: Vec<(Scenario, Backend)> = Scenario::ALL
        .into_iter()
        .flat_map(|scenario| Backend::ALL.map(|backend| (scenario, backend)))
        .collect();
    let lists = parallel(&scenes, |(scenario, backend)| chosen(*scenario, *backend, others));
    let (mut table, mut broken) = (String::new(), Vec::new());
    let mut work: Vec<(Point, Arc<Rehearsed>)> = Vec::new();
    for ((scenario, backend), list) in scenes.iter().zip(lists) {
        match list {
            Ok((points, clean)) => {
                let _ = writeln!(table, "{scenario:?} {backend:?}: {} points", points.len());
                let clean = Arc::new(clean);
                work.extend(points.into_iter().map(|point| (point, Arc::clone(&clean))));
            }
            Err(what) => broken.push(format!("{scenario:?} {backend:?} with nothing bent: {what}")),
        }
    }
    let found: Vec<Found> = parallel(&work, |(point, clean)| try_point(point, clean));
    let mut hits: Vec<(Backend, Hits)> = Backend::ALL.map(|backend| (backend, Hits::default())).to_vec();
    let (mut runs, mut unmet) = (0, 0);
    for ((point, _), found) in work.iter().zip(&found) {
        runs = runs.max(found.runs);
        unmet += usize::from(found.met.is_empty() && found.broken.is_none());
        for (backend, hits) in &mut hits {
            for (_, op, bend) in found.met.iter().filter(|_| *backend == point.backend) {
                hits.add(*op, *bend);
                if found.broken.is_some() {
                    hits.broke(*op, *bend);
                }
            }
        }
        if let Some(what) = &found.broken {
            broken.push(format!("`campaign point {}`: {what}", again(point)));
        }
    }
    for (backend, hits) in &hits {
        let _ = writeln!(table, "\n{backend:?}\n{hits}");
        let empty = hits.empty_cells();
        let _ = writeln!(table, "{} empty cells: {empty:?}", empty.len());
    }
    let _ = writeln!(
        table,
        "\n{} points, {} did not hold, {unmet} came to rest before their step; at most {runs} runs to rest; {:.0} s, {:.0} s of processors",
        work.len(),
        broken.len(),
        begun.elapsed().as_secs_f64(),
        cpu_time().saturating_sub(cpu).as_secs_f64()
    );
    std::fs::write(directory().join("points.txt"), &table).expect("the table is written");
    Points {
        count: work.len(),
        hits,
        broken,
        table,
    }
}

/// Storms of these seeds: faults they met, what was bent how, and those that did not end well, with what a person needs to
/// look at each.
pub fn storms(seeds: &[u64], size: storm::Size) -> (u64, Hits, Vec<String>) {
    let told = parallel(seeds, |seed| storm::storm(*seed, size, false, &storm::Skip::new()));
    let (mut faults, mut hits, mut broken) = (0, Hits::default(), Vec::new());
    for (seed, told) in seeds.iter().zip(told) {
        match told {
            Ok(told) => {
                faults += told.faults;
                hits.merge(&told.hits);
            }
            Err(what) => broken.push(storm::explain(*seed, size, &what)),
        }
    }
    (faults, hits, broken)
}
