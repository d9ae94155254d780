//! Turns an armed fault into an answer, or spoils the answer there would have been.

use super::body::{broken, cut, slow, whole};
use super::{ConnectionReset, Cut, Fault, RetryAfter, Wording};
use crate::clock::http_date;
use crate::graph::{GraphError, RequestIds, Scene};
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, empty, set, typed};
use axum::body::Body;
use base64::Engine as _;
use bytes::Bytes;
use std::time::Duration;

/// Faults that are answers of their own, whatever was asked.
pub(crate) fn whole_answer(simulator: &Simulator, call: &Call, fault: &Fault) -> Option<Reply> {
    let now_ms = simulator.now_ms();
    let id = call
        .header("client-request-id")
        .unwrap_or("00000000-0000-4000-8000-000000000000")
        .to_owned();
    let request = RequestIds {
        request_id: id.clone(),
        client_request_id: id,
        now_ms,
    };
    let error = |status, code: &str, message: &str| GraphError::new(status, code, message).reply(&request);
    Some(match fault {
        Fault::TooManyRequests { retry_after, wording } => {
            let full = error(429, "TooManyRequests", "Please retry again later.");
            timed(refusal(full, *wording, "Too Many Requests"), retry_after, now_ms)
        }
        Fault::Unavailable { retry_after, wording } => {
            let full = error(503, "ErrorServerBusy", "The server is busy. Try again later.");
            timed(refusal(full, *wording, "Service Unavailable"), retry_after, now_ms)
        }
        Fault::Status {
            status,
            code: Some(code),
            message,
        } => error(*status, code, message),
        Fault::Status { status, code: None, .. } => empty(*status),
        Fault::Entra {
            status, code, message, ..
        } => error(*status, &format!("AADSTS{code}"), message),
        Fault::TokenExpired => error(
            401,
            "InvalidAuthenticationToken",
            "Lifetime validation failed, the token is expired.",
        ),
        Fault::ClaimsChallenge { claims } => {
            let words = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenCreatedWithOutdatedPolicies";
            let mut reply = error(401, "InvalidAuthenticationToken", words);
            let claims = base64::engine::general_purpose::STANDARD.encode(claims);
            let challenge = format!(
                "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"{claims}\""
            );
            set(&mut reply, "www-authenticate", &challenge);
            reply
        }
        Fault::AccessDenied => GraphError::denied().reply(&request),
        Fault::EmptyNotFound => empty(404),
        Fault::MimeConversion => error(
            500,
            "ErrorMimeContentConversionFailed",
            "MIME content conversion failed.",
        ),
        Fault::CorruptData => GraphError::corrupt().reply(&request),
        Fault::HtmlPage => typed(
            200,
            "text/html; charset=utf-8",
            "<!DOCTYPE html><html><head><title>Service status</title></head><body><h1>We'll be right back</h1></body></html>",
        ),
        Fault::ErrorInside200 => {
            let body = GraphError::new(500, "ErrorInternalServerTransientError", "Try again.").body(&request);
            crate::wire::json(200, &body)
        }
        Fault::Reset => {
            let mut reply = empty(200);
            *reply.body_mut() = broken();
            reply.extensions_mut().insert(ConnectionReset);
            reply
        }
        _ => return None,
    })
}

/// Faults that only delta and its links know.
pub(crate) fn delta_answer(scene: &Scene<'_>, fault: &Fault) -> Option<Reply> {
    match fault {
        Fault::Gone { location } => Some(crate::graph::delta::gone(scene, *location)),
        Fault::SyncStateNotFound => Some(crate::graph::delta::not_found(scene, 400)),
        _ => None,
    }
}

/// Faults that bend a page while it is made.
pub(crate) fn is_page_fault(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::EmptyPage | Fault::Duplicates | Fault::LoopingLink { .. } | Fault::ForeignLink { .. }
    )
}

/// Faults that spoil a finished answer on its way out.
pub(crate) async fn spoil(reply: Reply, fault: &Fault) -> Reply {
    if !matches!(
        fault,
        Fault::CutBody { .. } | Fault::SlowBody { .. } | Fault::ControlCharacters
    ) {
        return reply;
    }
    let (mut parts, body) = reply.into_parts();
    let bytes = whole(body).await;
    parts.headers.remove("content-length");
    match fault {
        Fault::CutBody { after, how } => {
            parts.extensions.remove::<super::body::BodyLength>();
            if *how == Cut::ShortLength {
                parts.headers.insert("content-length", bytes.len().into());
            }
            Reply::from_parts(parts, cut(&bytes, *after, *how))
        }
        Fault::SlowBody { chunk, delay_ms } => {
            Reply::from_parts(parts, slow(&bytes, *chunk, Duration::from_millis(*delay_ms)))
        }
        _ => Reply::from_parts(parts, Body::from(with_control_characters(&bytes))),
    }
}

/// Puts raw control characters at the start of the first texts of a JSON body.
fn with_control_characters(bytes: &Bytes) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let dirty = text.replacen("\"subject\":\"", "\"subject\":\"\u{1}\u{b}", 3).replacen(
        "\"displayName\":\"",
        "\"displayName\":\"\u{2}",
        3,
    );
    if dirty == text {
        // Nothing to dirty: a property of its own, before the last brace.
        let cut = text.rfind('}').unwrap_or(text.len());
        let (head, tail) = text.split_at(cut);
        return format!("{head},\"simulated\":\"\u{1f}\"{tail}").into_bytes();
    }
    dirty.into_bytes()
}

fn refusal(full: Reply, wording: Wording, words: &'static str) -> Reply {
    let status = full.status().as_u16();
    match wording {
        Wording::Json => full,
        Wording::BareText => typed(status, "text/plain; charset=utf-8", words),
        Wording::Empty => empty(status),
    }
}

fn timed(mut reply: Reply, retry_after: &RetryAfter, now_ms: i64) -> Reply {
    let text = match retry_after {
        RetryAfter::Absent => return reply,
        RetryAfter::Seconds(n) => n.to_string(),
        RetryAfter::Decimal(n) => n.to_string(),
        RetryAfter::DateIn(s) => http_date(now_ms.saturating_add(s.saturating_mul(1000))),
        RetryAfter::Absurd => "1000000000".to_owned(),
        RetryAfter::Negative => "-5".to_owned(),
        RetryAfter::Zero => "0".to_owned(),
        RetryAfter::Text(text) => text.clone(),
    };
    set(&mut reply, "retry-after", &text);
    reply
}
