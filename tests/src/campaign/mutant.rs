//! Whether a planted bug is caught, by what, and after how much: what `make campaign-mutants` asks of each copy of the tree.

use std::ops::ControlFlow;

use super::{Scenario, all_points, directory, gate, parallel, rehearse, storm, try_point};
use crate::world::Backend;

/// Storms before the points: most bugs show in the first few.
const FIRST: u64 = 48;
/// Points at a time, so that the answer comes early.
const BATCH: usize = 64;

fn points() -> ControlFlow<String, usize> {
    let mut tried = 0;
    for backend in Backend::ALL {
        for scenario in Scenario::ALL {
            let (points, clean) = match all_points(scenario, backend) {
                Ok(all) => all,
                Err(what) => return ControlFlow::Break(format!("{scenario:?} with nothing bent\t0\t{}", line(&what))),
            };
            for batch in points.chunks(BATCH) {
                let found = parallel(batch, |point| try_point(point, clean));
                let broken = batch
                    .iter()
                    .zip(found)
                    .enumerate()
                    .find_map(|(at, (point, found))| Some((at, point, found.broken?)));
                if let Some((at, point, what)) = broken {
                    let count = tried + at + 1;
                    return ControlFlow::Break(format!("point {}\t{count}\t{}", gate::again(point), line(&what)));
                }
                tried += batch.len();
            }
        }
    }
    ControlFlow::Continue(tried)
}

fn line(what: &str) -> String {
    let words: Vec<&str> = what.split_whitespace().collect();
    let text = words.join(" ");
    // A panic begins with where it happened.
    let text = text.split_once(": ").map_or(text.as_str(), |(_, said)| said);
    text.chars().take(160).collect()
}

/// Prints what caught the bug, as `what <tab> how many were tried <tab> what it said`; an error if nothing did.
pub fn caught(seeds: u64) -> Result<(), String> {
    let looks: [&dyn Fn() -> ControlFlow<String, usize>; 4] =
        [&scenes, &|| storms(0, seeds.min(FIRST)), &points, &|| {
            storms(FIRST, seeds)
        }];
    let mut tried = 0;
    let mut caught = None;
    for look in looks {
        match look() {
            ControlFlow::Break(answer) => {
                caught = Some(answer);
                break;
            }
            ControlFlow::Continue(more) => tried += more,
        }
    }
    let answer = caught.ok_or_else(|| format!("nothing caught it: {tried} scenes, points and storms"))?;
    println!("{answer}");
    std::fs::write(directory().join("mutant.txt"), answer).map_err(|error| error.to_string())
}

/// Every scene with nothing bent.
fn scenes() -> ControlFlow<String, usize> {
    for backend in Backend::ALL {
        let broken = parallel(&Scenario::ALL, |scenario| rehearse(*scenario, backend, &[]).err());
        for (at, (scenario, what)) in Scenario::ALL.iter().zip(broken).enumerate() {
            if let Some(what) = what {
                return ControlFlow::Break(format!("scene {scenario:?} {backend:?}\t{}\t{}", at + 1, line(&what)));
            }
        }
    }
    ControlFlow::Continue(2 * Scenario::ALL.len())
}

fn storms(first: u64, until: u64) -> ControlFlow<String, usize> {
    for at in (first..until).step_by(16) {
        let seeds: Vec<u64> = (at..until.min(at + 16)).collect();
        let told = parallel(&seeds, |seed| {
            storm::storm(*seed, storm::Size::Whole, false, &storm::Skip::new())
        });
        for (seed, told) in seeds.iter().zip(told) {
            if let Err(what) = told {
                return ControlFlow::Break(format!("storm {seed}\t{}\t{}", seed + 1, line(&what)));
            }
        }
    }
    ControlFlow::Continue(usize::try_from(until.saturating_sub(first)).unwrap_or_default())
}
