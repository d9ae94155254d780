//! What is true in both worlds: domain, OAuth, Graph, import, web. Knows no AWS, no files, no environment.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod account;
pub mod archive;
pub mod catalogue;
pub mod config;
pub mod content;
pub mod credential;
pub mod error;
pub mod field;
pub mod graph;
pub mod import;
pub mod manage;
pub mod memory;
pub mod message;
pub mod oauth;
pub mod origin;
pub mod ports;
pub mod records;
pub mod secret;
pub mod store_rules;
pub mod system;
pub mod time;
pub mod warning;
pub mod watch;
pub mod web;
pub mod wire;
