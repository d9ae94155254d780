//! Logs go to standard error, as text or as JSON lines; standard output belongs to the answer.

use std::io;

use shared::config::Config;
use tracing_subscriber::{EnvFilter, fmt};

use super::{failure::Failure, output::Output};

/// Starts logging with the filter of the settings, or else this one.
pub(super) fn start(config: &Config, otherwise: &str, output: &Output) -> Result<(), Failure> {
    let filter = config.log.as_deref().unwrap_or(otherwise);
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Failure::usage(format!(
            "the setting POSTROOM_LOG (or --log) is wrong: {error}; give for example `info` or `shared=debug`"
        ))
    })?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(output.colour_stderr)
        .with_target(false);
    let started = if config.log_json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    // Started before in this process (tests of several commands in one): that one goes on.
    drop(started);
    Ok(())
}
