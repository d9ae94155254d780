//! The wire of a test: the simulator's router in process. No socket, so virtual time works.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use shared::ports::{Body, Http, HttpError};
use simulator::{ConnectionReset, Simulator};
use tower::ServiceExt as _;

use super::crash::{Bend, Crash, Op};

/// Calls the simulator's router and keeps a list of what was asked of whom.
pub struct InProcess {
    simulator: Simulator,
    crash: Crash,
    asked: Mutex<Vec<(String, String)>>,
    killer: Mutex<Option<String>>,
}

impl InProcess {
    /// Calls this simulator's router.
    pub fn new(simulator: Simulator, crash: Crash) -> Self {
        Self {
            simulator,
            crash,
            asked: Mutex::default(),
            killer: Mutex::default(),
        }
    }

    /// The process dies while it reads the MIME of this message.
    pub fn kill_on(&self, immutable_id: &str) {
        let id: String = percent(immutable_id);
        *self.killer.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// It does so no more.
    pub fn spare(&self) {
        *self.killer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn kills(&self, path: &str) -> bool {
        let killer = self.killer.lock().unwrap_or_else(PoisonError::into_inner);
        path.ends_with("/$value")
            && killer
                .as_ref()
                .is_some_and(|id| path.contains(id.as_str()) || path.contains(&id.replace('%', "")))
    }

    /// Host and path of every request so far.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, parts: http::request::Parts, body: Bytes) -> axum::response::Response {
        let request = http::Request::from_parts(parts, AxumBody::from(body));
        match self.simulator.router().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[async_trait]
impl Http for InProcess {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let step = self.crash.begin(Op::Request).await;
        let host = request.uri().host().unwrap_or_default().to_owned();
        if step.bend() == Some(Bend::Error) {
            return Err(HttpError::Connect {
                host,
                reason: "planned".into(),
            });
        }
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((host.clone(), request.uri().path().to_owned()));
        if host != "simulator.test" {
            return Err(HttpError::Connect {
                host,
                reason: "there is nobody".into(),
            });
        }
        if self.kills(request.uri().path()) {
            self.crash.die().await;
        }
        let (mut parts, body) = request.into_parts();
        let origin_form = parts.uri.clone();
        parts
            .headers
            .insert("host", http::HeaderValue::from_static("simulator.test"));
        parts.uri = origin_form;
        // Whatever stands between may send again what is safe to send again (RFC 9110 9.2.2), and nothing else.
        if step.bend() == Some(Bend::Twice) && parts.method == http::Method::GET {
            self.ask(parts.clone(), body.clone()).await;
        }
        let response = self.ask(parts, body).await;
        self.crash.end(&step).await;
        if step.bend() == Some(Bend::Lost) || response.extensions().get::<ConnectionReset>().is_some() {
            return Err(HttpError::Broken {
                host,
                reason: "reset".into(),
            });
        }
        let length = response
            .headers()
            .get("content-length")
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let (parts, body) = response.into_parts();
        let crash = self.crash.clone();
        let mut seen = 0;
        let (on_error, on_short, at_end) = (host.clone(), host.clone(), host);
        let stream = body.into_data_stream().map_err(move |error| HttpError::Broken {
            host: on_error.clone(),
            reason: error.to_string(),
        });
        // A real client notices a body that is shorter than announced.
        let stream = stream
            .map(Some)
            .chain(futures::stream::iter([None]))
            .filter_map(move |chunk| {
                let result = match chunk {
                    Some(Ok(chunk)) => {
                        seen += chunk.len();
                        Some(Ok(chunk))
                    }
                    Some(Err(error)) => Some(Err(error)),
                    None if length.is_some_and(|length| length > seen && parts_status_has_body(length)) => {
                        Some(Err(HttpError::Broken {
                            host: at_end.clone(),
                            reason: format!("{seen} bytes came"),
                        }))
                    }
                    None => None,
                };
                let crash = crash.clone();
                let host = on_short.clone();
                async move {
                    let step = crash.begin(Op::Chunk).await;
                    crash.end(&step).await;
                    if step.bend() == Some(Bend::Short) {
                        let reason = "planned".into();
                        return Some(Err(HttpError::Broken { host, reason }));
                    }
                    result
                }
            });
        Ok(http::Response::from_parts(parts, stream.boxed()))
    }
}

/// An id as it stands in a path.
fn percent(id: &str) -> String {
    let mut url = url::Url::parse("http://host").expect("a URL");
    url.path_segments_mut().expect("a path").push(id);
    url.path().trim_start_matches('/').to_owned()
}

fn parts_status_has_body(length: usize) -> bool {
    length > 0
}
