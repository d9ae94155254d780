//! console. Trigger: an HTTP API, everything but `/OAuth2Callback`; an operator, directly.
//!
//! Reads: records; no secret. Writes: client secrets, credentials, accounts, schedules, keys of the API.

/// Sets the sandbox up and handles events.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::run(functions::web::console).await
}
