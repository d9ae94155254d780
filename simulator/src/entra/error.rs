//! Entra's error answers: `error`, AADSTS number, trace and correlation ids, in Entra's JSON and headers.

use crate::clock::entra_time;
use crate::mailbox::ids::guid;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, plain_json, set};
use serde_json::json;

/// One refusal of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error: String,
    pub(crate) code: u32,
    pub(crate) text: String,
    /// `suberror`, which tells clients what kind of help a person could give.
    pub(crate) suberror: Option<&'static str>,
    /// Whether `claims` asks for a step-up.
    pub(crate) claims: bool,
}

/// A refusal in words, with the ids it is told by.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) text: String,
    pub(crate) trace: String,
    pub(crate) correlation: String,
    pub(crate) stamp: String,
}

/// What a client has to send back to authorize when Conditional Access wants more.
const STEP_UP: &str =
    "{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"8f0b1f0e-55b2-4f6d-9a37-2f4c0e6f8d11\"]}}}";

impl Refusal {
    /// 400, the status of everything but `invalid_client`.
    pub(crate) fn bad(error: &str, code: u32, text: impl Into<String>) -> Self {
        Self {
            status: 400,
            error: error.to_owned(),
            code,
            text: text.into(),
            suberror: None,
            claims: false,
        }
    }

    /// 401 `invalid_client`.
    pub(crate) fn client(code: u32, text: impl Into<String>) -> Self {
        Self {
            status: 401,
            error: "invalid_client".to_owned(),
            code,
            text: text.into(),
            suberror: None,
            claims: false,
        }
    }

    #[must_use]
    pub(crate) fn with_suberror(mut self, suberror: &'static str) -> Self {
        self.suberror = Some(suberror);
        self
    }

    #[must_use]
    pub(crate) fn with_claims(mut self) -> Self {
        self.claims = true;
        self
    }
}

/// Entra's sentence for a refusal: number, text and ids.
pub(crate) fn describe(simulator: &Simulator, call: &Call, refusal: &Refusal) -> Described {
    let (trace, fallback) = {
        let mut state = simulator.lock();
        (guid(&mut state.rng), guid(&mut state.rng))
    };
    let correlation = call.header("client-request-id").map_or(fallback, str::to_owned);
    let stamp = entra_time(simulator.now_ms());
    Described {
        text: format!(
            "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
            refusal.code, refusal.text
        ),
        trace,
        correlation,
        stamp,
    }
}

pub(crate) fn answer(simulator: &Simulator, call: &Call, refusal: &Refusal) -> Reply {
    let told = describe(simulator, call, refusal);
    let mut body = json!({
        "error": refusal.error, "error_description": told.text, "error_codes": [refusal.code], "timestamp": told.stamp,
        "trace_id": told.trace, "correlation_id": told.correlation,
        "error_uri": format!("{}/error?code={}", call.origin, refusal.code),
    });
    if let Some(suberror) = refusal.suberror {
        body["suberror"] = suberror.into();
    }
    if refusal.claims {
        body["claims"] = STEP_UP.into();
    }
    let mut reply = plain_json(refusal.status, &body);
    set(&mut reply, "x-ms-request-id", &told.trace);
    reply
}

/// The headers every answer of Entra has.
pub(crate) fn dress(simulator: &Simulator, reply: &mut Reply) {
    if !reply.headers().contains_key("x-ms-request-id") {
        let id = guid(&mut simulator.lock().rng);
        set(reply, "x-ms-request-id", &id);
    }
    set(reply, "cache-control", "no-store, no-cache");
    set(reply, "pragma", "no-cache");
    set(reply, "expires", "-1");
    set(
        reply,
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    );
    set(reply, "x-content-type-options", "nosniff");
    set(reply, "x-ms-ests-server", "2.1.21000.0 - SIM ProdSlices");
    set(reply, "date", &crate::clock::http_date(simulator.now_ms()));
}
