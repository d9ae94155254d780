//! Bodies on their way out: streamed, slowed, cut; and the slot a body holds until it ends.

use super::Cut;
use crate::gate::Slot;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::BodyExt as _;
use std::io;
use std::time::Duration;

/// Size of the pieces a MIME body is sent in.
const PIECE: usize = 64 * 1024;

/// A body in pieces and without a known length: HTTP/1 sends it chunked.
pub(crate) fn streamed(bytes: &Bytes) -> Body {
    Body::from_stream(stream::iter(pieces(bytes, PIECE).into_iter().map(Ok::<_, io::Error>)))
}

/// A body that pauses before each piece.
pub(crate) fn slow(bytes: &Bytes, chunk: usize, delay: Duration) -> Body {
    Body::from_stream(stream::iter(pieces(bytes, chunk.max(1))).then(move |piece| async move {
        tokio::time::sleep(delay).await;
        Ok::<_, io::Error>(piece)
    }))
}

/// The first `after` bytes, then the end the cut asks for.
pub(crate) fn cut(bytes: &Bytes, after: usize, how: Cut) -> Body {
    let shown = bytes.slice(..after.min(bytes.len()));
    let mut parts: Vec<Result<Bytes, io::Error>> = pieces(&shown, PIECE).into_iter().map(Ok).collect();
    if how != Cut::Clean {
        parts.push(Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the simulator cut this body",
        )));
    }
    // One pause between the pieces: what was written so far must reach the wire before the end does.
    Body::from_stream(stream::iter(parts).then(|part| async move {
        if part.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        part
    }))
}

/// A body that fails at once.
pub(crate) fn broken() -> Body {
    Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::new(
        io::ErrorKind::ConnectionReset,
        "the simulator reset this connection",
    ))]))
}

/// All of a body, for those that must be changed; the simulator's own bodies do not fail here.
pub(crate) async fn whole(body: Body) -> Bytes {
    body.collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default()
}

fn pieces(bytes: &Bytes, size: usize) -> Vec<Bytes> {
    (0..bytes.len())
        .step_by(size)
        .map(|at| bytes.slice(at..bytes.len().min(at + size)))
        .collect()
}

/// How many bytes a streamed body has (extension of a response): the slot is given back with the last one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLength(pub(crate) u64);

/// Keeps a mailbox's slot taken until the last byte was taken or the body is dropped.
pub(crate) fn holding(body: Body, length: Option<u64>, slot: Slot) -> Body {
    let mut left = length.or_else(|| body.size_hint().exact());
    if left == Some(0) {
        return body;
    }
    let mut slot = Some(slot);
    Body::new(body.map_frame(move |frame| {
        let read = frame
            .data_ref()
            .map_or(0, |data| u64::try_from(data.len()).unwrap_or(0));
        left = left.map(|all| all.saturating_sub(read));
        if left == Some(0) {
            slot.take();
        }
        frame
    }))
}
