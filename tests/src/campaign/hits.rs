//! Which calls were bent in which way how often: the table that shows what was never tried.

use std::{collections::BTreeMap, fmt};

use crate::world::{Bend, Op};

/// Counts by call and bend.
#[derive(Debug, Clone, Default)]
pub struct Hits(BTreeMap<(Op, Bend), u64>);

impl Hits {
    /// Counts one.
    pub fn add(&mut self, op: Op, bend: Bend) {
        *self.0.entry((op, bend)).or_default() += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (cell, count) in &other.0 {
            *self.0.entry(*cell).or_default() += count;
        }
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Cells that mean something and were never hit.
    pub fn empty_cells(&self) -> Vec<(Op, Bend)> {
        let all = Op::ALL
            .iter()
            .flat_map(|op| Bend::ALL.iter().map(move |bend| (*op, *bend)));
        all.filter(|(op, bend)| op.takes(*bend) && !self.0.contains_key(&(*op, *bend)))
            .collect()
    }
}

/// A table: a row per call, a column per bend, `-` where the bend means nothing, `0` where it was never tried.
impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}", "")?;
        for bend in Bend::ALL {
            write!(f, "{:>9}", format!("{bend:?}").to_lowercase())?;
        }
        for op in Op::ALL {
            write!(f, "\n{:<16}", format!("{op:?}"))?;
            for bend in Bend::ALL {
                let count = self.0.get(&(op, bend)).copied().unwrap_or_default();
                let cell = if op.takes(bend) { count.to_string() } else { "-".into() };
                write!(f, "{cell:>9}")?;
            }
        }
        Ok(())
    }
}
