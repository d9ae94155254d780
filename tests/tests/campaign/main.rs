//! The quick gate of the fault campaign: all points of all scenes on both stores, and two thousand storms.

mod found;
mod gate;

/// As the program `campaign` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
