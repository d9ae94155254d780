//! OAuth: how tokens are asked for, kept and renewed.

mod error;

pub use error::TokenError;
