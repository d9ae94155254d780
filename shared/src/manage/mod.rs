//! What an admin does, whatever they do it with: credentials and accounts made, changed, applied, removed.
//!
//! The command line and the console call the same functions, so that both refuse the same and note the same.
