//! One crate that sees all: suites that every adapter of a port must pass, and what tests share.

pub mod binary;
pub mod conformance;
pub mod world;
