//! Graph's error envelope and the errors this simulator knows.

use crate::clock::inner_error_time;
use crate::wire::{Reply, json, set};
use serde_json::json;

/// One refusal of Graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// `Retry-After` in milliseconds; written as a decimal, as Graph does.
    pub(crate) retry_after_ms: Option<i64>,
}

impl GraphError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            retry_after_ms: None,
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn item_not_found() -> Self {
        Self::new(
            404,
            "ErrorItemNotFound",
            "The specified object was not found in the store.",
        )
    }

    pub(crate) fn malformed_id() -> Self {
        Self::new(400, "ErrorInvalidIdMalformed", "Id is malformed.")
    }

    pub(crate) fn token(message: &str) -> Self {
        Self::new(401, "InvalidAuthenticationToken", message)
    }

    pub(crate) fn denied() -> Self {
        Self::new(
            403,
            "ErrorAccessDenied",
            "Access is denied. Check credentials and try again.",
        )
    }

    pub(crate) fn corrupt() -> Self {
        Self::new(500, "ErrorCorruptData", "Data is corrupt., Invalid global object ID.")
    }

    pub(crate) fn method() -> Self {
        Self::new(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
    }

    pub(crate) fn reply(&self, request: &RequestIds) -> Reply {
        let mut reply = json(self.status, &self.body(request));
        if let Some(ms) = self.retry_after_ms {
            set(&mut reply, "retry-after", &format!("{}.{:03}", ms / 1000, ms % 1000));
        }
        reply
    }

    pub(crate) fn body(&self, request: &RequestIds) -> serde_json::Value {
        json!({"error": {"code": self.code, "message": self.message, "innerError": {
            "date": inner_error_time(request.now_ms), "request-id": request.request_id, "client-request-id": request.client_request_id,
        }}})
    }
}

/// The ids of one request, as they stand in headers and errors.
#[derive(Debug, Clone)]
pub(crate) struct RequestIds {
    pub(crate) request_id: String,
    pub(crate) client_request_id: String,
    pub(crate) now_ms: i64,
}
