//! The retry place: slot and budget, token, send, decide. Nothing else in Postroom waits for Graph or tries again.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, Method, header};
use tracing::{debug, warn};

use crate::{
    message::cut,
    origin::SafeUrl,
    ports::{Body, HttpError},
};

use super::{
    client::{Answer, Call, GraphClient},
    coding::{self, Coding},
    counts::Kind,
    error::{
        Envelope, EnvelopeError, GraphError, GraphErrorKind, Policy, Verdict, challenge, challenged, final_kind,
        is_kept_out, retry_after, sentence, verdict,
    },
    governor::{REQUESTS_PER_WINDOW, Slot, Wait},
};

/// How often a request is sent in all while Microsoft asks to wait.
const TRIES: u32 = 6;
/// The most bytes of an error answer that are read.
const ERROR_BYTES: usize = 64 * 1024;

/// How often what was tried.
#[derive(Default)]
struct Tries {
    waits: u32,
    again: u32,
    token: u32,
}

/// An answer that is no success.
struct No {
    call: &'static str,
    status: u16,
    code: String,
    message: String,
    empty: bool,
    after: Option<Duration>,
    request_id: Option<String>,
    /// A policy wants more; of which kind, if the answer says so.
    challenge: Option<Policy>,
}

impl No {
    async fn read(call: &Call, parts: &http::response::Parts, body: Body, now: jiff::Timestamp) -> Self {
        let bytes = Coding::of(&parts.headers)
            .undone(read_error(body).await, ERROR_BYTES)
            .unwrap_or_default();
        let EnvelopeError { code, message } = serde_json::from_slice::<Envelope>(&bytes)
            .ok()
            .and_then(|envelope| envelope.error)
            .unwrap_or_default();
        Self {
            call: call.kind.words(),
            status: parts.status.as_u16(),
            challenge: challenge(parts.status.as_u16(), &parts.headers, &code),
            code: cut(&code, 100),
            message,
            empty: bytes.is_empty(),
            after: retry_after(&parts.headers, now),
            request_id: text(&parts.headers, "request-id"),
        }
    }

    /// A policy's word is no matter of the token's age: neither a new one nor another try changes it.
    fn refused_by_policy(&self, person: bool) -> Option<GraphError> {
        let Policy(policy) = self.challenge?;
        Some(GraphError {
            what: challenged(self.call, self.status, policy, person),
            ..self.error(GraphErrorKind::Challenged { person })
        })
    }

