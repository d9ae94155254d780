//! The client of one mailbox: addresses, links, answers. Sending is next door in `send`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::Method;
use serde_json::Value;
use url::Url;

use crate::{
    origin::{Origin, SafeUrl},
    ports::{Body, Clock, Http, HttpError, Rng},
};

use super::{
    coding::Coding,
    counts::{Counts, Kind},
    error::{EnvelopeError, GraphError, GraphErrorKind, final_kind, sentence},
    governor::{Governor, Slot},
    pace::Pace,
    token::AccessTokens,
};

/// The most bytes a JSON answer may have.
pub const JSON_BYTES: usize = 16 * 1024 * 1024;

/// What a client is made of.
pub struct GraphSettings {
    /// Base with version, no slash at its end. Nothing is ever sent to another origin.
    pub base: Url,
    /// `None` for the signed-in user, else address or object id.
    pub user: Option<String>,
    /// The longest wait within a run.
    pub patience: Duration,
    /// A person signed in; else the app asks for itself.
    pub person: bool,
}

/// The Graph of one mailbox, for one run.
pub struct GraphClient {
    pub(super) http: Arc<dyn Http>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) governor: Arc<Governor>,
    pub(super) tokens: Arc<AccessTokens>,
    pub(super) settings: GraphSettings,
    pub(super) counts: Arc<Counts>,
    pub(super) pace: Pace,
}

/// One call, before it is sent.
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) page_size: Option<u32>,
    pub(super) body: Option<Value>,
    /// Tries after trouble that passes (5xx, the network).
    pub(super) tries: u32,
    /// Sending it twice does no harm, so it may be sent again when the answer was lost.
    pub(super) repeatable: bool,
    /// As how many requests Microsoft counts it.
    pub(super) parts: u32,
    /// Its answer is read whole and may come compressed.
    pub(super) whole: bool,
}

impl Call {
    pub(super) fn get(kind: Kind, url: Url) -> Self {
        Self {
            kind,
            method: Method::GET,
            url,
            page_size: None,
            body: None,
            tries: 4,
            repeatable: true,
            parts: 1,
            whole: true,
        }
    }

    /// For bytes that are streamed.
    pub(super) fn stream(kind: Kind, url: Url) -> Self {
        Self {
            whole: false,
            ..Self::get(kind, url)
        }
    }
}

/// The MIME of a message as it comes. Holds one of the four slots until it is dropped.
pub struct MimeStream {
    /// The length, if the server said it.
    pub length: Option<u64>,
    /// The content type, if the server said it.
    pub content_type: Option<String>,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, HttpError>>,
}

pub(super) struct Answer {
    pub(super) length: Option<u64>,
    pub(super) content_type: Option<String>,
    pub(super) coding: Coding,
    pub(super) server_date: Option<jiff::Timestamp>,
    pub(super) body: Body,
    pub(super) slot: Slot,
}

/// A JSON answer, and the server's clock when it answered.
pub(super) struct Json {
    pub(super) value: Value,
    pub(super) server_date: Option<jiff::Timestamp>,
}

impl GraphClient {
    /// Over these ports, under this governor.
    pub fn new(
        ports: &crate::ports::Ports,
        governor: Arc<Governor>,
        tokens: Arc<AccessTokens>,
        counts: Arc<Counts>,
        settings: GraphSettings,
    ) -> Self {
        Self {
            http: Arc::clone(&ports.http),
            clock: Arc::clone(&ports.clock),
            rng: Arc::clone(&ports.rng),
            governor,
            tokens,
            settings,
            counts,
            pace: Pace::default(),
        }
    }

    /// The governor, for saving what was spent.
    pub fn governor(&self) -> &Governor {
        &self.governor
    }

