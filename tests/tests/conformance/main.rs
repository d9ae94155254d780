//! Every adapter against the suite of its port, and what is particular to each.

#![expect(clippy::expect_used, reason = "these are tests")]

mod damage;
mod damaged_vault;
mod data_dir;
mod embedded;
mod gate;
mod memory;
mod processes;
mod timers;
