//! Whether a planted bug is caught by what every `make test` plays, by what, and after how much: what
//! `make campaign-mutants` asks of each copy of the tree. And a smaller look, for bugs planted by the hundred.

use std::ops::ControlFlow;

use super::{
    Scenario,
    gate::{self, OTHERS},
    parallel, rehearse, storm, try_point,
};
use crate::world::Backend;

/// Storms before the points: many bugs show in the first few.
const FIRST: u64 = 64;
/// Storms of a small look, and one in so many of the points.
const FEW: u64 = 40;
const SOME: usize = 16;
/// Points and storms at a time, so that the answer comes early.
const BATCH: usize = 64;

/// How many were tried, or what caught it: `what <tab> how many were tried <tab> what it said`.
type Look = ControlFlow<String, usize>;

/// Every scene with nothing bent.
fn scenes() -> Look {
    for backend in Backend::ALL {
        let broken = parallel(&Scenario::ALL, |scenario| rehearse(*scenario, backend, &[]).err());
        for (at, (scenario, what)) in Scenario::ALL.iter().zip(broken).enumerate() {
            if let Some(what) = what {
                let scene = format!("{scenario:?}").to_lowercase();
                return ControlFlow::Break(format!("scene `{scene}`\t{}\t{}", at + 1, line(&what)));
            }
        }
    }
    ControlFlow::Continue(2 * Scenario::ALL.len())
}

/// The points of `make test` on these stores; of them each so-many-th.
fn points(backends: &[Backend], each: usize) -> Look {
    let mut tried = 0;
    for backend in backends.iter().copied() {
        for scenario in Scenario::ALL {
            let (points, clean) = match gate::chosen(scenario, backend, OTHERS) {
                Ok((all, clean)) => (all.into_iter().step_by(each).collect::<Vec<_>>(), clean),
                Err(what) => return ControlFlow::Break(format!("scene `{scenario:?}`\t0\t{}", line(&what))),
            };
            for batch in points.chunks(BATCH) {
                let found = parallel(batch, |point| try_point(point, &clean));
                let broken = batch
                    .iter()
                    .zip(found)
                    .enumerate()
                    .find_map(|(at, (point, found))| Some((at, point, found.broken?)));
                if let Some((at, point, what)) = broken {
                    let count = tried + at + 1;
                    return ControlFlow::Break(format!("point `{}`\t{count}\t{}", gate::again(point), line(&what)));
                }
                tried += batch.len();
            }
        }
    }
    ControlFlow::Continue(tried)
}

fn storms(first: u64, until: u64) -> Look {
    for at in (first..until).step_by(BATCH) {
        let seeds: Vec<u64> = (at..until.min(at + BATCH as u64)).collect();
        let told = parallel(&seeds, |seed| {
            storm::storm(*seed, storm::Size::Small, false, &storm::Skip::new())
        });
        for (seed, told) in seeds.iter().zip(told) {
            if let Err(what) = told {
                return ControlFlow::Break(format!("storm {seed}\t{}\t{}", seed + 1, line(&what)));
            }
        }
    }
    ControlFlow::Continue(usize::try_from(until.saturating_sub(first)).unwrap_or_default())
}

fn line(what: &str) -> String {
    let words: Vec<&str> = what.split_whitespace().collect();
    let text = words.join(" ");
    // A panic begins with where it happened.
    let text = text.split_once(": ").map_or(text.as_str(), |(_, said)| said);
    text.chars().take(160).collect()
}

/// What caught the bug, or how much was tried.
fn looked(looks: &[&dyn Fn() -> Look]) -> Look {
    let mut tried = 0;
    for look in looks {
        tried += look()?;
    }
    ControlFlow::Continue(tried)
}

/// Prints what caught the bug, as `what <tab> how many were tried <tab> what it said`; an error if nothing did.
pub fn caught(seeds: u64) -> Result<(), String> {
    let first = seeds.min(FIRST);
    let points = || points(&Backend::ALL, 1);
    match looked(&[&scenes, &|| storms(0, first), &points, &|| storms(first, seeds)]) {
        ControlFlow::Break(answer) => {
            println!("{answer}");
            Ok(())
        }
        ControlFlow::Continue(tried) => Err(format!("nothing caught it: {tried} scenes, points and storms")),
    }
}

/// A small part of the same: every scene, one in sixteen of the points in memory, a few storms. What did not hold, if
/// something did not; otherwise how much was tried.
pub fn briefly() -> Result<usize, String> {
    let points = || points(&[Backend::Memory], SOME);
    match looked(&[&scenes, &points, &|| storms(0, FEW)]) {
        ControlFlow::Break(answer) => Err(answer),
        ControlFlow::Continue(tried) => Ok(tried),
    }
}
