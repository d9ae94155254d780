//! The binary `postroom`: hands arguments and environment to the command line, and its exit code to the system.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The C library's allocator keeps a heap for every thread that ever waited for a disk, and what was freed there stays there:
/// with thousands of accounts that was most of the memory of `serve`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(local::cli::run(std::env::args_os().collect(), &environment))
}

/// The one place that reads the environment.
#[expect(clippy::disallowed_methods, reason = "settings come in here, and go on as a lookup")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
