//! The binary `postroom`: hands arguments and environment to the command line, and its exit code to the system.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(local::cli::run(std::env::args_os().collect(), &environment))
}

/// The one place that reads the environment.
#[expect(clippy::disallowed_methods, reason = "settings come in here, and go on as a lookup")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
