//! One crate that sees all: suites that every adapter of a port must pass, and what tests share.
#![expect(
    clippy::expect_used,
    reason = "this crate is tests: a broken expectation is a failed test"
)]

#[cfg(feature = "aws")]
pub mod aws;
pub mod binary;
pub mod campaign;
pub mod cli;
pub mod conformance;
pub mod faulty_store;
pub mod issuer;
pub mod world;
