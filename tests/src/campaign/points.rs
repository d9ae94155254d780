//! Points: every step of every scene, bent in every way that means something; and pairs of crashes.

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng, seq::IndexedRandom as _};

use super::{
    rehearse::{Plan, Rehearsed, rehearse},
    scenario::Scenario,
};
use crate::world::{Backend, Bend, Op};

/// A scene, its stores, and what is bent.
#[derive(Debug, Clone)]
pub struct Point {
    /// The scene.
    pub scenario: Scenario,
    /// Its stores.
    pub backend: Backend,
    /// What is bent: in the act, and in each life after it.
    pub lives: Vec<Plan>,
}

impl Point {
    /// Whether the process dies in it, or an answer is lost.
    pub fn is_crash(&self) -> bool {
        let mut bends = self.lives.iter().flatten();
        bends.any(|(_, bend)| matches!(bend, Bend::Before | Bend::After | Bend::Lost))
    }
}

/// What a point came to.
#[derive(Debug, Clone)]
pub struct Found {
    /// The bends that happened.
    pub met: Vec<(usize, Op, Bend)>,
    /// Runs after the last fault until all was at rest.
    pub runs: usize,
    /// What did not hold.
    pub broken: Option<String>,
}

/// Requests that one fault may cost: the run again, and as much for what it had in hand.
fn most_requests(clean: u64, lives: &[Plan]) -> u64 {
    clean + (clean + 20) * lives.iter().map(Vec::len).sum::<usize>() as u64
}

/// Whether what was bent may not show in how the runs end: the answer to one commit that is lost, or refused for a moment,
/// is looked for, and the run goes on. Where an admin is at work at the same time, moments count.
fn goes_on(scenario: Scenario, met: &[(usize, Op, Bend)]) -> bool {
    let commit = matches!(
        met,
        [(
            _,
            Op::StoreTransact,
            Bend::Lost | Bend::Error | Bend::Conflict | Bend::Twice
        )]
    );
    commit && !matches!(scenario, Scenario::Edit | Scenario::Removal)
}

/// Tries one point; `clean` is how the scene goes when nothing goes wrong.
pub fn try_point(point: &Point, clean: &Rehearsed) -> Found {
    match rehearse(point.scenario, point.backend, &point.lives) {
        Ok(Rehearsed {
            met,
            runs,
            requests,
            ends,
            ..
        }) => {
            let most = most_requests(clean.requests, &point.lives);
            let broken = if requests > most {
                Some(format!("INV-9: {requests} requests, {most} allowed"))
            } else if goes_on(point.scenario, &met) && ends != clean.ends {
                Some(format!(
                    "INV-10: the runs ended as {ends:?} instead of {:?}",
                    clean.ends
                ))
            } else {
                None
            };
            Found { met, runs, broken }
        }
        Err(broken) => Found {
            met: Vec::new(),
            runs: 0,
            broken: Some(broken),
        },
    }
}

/// Every point of a scene on these stores, with how the scene goes when nothing goes wrong.
pub fn all_points(scenario: Scenario, backend: Backend) -> Result<(Vec<Point>, Rehearsed), String> {
    let clean = rehearse(scenario, backend, &[])?;
    let mut points = Vec::new();
    for (step, op) in clean.trace.iter().enumerate() {
        for bend in Bend::ALL {
            // The past is what memory can show; a file of one machine has none.
            let shown = bend != Bend::Stale || backend == Backend::Memory;
            if op.takes(bend) && shown {
                points.push(Point {
                    scenario,
                    backend,
                    lives: vec![vec![(step, bend)]],
                });
            }
        }
    }
    Ok((points, clean))
}

/// Pairs of crashes, of which the second comes while the first is recovered from; drawn from a seed.
pub fn pairs(scenario: Scenario, backend: Backend, count: usize, seed: u64) -> Result<(Vec<Point>, Rehearsed), String> {
    let clean = rehearse(scenario, backend, &[])?;
    let mut rng = SmallRng::seed_from_u64(seed);
    let steps = clean.trace.len();
    let mut crash = || {
        let end = *[Bend::Before, Bend::After].choose(&mut rng).unwrap_or(&Bend::After);
        vec![(rng.random_range(0..steps), end)]
    };
    let points = (0..count).map(|_| Point {
        scenario,
        backend,
        lives: vec![crash(), crash()],
    });
    Ok((points.collect(), clean))
}
