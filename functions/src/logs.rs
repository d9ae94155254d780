//! Logs: one JSON object a line on standard output, which Lambda hands to CloudWatch.

use shared::config::{Config, ConfigError};
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged if nobody says otherwise.
const USUAL: &str = "info";

/// Starts logging. The spans of a line carry request id, account and run.
pub fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = config.log.as_deref().unwrap_or(USUAL);
    let filter = EnvFilter::builder().parse(filter).map_err(|error| ConfigError {
        name: "POSTROOM_LOG",
        reason: format!("{error}; give for example `info` or `shared=debug`"),
    })?;
    let builder = fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_env_filter(filter)
        .with_target(false);
    // Started before in this process (several functions in one test): that one goes on.
    drop(builder.try_init());
    Ok(())
}
