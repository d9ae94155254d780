//! importer. Trigger: EventBridge Scheduler, one schedule per account; `watch`.
//!
//! Reads: the account's item and records, access tokens, Graph. Writes: the archive, records, the account's events on the bus.

/// Sets the sandbox up and handles events.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::run(functions::importer::start).await
}
