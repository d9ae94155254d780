//! The client: the one place that sends, waits and tries again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::{HeaderValue, Method, header};
use serde::Serialize;
use serde_json::Value;
use tracing::{debug, warn};
use url::Url;

use crate::{
    origin::{Origin, SafeUrl},
    ports::{Body, Clock, Http, HttpError, Rng},
};

use super::{
    error::{Envelope, EnvelopeError, GraphError, GraphErrorKind, Verdict, final_kind, retry_after, sentence, verdict},
    governor::{Governor, Slot},
    token::AccessTokens,
};

/// The most bytes a JSON answer may have.
pub const JSON_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes of an error answer that are read.
const ERROR_BYTES: usize = 64 * 1024;
/// How often a request is sent in all while Microsoft asks to wait.
const TRIES: u32 = 6;

/// What a call is for: named in errors, counted in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Looking for folders.
    Folder,
    /// A page of changes or of a listing.
    Page,
    /// The MIME of a message.
    Mime,
    /// A look at one message.
    Look,
    /// A write in the mailbox.
    Write,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Folder => "looking for a folder",
            Self::Page => "reading a page of the folder",
            Self::Mime => "fetching the mail",
            Self::Look => "looking at the mail",
            Self::Write => "changing the mail in the mailbox",
        }
    }
}

/// What was sent and received so far; shared with whoever shows progress.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests by kind, in the order of [`Kind`].
    requests: [AtomicU64; 5],
    /// Bytes of MIME received.
    pub bytes: AtomicU64,
    /// Answers of 429.
    pub throttled: AtomicU64,
    /// Milliseconds waited because Microsoft asked for it.
    pub waited: AtomicU64,
}

/// [`Counts`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Requests {
    /// Looking for folders.
    pub folders: u64,
    /// Pages.
    pub pages: u64,
    /// MIME.
    pub mime: u64,
    /// Looks at one message.
    pub looks: u64,
    /// Writes.
    pub writes: u64,
}

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.folders + self.pages + self.mime + self.looks + self.writes
    }
}

impl Counts {
    /// Requests by kind.
    pub fn requests(&self) -> Requests {
        let at = |kind: Kind| self.requests[kind as usize].load(Ordering::Relaxed);
        Requests {
            folders: at(Kind::Folder),
            pages: at(Kind::Page),
            mime: at(Kind::Mime),
            looks: at(Kind::Look),
            writes: at(Kind::Write),
        }
    }
}

/// What a client is made of.
pub struct GraphSettings {
    /// Base with version, no slash at its end. Nothing is ever sent to another origin.
    pub base: Url,
    /// `None` for the signed-in user, else address or object id.
    pub user: Option<String>,
    /// The longest wait within a run.
    pub patience: Duration,
}

/// The Graph of one mailbox, for one run.
pub struct GraphClient {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    governor: Arc<Governor>,
    tokens: Arc<AccessTokens>,
    settings: GraphSettings,
    counts: Arc<Counts>,
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
        }
    }
}

/// The MIME of a message as it comes. Holds one of the four slots until it is dropped.
pub struct MimeStream {
    /// The length, if the server said it.
    pub length: Option<u64>,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, HttpError>>,
}

