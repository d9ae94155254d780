//! OAuth: how tokens are asked for, kept and renewed.
//!
//! The room holds client credentials now. Signing in (authorization code) gets its own files beside these; the port
//! [`crate::ports::Tokens`] and the error table serve both.

mod aadsts;
mod entra;
mod error;
mod token;

pub use error::{TokenError, TokenErrorKind};
pub use token::{TokenService, USABLE_FOR, settings_digest, token_due};