    /// What was sent and received so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// `{base}/users/{user}` or `{base}/me`, and these segments, each percent-encoded.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        match &self.settings.user {
            None => self.root(&[&["me"], segments].concat()),
            Some(user) => self.root(&[&["users", user], segments].concat()),
        }
    }

    /// `{base}` and these segments, each percent-encoded.
    pub(super) fn root(&self, segments: &[&str]) -> Url {
        let mut url = self.settings.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(segments);
        }
        url
    }

    /// A link out of an answer: followed only to the configured Graph, over its scheme and host and below its version.
    pub(super) fn link(&self, link: &str) -> Result<Url, GraphError> {
        let base = &self.settings.base;
        let url = Url::parse(link).map_err(|error| {
            GraphError::new(
                GraphErrorKind::Foreign,
                format!("a link in Graph's answer is no URL ({error}); nothing was sent"),
            )
        })?;
        let inside = Origin::of(&url) == Origin::of(base)
            && url.username().is_empty()
            && url.password().is_none()
            && url
                .path()
                .strip_prefix(base.path())
                .is_some_and(|rest| rest.starts_with('/'));
        if inside {
            return Ok(url);
        }
        let shown = Origin::of(&url).map_or_else(|| "nowhere".to_owned(), |origin| origin.to_string());
        Err(GraphError::new(
            GraphErrorKind::Foreign,
            format!(
                "a link in Graph's answer leads to {shown} instead of {}; nothing was sent there",
                SafeUrl(base)
            ),
        ))
    }

    /// Sends a call until it has a JSON answer. 204 is `null`.
    pub(super) async fn json(&self, call: &Call) -> Result<Json, GraphError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.send(call).await?;
            let server_date = answer.server_date;
            let trouble = match collect(answer, JSON_BYTES).await {
                Ok(bytes) if bytes.is_empty() => {
                    return Ok(Json {
                        value: Value::Null,
                        server_date,
                    });
                }
                Ok(bytes) => match parse(&bytes) {
                    Some(value) => match error_inside(&value) {
                        None => return Ok(Json { value, server_date }),
                        // A success that carries an error: seen from proxies in between.
                        Some(error) => GraphError::new(
                            final_kind(500, &error.code),
                            sentence(call.kind.words(), 200, &error.code, &error.message),
                        ),
                    },
                    None => GraphError::new(
                        GraphErrorKind::Unavailable,
                        format!("{}: the answer is not JSON", call.kind.words()),
                    ),
                },
                Err(error) => GraphError::from(&error),
            };
            if !call.repeatable || tries >= call.tries || !matches!(trouble.kind, GraphErrorKind::Unavailable) {
                return Err(trouble);
            }
            self.back_off(tries).await;
        }
    }

    /// Sends a call until it has a stream.
    pub(super) async fn stream(&self, call: &Call) -> Result<MimeStream, GraphError> {
        let answer = self.send(call).await?;
        if let Coding::Other(_) | Coding::Gzip = answer.coding {
            // The record is the bytes as Exchange has them: what something in between made of them is not kept.
            let what = format!(
                "{}: the bytes came compressed, which was not asked for",
                call.kind.words()
            );
            return Err(GraphError::new(GraphErrorKind::Unavailable, what));
        }
        let (slot, counts) = (answer.slot, Arc::clone(&self.counts));
        let bytes = answer.body.inspect_ok(move |chunk| {
            // The slot is part of the stream: it is free again when the body has ended or is given up.
            let _held = &slot;
            counts.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
        Ok(MimeStream {
            length: answer.length,
            content_type: answer.content_type,
            bytes: bytes.boxed(),
        })
    }
}

async fn collect(answer: Answer, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut body = answer.body;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.try_next().await? {
        if bytes.len() + chunk.len() > limit {
            return Err(HttpError::Broken {
                host: "Graph".into(),
                reason: format!("an answer of more than {limit} bytes"),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    if let Some(length) = answer.length
        && length != bytes.len() as u64
    {
        return Err(HttpError::Broken {
            host: "Graph".into(),
            reason: format!("{} of {length} bytes came", bytes.len()),
        });
    }
    let coding = answer.coding;
    coding.undone(bytes, limit).map_err(|reason| HttpError::Broken {
        host: "Graph".into(),
        reason,
    })
}

/// JSON as Graph sends it: raw control characters inside of texts were seen, which JSON forbids (RFC 8259 section 7).
fn parse(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| {
        let clean: Vec<u8> = bytes
            .iter()
            .map(|byte| if *byte < 0x20 { b' ' } else { *byte })
            .collect();
        serde_json::from_slice(&clean).ok()
    })
}

fn error_inside(value: &Value) -> Option<EnvelopeError> {
    let error = value.get("error")?;
    (value.get("value").is_none() && error.get("code").is_some()).then(|| EnvelopeError::deserialize_lenient(error))
}

impl EnvelopeError {
    fn deserialize_lenient(value: &Value) -> Self {
        let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            code: text("code"),
            message: text("message"),
        }
    }
}
