//! The quick gate of the fault campaign: all points of all scenes on both stores, and two thousand storms.

#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

mod found;
mod gate;
