//! The real binary: killed at random moments, measured, fed with real mail, put on a broken disk.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by failing")]

mod disk;
mod kill;
mod memory;
mod real_mail;
