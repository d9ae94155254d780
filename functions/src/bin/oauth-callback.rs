//! oauth-callback. Trigger: an HTTP API, `GET /OAuth2Callback`.
//!
//! Reads: the sign-in that was begun; no secret. Writes: how it ended; hands code and verifier to token-refresh.

/// Sets the sandbox up and handles events.
#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    functions::serve::run(functions::web::callback).await
}
