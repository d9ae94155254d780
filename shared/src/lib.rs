//! What is true in both worlds: domain, OAuth, Graph, import, web. Knows no AWS, no files, no environment.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod memory;
pub mod oauth;
pub mod ports;
pub mod secret;
pub mod store_rules;
