//! The wire over reqwest: rustls with ring, the platform's trusted authorities, no redirects, three deadlines.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::{Client, NoProxy, Proxy, redirect::Policy};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use rustls_platform_verifier::Verifier;
use shared::ports::{Body, Http, HttpError};

use super::OpenError;

const CONNECT: Duration = Duration::from_secs(10);

/// How the wire is set up. Nothing is read from the environment: the caller hands in what its settings say.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    /// PEM file with certificate authorities trusted besides the platform's.
    pub ca_file: Option<PathBuf>,
    /// A proxy for all calls, as an `http://` or `https://` URL; by convention from `HTTPS_PROXY`. It sees host names
    /// only: TLS goes through it end to end.
    pub proxy: Option<String>,
    /// Hosts that are called without the proxy, by convention from `NO_PROXY`.
    pub no_proxy: Option<String>,
}

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
    deadlines: Deadlines,
}

impl ReqwestHttp {
    /// Sets up the client. Connections are made on demand and kept for later calls.
    pub fn new(options: &HttpOptions) -> Result<Self, OpenError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls(options)?)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_mins(1))
            .user_agent(concat!("postroom/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(url) = &options.proxy {
            // The URL may carry a password: the error names the setting, not the text.
            let proxy = Proxy::all(url)
                .map_err(|_| OpenError::Tls("the proxy's URL cannot be used (set by HTTPS_PROXY)".into()))?;
            builder = builder.proxy(proxy.no_proxy(options.no_proxy.as_deref().and_then(NoProxy::from_string)));
        }
        let client = builder.build().map_err(|error| OpenError::Tls(reason(error)))?;
        Ok(Self {
            client,
            deadlines: Deadlines {
                first_byte: Duration::from_mins(1),
                between_chunks: Duration::from_secs(30),
            },
        })
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

fn tls(options: &HttpOptions) -> Result<ClientConfig, OpenError> {
    let failed = |error: rustls::Error| OpenError::Tls(error.to_string());
    // The provider is named here, so that no process-wide default can decide otherwise.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra_roots(options)?, provider.clone()).map_err(failed)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn extra_roots(options: &HttpOptions) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let Some(path) = &options.ca_file else {
        return Ok(Vec::new());
    };
    let failed = |reason: String| OpenError::CaFile {
        path: path.clone(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let roots = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(error.to_string()))?;
    if roots.is_empty() {
        return Err(failed("there is no certificate in it".into()));
    }
    // The platform verifier leaves out what it cannot read; here it is named instead.
    let mut store = rustls::RootCertStore::empty();
    for (place, root) in roots.iter().enumerate() {
        store
            .add(root.clone())
            .map_err(|error| failed(format!("certificate {}: {error}", place + 1)))?;
    }
    Ok(roots)
}

#[async_trait]
impl Http for ReqwestHttp {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let host = request.uri().host().unwrap_or("(no host)").to_owned();
        let request = reqwest::Request::try_from(request).map_err(|error| HttpError::Connect {
            host: host.clone(),
            reason: reason(error),
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

/// The chain of causes without the URL, whose query may hold what nobody should read.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
