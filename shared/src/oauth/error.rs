//! What the token endpoint's answers mean. Placeholder of the types; the table follows.

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub String);
