//! The simulator on a socket, plain or with TLS from a certificate authority of its own.

use crate::faults::ConnectionReset;
use crate::simulator::Simulator;
use crate::wire::Reply;
use axum::body::Body;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use http::Request;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::ServiceExt as _;

/// Why it cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket.
    #[error("the socket cannot be used: {0}")]
    Socket(#[from] io::Error),
    /// The certificates.
    #[error("the certificates cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A server certificate for `localhost` and `127.0.0.1`, and the authority that signed it.
#[derive(Clone)]
pub struct Tls {
    ca_pem: String,
    config: Arc<rustls::ServerConfig>,
}

impl Tls {
    /// Makes an authority and a certificate, fresh each time.
    pub fn generate() -> Result<Self, ServeError> {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name = DistinguishedName::new();
        ca.distinguished_name.push(DnType::CommonName, "Postroom simulator CA");
        let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let mut server =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()])?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &issuer)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            ca_pem: issuer.pem(),
            config: Arc::new(config),
        })
    }

    /// The authority's certificate, for the client's trust store.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

/// A simulator that is being served.
pub struct Running {
    origin: String,
    handle: Handle<SocketAddr>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl Running {
    /// Scheme, host and port, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Stops: running requests get two seconds.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.handle.graceful_shutdown(Some(Duration::from_secs(2)));
        match self.task.await {
            Ok(ended) => Ok(ended?),
            Err(_) => Ok(()),
        }
    }
}

impl Simulator {
    /// Serves on a listener until stopped.
    pub fn serve(&self, listener: tokio::net::TcpListener, tls: Option<Tls>) -> Result<Running, ServeError> {
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        // The address itself, so that no name has to be resolved; "everywhere" is no address to go to.
        let origin = if address.ip().is_unspecified() {
            format!("{scheme}://localhost:{}", address.port())
        } else {
            format!("{scheme}://{address}")
        };
        {
            let mut state = self.lock();
            // Links name the origin the client used; behind TLS the request alone does not tell the scheme.
            if tls.is_some() && state.options.origin.is_none() {
                state.options.origin = Some(origin.clone());
            }
        }
        let service = Door { router: self.router() };
        let handle = Handle::new();
        let server = axum_server::from_tcp(listener.into_std()?)?.handle(handle.clone());
        let make = tower::make::Shared::new(service);
        // Without it the last small packet of an answer waits for an acknowledgement that its reader delays by 40 ms.
        let at_once = NoDelayAcceptor::new();
        let task = match tls {
            None => tokio::spawn(server.acceptor(at_once).serve(make)),
            Some(tls) => {
                let secured = RustlsAcceptor::new(RustlsConfig::from_config(tls.config)).acceptor(at_once);
                tokio::spawn(server.acceptor(secured).serve(make))
            }
        };
        Ok(Running { origin, handle, task })
    }
}

/// The router with a door that can be slammed: axum's own cannot fail, and a reset is a failure.
#[derive(Clone)]
struct Door {
    router: axum::Router,
}

impl<B> tower::Service<Request<B>> for Door
where
    B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Reply;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let router = self.router.clone();
        Box::pin(async move {
            let Ok(reply) = router.oneshot(request.map(Body::new)).await;
            // An error here closes the connection before a byte is answered.
            if reply.extensions().get::<ConnectionReset>().is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionReset,
                    "an armed fault reset this connection",
                ));
            }
            Ok(reply)
        })
    }
}
