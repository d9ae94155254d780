//! token-refresh. Trigger: a timer; invoked by importer, console and callback.
//!
//! Reads: client secrets, grants, credentials. Writes: grants, access tokens, credentials.

/// Sets the sandbox up and handles events.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::run(functions::token_refresh::start).await
}
