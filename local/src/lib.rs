//! Postroom on one machine: the embedded adapters and what the binary `postroom` is made of.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod adapters;
pub mod cli;
#[cfg(feature = "demo")]
mod demo;
mod reconcile;
mod serve;
