//! Every adapter against the suite of its port, and what is particular to each.

mod damage;
mod embedded;
mod memory;
mod processes;
mod timers;
