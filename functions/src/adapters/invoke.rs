//! One invocation of another function, waited for: its answer, or what became of it.

use aws_sdk_lambda::Client;
use aws_smithy_types::Blob;
use serde::Deserialize;

use crate::sdk::Fault;

/// Why there is no answer.
pub(super) enum Failed {
    /// AWS did not invoke it, or nobody knows.
    Call(Fault),
    /// It failed before it could answer.
    Function(Said),
}

/// What Lambda says of a function that failed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Said {
    pub(super) error_type: String,
    pub(super) error_message: String,
}

impl Said {
    pub(super) fn of(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_default()
    }
}

/// Invokes a function (its name or ARN) and waits for what it answers.
pub(super) async fn invoke(client: &Client, function: &str, event: Vec<u8>) -> Result<Vec<u8>, Failed> {
    let call = client.invoke().function_name(function).payload(Blob::new(event));
    let answer = call.send().await.map_err(|error| Failed::Call(Fault::of(&error)))?;
    let payload = answer.payload.unwrap_or_else(|| Blob::new([])).into_inner();
    if answer.function_error.is_some() {
        return Err(Failed::Function(Said::of(&payload)));
    }
    Ok(payload)
}
