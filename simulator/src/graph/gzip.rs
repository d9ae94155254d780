//! Compressed answers, for clients that accept them (Microsoft Graph, "Best practices": `Accept-Encoding: gzip`).

use std::io::Write as _;

use crate::faults::Fault;
use crate::faults::answer::spoil;
use crate::faults::body::whole;
use crate::wire::{Call, Reply, set};
use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Answers below this many bytes are not worth it.
const LEAST: usize = 1024;

/// A finished answer on its way out: compressed if it is JSON and the caller accepts that, and spoilt by the fault it met.
pub(crate) async fn send_off(call: &Call, reply: Reply, fault: Option<&Fault>) -> Reply {
    match fault {
        // What changes texts must see them.
        Some(dirt @ Fault::ControlCharacters) => squeeze(call, spoil(reply, dirt).await).await,
        Some(fault) => spoil(squeeze(call, reply).await, fault).await,
        None => squeeze(call, reply).await,
    }
}

async fn squeeze(call: &Call, reply: Reply) -> Reply {
    let json = reply
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if !json || !accepts(call) {
        return reply;
    }
    let (parts, body) = reply.into_parts();
    let bytes = whole(body).await;
    let squeezed = (bytes.len() >= LEAST).then(|| gzip(&bytes)).flatten();
    let coded = squeezed.is_some();
    let mut reply = Reply::from_parts(parts, Body::from(squeezed.map_or(bytes, Bytes::from)));
    if coded {
        reply.headers_mut().remove("content-length");
        set(&mut reply, "content-encoding", "gzip");
        set(&mut reply, "vary", "Accept-Encoding");
    }
    reply
}

/// Whether `Accept-Encoding` names gzip and does not refuse it (RFC 9110 section 12.5.3).
fn accepts(call: &Call) -> bool {
    call.header("accept-encoding").is_some_and(|header| {
        header.split(',').any(|one| {
            let mut words = one.split(';').map(str::trim);
            let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = words.any(|word| word.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0));
            named && !refused
        })
    })
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
