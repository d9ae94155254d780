//! The wire over reqwest, with the TLS configuration handed in: no redirects, no retries, no proxy but the given one,
//! three deadlines, a gate before every socket. Which authorities are trusted is each world's own matter.

mod gate;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::{Client, ClientBuilder, Proxy, redirect::Policy};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use url::Url;

use crate::ports::{Body, Http, HttpError};

use gate::Closed;
pub use gate::{Gate, Names, system_names};

const CONNECT: Duration = Duration::from_secs(10);

/// Deadlines of one call; not settings, but shorter in tests.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    first_byte: Duration,
    between_chunks: Duration,
}

/// Calls over real sockets.
#[derive(Clone)]
pub struct ReqwestHttp {
    client: Client,
    gate: Gate,
    deadlines: Deadlines,
    /// What the client was made with.
    tls: ClientConfig,
    proxy: Option<Proxy>,
}

/// A client that does what it is told and nothing else, for hosts that nobody can choose. Connections are made on demand
/// and kept for later calls. The error is in words.
pub fn client(tls: ClientConfig) -> Result<Client, String> {
    builder(tls).build().map_err(reason)
}

fn builder(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_mins(1))
        .user_agent(concat!("postroom/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
}

/// The certificates of a PEM file, each of which must be usable as an authority. The error is in words.
pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let roots = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if roots.is_empty() {
        return Err("there is no certificate in it".into());
    }
    // Verifiers leave out what they cannot read; here it is named instead.
    let mut store = RootCertStore::empty();
    for (place, root) in roots.iter().enumerate() {
        store
            .add(root.clone())
            .map_err(|error| format!("certificate {}: {error}", place + 1))?;
    }
    Ok(roots)
}

impl ReqwestHttp {
    /// With a client of its own, which connects to what the gate lets through. Behind a proxy names are its own to look up.
    /// The error is in words.
    pub fn new(tls: ClientConfig, gate: Gate, proxy: Option<Proxy>) -> Result<Self, String> {
        let mut builder = builder(tls.clone()).dns_resolver(Arc::new(gate.clone()));
        if let Some(proxy) = &proxy {
            builder = builder.proxy(proxy.clone());
        }
        Ok(Self {
            client: builder.build().map_err(reason)?,
            gate,
            tls,
            proxy,
            deadlines: Deadlines {
                first_byte: Duration::from_mins(1),
                between_chunks: Duration::from_secs(30),
            },
        })
    }

    /// A wire of its own that may go to what browsers reach Postroom at, wherever that is: to look whether it is reached
    /// there, and for nothing else.
    pub fn reaching(&self, public_url: &Url) -> Result<Self, String> {
        Self::new(self.tls.clone(), self.gate.reaching(public_url), self.proxy.clone())
    }

    /// The same with other deadlines, for tests of what happens when they pass.
    #[must_use]
    pub fn with_deadlines(mut self, first_byte: Duration, between_chunks: Duration) -> Self {
        self.deadlines = Deadlines {
            first_byte,
            between_chunks,
        };
        self
    }
}

#[async_trait]
impl Http for ReqwestHttp {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let host = request.uri().host().unwrap_or("(no host)").to_owned();
        let request = reqwest::Request::try_from(request).map_err(|error| HttpError::Connect {
            host: host.clone(),
            reason: reason(error),
        })?;
        self.gate
            .admit(request.url())
            .map_err(|Closed(reason)| HttpError::Closed {
                host: host.clone(),
                reason,
            })?;
        let answer = tokio::time::timeout(self.deadlines.first_byte, self.client.execute(request)).await;
        let answer = answer
            .map_err(|_| HttpError::Timeout { host: host.clone() })?
            .map_err(|error| explain(&host, error))?;
        let answer: http::Response<reqwest::Body> = answer.into();
        let (parts, body) = answer.into_parts();
        Ok(http::Response::from_parts(
            parts,
            chunks(host, body, self.deadlines.between_chunks),
        ))
    }
}

/// The body with a deadline for each chunk; ends after the first error.
fn chunks(host: String, body: reqwest::Body, deadline: Duration) -> Body {
    let chunks = http_body_util::BodyDataStream::new(body);
    stream::unfold(Some((host, chunks)), move |state| async move {
        let (host, mut chunks) = state?;
        match tokio::time::timeout(deadline, chunks.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some((host, chunks)))),
            Ok(Some(Err(error))) => Some((Err(explain(&host, error)), None)),
            Err(_) => Some((Err(HttpError::Timeout { host }), None)),
        }
    })
    .boxed()
}

fn explain(host: &str, error: reqwest::Error) -> HttpError {
    let host = host.to_owned();
    if let Some(Closed(reason)) = closed(&error) {
        return HttpError::Closed {
            host,
            reason: reason.clone(),
        };
    }
    // A connection that is not made in time is no connection: which deadline passed decides what an admin looks at.
    if error.is_connect() {
        HttpError::Connect {
            host,
            reason: reason(error),
        }
    } else if error.is_timeout() {
        HttpError::Timeout { host }
    } else {
        HttpError::Broken {
            host,
            reason: reason(error),
        }
    }
}

/// What the gate said, if it was the gate.
fn closed(error: &reqwest::Error) -> Option<&Closed> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(closed) = error.downcast_ref() {
            return Some(closed);
        }
        cause = error.source();
    }
    None
}

/// The chain of causes without the URL, whose query may hold what nobody should read.
pub fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