    fn error(&self, kind: GraphErrorKind) -> GraphError {
        GraphError {
            kind,
            what: sentence(self.call, self.status, &self.code, &self.message),
            status: Some(self.status),
            code: (!self.code.is_empty()).then(|| self.code.clone()),
            request_id: self.request_id.clone(),
            kept_out: is_kept_out(self.status, &self.code, &self.message),
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn answer(headers: &HeaderMap, body: Body, slot: Slot) -> Answer {
    Answer {
        length: text(headers, "content-length").and_then(|length| length.parse().ok()),
        content_type: text(headers, "content-type"),
        coding: Coding::of(headers),
        server_date: text(headers, "date")
            .and_then(|date| httpdate::parse_http_date(&date).ok())
            .and_then(|date| jiff::Timestamp::try_from(date).ok()),
        body,
        slot,
    }
}

impl GraphClient {
    pub(super) async fn back_off(&self, tries: u32) {
        let base = 500_u64 << tries.min(6);
        let wait = Duration::from_millis(base + self.rng.below(base));
        self.clock.sleep(wait).await;
    }

    /// The retry place: slot and budget, token, send, decide.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, GraphError> {
        let mut tries = Tries::default();
        let (mut version, mut token) = self.tokens.get().await?;
        loop {
            let slot = self.enter(call).await?;
            let id = self.request_id();
            let sent_at = self.clock.now();
            let response = match self.http.call(request(call, &token, &id)?).await {
                Ok(response) => response,
                Err(error) => {
                    drop(slot);
                    self.no_answer(call, &error, &mut tries).await?;
                    continue;
                }
            };
            let (parts, body) = response.into_parts();
            if parts.status.is_success() {
                self.timed(call, crate::time::between(sent_at, self.clock.now()));
                return Ok(answer(&parts.headers, body, slot));
            }
            let no = No::read(call, &parts, body, self.clock.now()).await;
            drop(slot);
            debug!(kind = ?call.kind, url = %SafeUrl(&call.url), status = no.status, code = no.code, request_id = no.request_id, client_request_id = id, "Graph said no");
            if let Some(error) = no.refused_by_policy(self.settings.person) {
                return Err(error);
            }
            match verdict(no.status, &no.code, no.empty, no.after) {
                Verdict::Wait(wish) => self.told_to_wait(call, &no, wish, &mut tries)?,
                Verdict::Again(wish) => {
                    tries.again += 1;
                    // A gateway that gave up does not say whether the write behind it was done (P51).
                    let harmless = call.repeatable || !matches!(no.status, 408 | 500 | 502 | 504);
                    if tries.again >= call.tries || !harmless {
                        // A 404 without a body says nothing of what was asked for, however often it comes.
                        let kind = match no.status {
                            404 => GraphErrorKind::Unavailable,
                            status => final_kind(status, &no.code),
                        };
                        return Err(no.error(kind));
                    }
                    match wish {
                        Some(wish) => drop(self.governor.hold(wish)),
                        None => self.back_off(tries.again).await,
                    }
                }
                Verdict::Token => {
                    tries.token += 1;
                    match tries.token {
                        1 => (version, token) = self.tokens.renew(&version).await?,
                        // A good token is refused for a moment now and then (practitioners' reports).
                        2 => self.clock.sleep(Duration::from_millis(1_500)).await,
                        _ => return Err(no.error(GraphErrorKind::Unauthorized)),
                    }
                }
                // Rights that were granted meanwhile are in new tokens only.
                Verdict::Final if no.status == 403 && tries.token == 0 => {
                    tries.token = 1;
                    match self.tokens.newer(&version).await? {
                        Some(newer) => (version, token) = newer,
                        None => return Err(no.error(GraphErrorKind::Forbidden)),
                    }
                }
                Verdict::Final => return Err(no.error(final_kind(no.status, &no.code))),
            }
        }
    }

    /// Marks are timed, to learn whether they are better sent together.
    fn timed(&self, call: &Call, took: Duration) {
        match (&call.kind, call.parts) {
            (Kind::Write, 1) if call.method == Method::PATCH => self.pace.single(took),
            (Kind::Write, parts) if parts > 1 => self.pace.batched(parts, took),
            _ => {}
        }
    }

    /// A slot and a place in the budget.
    async fn enter(&self, call: &Call) -> Result<Slot, GraphError> {
        let before = self.clock.now();
        let entered = self.governor.enter(call.parts, self.settings.patience).await;
        let waited = crate::time::between(before, self.clock.now());
        let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.counts.waited.fetch_add(waited, Ordering::Relaxed);
        let slot = entered.map_err(|wait| throttled(call, wait))?;
        self.counts.requests[call.kind as usize].fetch_add(call.parts.into(), Ordering::Relaxed);
        self.counts
            .batches
            .fetch_add(u64::from(call.parts > 1), Ordering::Relaxed);
        Ok(slot)
    }

    async fn no_answer(&self, call: &Call, error: &HttpError, tries: &mut Tries) -> Result<(), GraphError> {
        tries.again += 1;
        debug!(kind = ?call.kind, url = %SafeUrl(&call.url), %error, again = tries.again, "no answer");
        // A connection that never came about carried nothing: safe to try again in any case.
        let harmless = call.repeatable || matches!(error, HttpError::Connect { .. });
        let closed = matches!(error, HttpError::Closed { .. });
        if closed || !harmless || tries.again >= call.tries {
            return Err(GraphError::from(error));
        }
        self.back_off(tries.again).await;
        Ok(())
    }

    fn told_to_wait(&self, call: &Call, no: &No, wish: Option<Duration>, tries: &mut Tries) -> Result<(), GraphError> {
        tries.waits += 1;
        if no.status == 429 {
            self.counts.throttled.fetch_add(1, Ordering::Relaxed);
        }
        let until = self.governor.hold(self.wait(wish, tries.waits));
        warn!(kind = ?call.kind, status = no.status, %until, request_id = no.request_id, "Microsoft asks to wait");
        if tries.waits >= TRIES {
            Err(throttled(call, Wait { until, asked: true }))
        } else {
            Ok(())
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
}

fn request(call: &Call, token: &crate::secret::Secret, id: &str) -> Result<http::Request<Bytes>, GraphError> {
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
    if call.whole {
        request = request.header(header::ACCEPT_ENCODING, coding::ACCEPTED);
    }
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

fn throttled(call: &Call, wait: Wait) -> GraphError {
    let Wait { until, asked } = wait;
    let why = if asked {
        "Microsoft asks to wait".to_owned()
    } else {
        format!("the {REQUESTS_PER_WINDOW} requests to this mailbox that ten minutes allow are used up; waiting")
    };
    GraphError::new(
        GraphErrorKind::Throttled { until },
        format!("{}: {why} until {until:.0}; it goes on by itself", call.kind.words()),
    )
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
