//! One-time links: how a browser gets a session, or begins to sign in, without a password.

use axum::Router;

use super::Web;

/// What a one-time link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Opens the console.
    Console,
    /// Signs somebody in for one credential, and nothing else.
    Authorize {
        /// The credential.
        credential: String,
        /// Another person may take over.
        rebind: bool,
    },
}

/// The shelf of one-time links.
#[derive(Clone)]
pub struct Launches;

pub(super) fn routes() -> Router<Web> {
    Router::new()
}
