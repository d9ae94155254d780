//! Which calls were bent in which way how often, and how often that did not end well: the table that shows what was never tried.

use std::{collections::BTreeMap, fmt};

use crate::world::{Bend, Op};

/// Counts by call and bend.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    all: BTreeMap<(Op, Bend), u64>,
    /// Those of them after which something did not hold.
    broken: BTreeMap<(Op, Bend), u64>,
}

impl Hits {
    /// Counts one.
    pub fn add(&mut self, op: Op, bend: Bend) {
        *self.all.entry((op, bend)).or_default() += 1;
    }

    /// Of those that were counted: one did not end well.
    pub fn broke(&mut self, op: Op, bend: Bend) {
        *self.broken.entry((op, bend)).or_default() += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (cell, count) in &other.all {
            *self.all.entry(*cell).or_default() += count;
        }
        for (cell, count) in &other.broken {
            *self.broken.entry(*cell).or_default() += count;
        }
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.all.values().sum()
    }

    /// Cells that mean something and were never hit.
    pub fn empty_cells(&self) -> Vec<(Op, Bend)> {
        let all = Op::ALL
            .iter()
            .flat_map(|op| Bend::ALL.iter().map(move |bend| (*op, *bend)));
        all.filter(|(op, bend)| op.takes(*bend) && !self.all.contains_key(&(*op, *bend)))
            .collect()
    }
}

/// A table: a row per call, a column per bend, `-` where the bend means nothing, `0` where it was never tried. `82!3`: three
/// of 82 did not end well.
impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}", "")?;
        for bend in Bend::ALL {
            write!(f, "{:>9}", format!("{bend:?}").to_lowercase())?;
        }
        for op in Op::ALL {
            write!(f, "\n{:<16}", format!("{op:?}"))?;
            for bend in Bend::ALL {
                let count = self.all.get(&(op, bend)).copied().unwrap_or_default();
                let cell = match self.broken.get(&(op, bend)) {
                    Some(broken) => format!("{count}!{broken}"),
                    None if op.takes(bend) => count.to_string(),
                    None => "-".into(),
                };
                write!(f, "{cell:>9}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_did_not_end_well_and_what_was_never_tried() {
        let mut hits = Hits::default();
        hits.add(Op::StoreGet, Bend::Error);
        hits.add(Op::StoreGet, Bend::Error);
        hits.broke(Op::StoreGet, Bend::Error);
        let mut sum = Hits::default();
        sum.merge(&hits);
        sum.add(Op::StoreGet, Bend::Before);
        let table = sum.to_string();
        let row: Vec<&str> = table
            .lines()
            .find(|line| line.starts_with("StoreGet "))
            .unwrap()
            .split_whitespace()
            .collect();
        assert_eq!(row[..5], ["StoreGet", "1", "0", "-", "2!1"], "{table}");
    }
}
