//! watch. Trigger: a timer, every minute.
//!
//! Reads: accounts, schedules. Writes: schedules, runs of the importer, metrics.

/// Sets the sandbox up and handles events.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::run(functions::watch::start).await
}
