//! The one HTTP door: reads a request whole and hands it to Entra, Graph, the control or the front page.

use crate::control;
use crate::entra;
use crate::faults::body::whole;
use crate::graph;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, empty, pairs, typed};
use axum::Router;
use axum::extract::State;
use http::Request;

/// Largest request body that is read, in bytes.
const LARGEST_REQUEST: u64 = 256 * 1024 * 1024;

impl Simulator {
    /// The router, for a socket or to be called in process.
    ///
    /// In process there is no connection to break: a reset answers 200 with a body that fails at once and a
    /// [`crate::ConnectionReset`] extension; a cut body fails after its last byte (a clean cut just ends).
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }
}

async fn answer(State(simulator): State<Simulator>, request: Request<axum::body::Body>) -> Reply {
    let (parts, body) = request.into_parts();
    let declared = parts
        .headers
        .get("content-length")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LARGEST_REQUEST) {
        return empty(413);
    }
    let configured = simulator.lock().options.origin.clone();
    let call = Call {
        origin: configured.unwrap_or_else(|| origin(&parts)),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        headers: parts.headers,
        body: whole(body).await,
    };
    if call.path == "/v1.0" || call.path.starts_with("/v1.0/") {
        let reply = graph::answer(&simulator, &call).await;
        let record = simulator.lock().record.clone();
        return match record {
            Some(record) => record.tap(&call, reply),
            None => reply,
        };
    }
    if call.path.starts_with("/_control") {
        return control::http::answer(&simulator, &call);
    }
    if call.path == "/" {
        return typed(
            200,
            "text/html; charset=utf-8",
            control::page::front(&simulator, &call.origin),
        );
    }
    match entra::answer(&simulator, &call).await {
        Some(reply) => reply,
        None => typed(
            404,
            "text/plain; charset=utf-8",
            "Nothing is here. GET / lists what there is.\n",
        ),
    }
}

/// Scheme and host from an absolute request target or from `Host`.
fn origin(parts: &http::request::Parts) -> String {
    if let (Some(scheme), Some(authority)) = (parts.uri.scheme_str(), parts.uri.authority()) {
        return format!("{scheme}://{authority}");
    }
    let host = parts
        .headers
        .get("host")
        .and_then(|v| v.to_str().ok())
        .unwrap_or("localhost");
    format!("http://{host}")
}
