//! The wire of one machine: the platform's trusted authorities, because firms intercept TLS; a proxy if there is one.

use std::{path::PathBuf, sync::Arc};

use reqwest::{NoProxy, Proxy};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use shared::{
    origin::TrustedOrigins,
    wire::{self, Gate, ReqwestHttp, system_names},
};
use url::Url;

use super::OpenError;

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
    /// What may be asked besides hosts on the internet over https.
    pub trusted: TrustedOrigins,
}

/// Sets up the wire. Connections are made on demand and kept for later calls.
pub fn wire(options: &HttpOptions) -> Result<ReqwestHttp, OpenError> {
    let proxy = options.proxy.as_ref().map(|url| {
        // The URL may carry a password: the error names the setting, not the text.
        Proxy::all(url)
            .map(|proxy| proxy.no_proxy(options.no_proxy.as_deref().and_then(NoProxy::from_string)))
            .map_err(|_| OpenError::Tls("the proxy's URL cannot be used (set by HTTPS_PROXY)".into()))
    });
    let mut gate = Gate::new(options.trusted.clone(), system_names());
    if let Some(proxy) = options.proxy.as_ref().and_then(|typed| Url::parse(typed).ok()) {
        gate = gate.behind(&proxy);
    }
    ReqwestHttp::new(tls(options)?, gate, proxy.transpose()?).map_err(OpenError::Tls)
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
    wire::authorities(&text).map_err(failed)
}