struct Answer {
    length: Option<u64>,
    server_date: Option<jiff::Timestamp>,
    body: Body,
    slot: Slot,
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
        let mut url = self.settings.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            match &self.settings.user {
                None => path.push("me"),
                Some(user) => path.extend(["users", user]),
            };
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
        let (slot, counts) = (answer.slot, Arc::clone(&self.counts));
        let bytes = answer.body.inspect_ok(move |chunk| {
            // The slot is part of the stream: it is free again when the body has ended or is given up.
            let _held = &slot;
            counts.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
        Ok(MimeStream {
            length: answer.length,
            bytes: bytes.boxed(),
        })
    }

    async fn back_off(&self, tries: u32) {
        let base = 500_u64 << tries.min(6);
        let wait = Duration::from_millis(base + self.rng.below(base));
        self.clock.sleep(wait).await;
    }

    /// The retry place: slot and budget, token, send, decide.
    async fn send(&self, call: &Call) -> Result<Answer, GraphError> {
        let (mut waits, mut again, mut token_tries) = (0_u32, 0_u32, 0_u32);
        let (mut version, mut token) = self.tokens.get().await?;
        loop {
            let before = self.clock.now();
            let slot = self
                .governor
                .enter(self.settings.patience)
                .await
                .map_err(|until| throttled(call, until))?;
            let waited = crate::time::between(before, self.clock.now());
            self.counts
                .waited
                .fetch_add(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.counts.requests[call.kind as usize].fetch_add(1, Ordering::Relaxed);
            let client_request_id = self.request_id();
            let request = self.request(call, &token, &client_request_id)?;
            let response = match self.http.call(request).await {
                Ok(response) => response,
                Err(error) => {
                    again += 1;
                    debug!(kind = ?call.kind, url = %SafeUrl(&call.url), error = %error, again, "no answer");
                    // A connection that never came about carried nothing: safe to try again in any case.
                    let harmless = call.repeatable || matches!(error, HttpError::Connect { .. });
                    if !harmless || again >= call.tries {
                        return Err(GraphError::from(&error));
                    }
                    drop(slot);
                    self.back_off(again).await;
                    continue;
                }
            };
            let (parts, body) = response.into_parts();
            let status = parts.status.as_u16();
            let text = |name: &str| {
                parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            };
            if parts.status.is_success() {
                return Ok(Answer {
                    length: text("content-length").and_then(|length| length.parse().ok()),
                    server_date: text("date")
                        .and_then(|date| httpdate::parse_http_date(&date).ok())
                        .and_then(|date| jiff::Timestamp::try_from(date).ok()),
                    body,
                    slot,
                });
            }
            let after = retry_after(&parts.headers, self.clock.now());
            let bytes = read_error(body).await;
            drop(slot);
            let EnvelopeError { code, message } = serde_json::from_slice::<Envelope>(&bytes)
                .ok()
                .and_then(|envelope| envelope.error)
                .unwrap_or_default();
            let request_id = text("request-id");
            debug!(kind = ?call.kind, url = %SafeUrl(&call.url), status, code, request_id, client_request_id, "Graph said no");
            let fail = |kind| GraphError {
                kind,
                what: sentence(call.kind.words(), status, &code, &message),
                status: Some(status),
                code: (!code.is_empty()).then(|| code.clone()),
                request_id: request_id.clone(),
            };
            match verdict(status, &code, bytes.is_empty(), after) {
                Verdict::Wait(wait) => {
                    waits += 1;
                    if status == 429 {
                        self.counts.throttled.fetch_add(1, Ordering::Relaxed);
                    }
                    let until = self.governor.hold(self.wait(wait, waits));
                    warn!(kind = ?call.kind, status, %until, request_id, "Microsoft asks to wait");
                    if waits >= TRIES {
                        return Err(throttled(call, until));
                    }
                }
                Verdict::Again(wait) => {
                    again += 1;
                    if again >= call.tries {
                        return Err(fail(final_kind(status, &code)));
                    }
                    match wait {
                        Some(wait) => {
                            self.governor.hold(wait);
                        }
                        None => self.back_off(again).await,
                    }
                }
                Verdict::Token => {
                    token_tries += 1;
                    match token_tries {
                        1 => (version, token) = self.tokens.renew(&version).await?,
                        // A good token is refused for a moment now and then (practitioners' reports).
                        2 => self.clock.sleep(Duration::from_millis(1_500)).await,
                        _ => return Err(fail(GraphErrorKind::Unauthorized)),
                    }
                }
                Verdict::Final if status == 403 && token_tries == 0 => {
                    token_tries = 1;
                    match self.tokens.newer(&version).await? {
                        Some(newer) => (version, token) = newer,
                        None => return Err(fail(GraphErrorKind::Forbidden)),
                    }
                }
                Verdict::Final => return Err(fail(final_kind(status, &code))),
            }
        }
    }

    /// The longer of Microsoft's wish and our own back-off (P68).
    fn wait(&self, wish: Option<Duration>, waits: u32) -> Duration {
        match wish {
            Some(wish) if wish >= Duration::from_millis(100) => wish + Duration::from_millis(self.rng.below(50)),
            _ => {
                let base = 1_000_u64 << waits.min(6);
                Duration::from_millis(base + self.rng.below(base / 2))
            }
        }
    }

    fn request_id(&self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .hyphenated()
            .to_string()
    }

    fn request(
        &self,
        call: &Call,
        token: &crate::secret::Secret,
        id: &str,
    ) -> Result<http::Request<Bytes>, GraphError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
            GraphError::new(
                GraphErrorKind::Refused,
                "the access token holds characters that no header can carry",
            )
        })?;
        bearer.set_sensitive(true);
        let prefer = match call.page_size {
            Some(size) => format!("IdType=\"ImmutableId\", odata.maxpagesize={size}"),
            None => "IdType=\"ImmutableId\"".to_owned(),
        };
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(call.url.as_str())
            .header(header::AUTHORIZATION, bearer)
            .header("client-request-id", id)
            .header("Prefer", prefer);
        let body = match &call.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request
            .body(body)
            .map_err(|error| GraphError::new(GraphErrorKind::Refused, format!("the request cannot be made: {error}")))
    }
}

fn throttled(call: &Call, until: jiff::Timestamp) -> GraphError {
    GraphError::new(
        GraphErrorKind::Throttled { until },
        format!(
            "{}: Microsoft asks to wait until {until:.0}; it goes on by itself",
            call.kind.words()
        ),
    )
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
    Ok(bytes)
}

/// The body of an error answer; whatever came of it.
async fn read_error(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = body.try_next().await {
        let room = ERROR_BYTES.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room == 0 {
            break;
        }
    }
    bytes
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
