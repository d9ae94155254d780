//! Conformance: one suite per port, written against the trait and its prose, run over every adapter.
//!
//! A suite panics with what it found; it is called from tests only.

#![expect(clippy::expect_used, reason = "a suite fails by panicking, as a test does")]

pub mod archive;
pub mod clock_rng;
pub mod http;
pub mod publisher;
pub mod scheduler;
pub mod store;
mod store_limits;
mod store_pages;
mod store_parallel;
pub mod vault;
