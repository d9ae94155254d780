//! shared
pub mod content;
