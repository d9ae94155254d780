//! Postroom on AWS: the adapters over AWS services, and what the Lambda functions are made of.
//!
//! | file | job |
//! |---|---|
//! | `adapters/` | the ports over AWS services |
//! | `settings.rs` `tls.rs` `sdk.rs` | what a sandbox is set up with |
//! | `sandbox.rs` | the clients of a sandbox, made once; ports from them |
//! | `serve.rs` `failure.rs` | events in, answers and typed errors out |
//! | `importer.rs` `token_refresh.rs` `watch.rs` `web.rs` | the functions |
//! | `logs.rs` `metrics.rs` | what is told, and the names alarms watch |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod adapters;
pub mod failure;
pub mod importer;
pub mod logs;
pub mod metrics;
pub mod sandbox;
pub mod sdk;
pub mod serve;
pub mod settings;
pub mod tls;
pub mod token_refresh;
mod warm;
pub mod watch;
pub mod web;
