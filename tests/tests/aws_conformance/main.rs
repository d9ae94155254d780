//! Every AWS adapter against the suite of its port, on an emulator. Needs `POSTROOM_TEST_AWS=http://127.0.0.1:PORT`.

#![expect(clippy::expect_used, reason = "these are tests")]

mod adapters;
mod engine;
