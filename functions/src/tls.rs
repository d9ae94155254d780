//! The one TLS configuration of a sandbox: rustls with ring, the authorities of the web and those an operator adds.
//!
//! The authorities are compiled in: reading the system's costs milliseconds of a cold start, and Lambda's own list is not
//! ours to keep.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use shared::{config::ConfigError, wire};

/// The configuration; `ca_file` is a PEM file with further authorities.
pub fn configuration(ca_file: Option<&str>) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = ca_file {
        let wrong = |reason: String| ConfigError {
            name: "POSTROOM_CA_FILE",
            reason: format!("{path}: {reason}"),
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        for root in wire::authorities(&pem).map_err(wrong)? {
            roots.add(root).map_err(|error| wrong(error.to_string()))?;
        }
    }
    let failed = |error: rustls::Error| ConfigError {
        name: "POSTROOM_CA_FILE",
        reason: format!("TLS cannot be set up: {error}"),
    };
    // The provider is named here, so that no process-wide default can decide otherwise.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::configuration;

    #[test]
    fn a_file_of_authorities_that_cannot_be_used_is_named() {
        assert!(configuration(None).is_ok());
        let error = configuration(Some("/no/such/file.pem")).unwrap_err();
        assert!(error.to_string().contains("POSTROOM_CA_FILE") && error.to_string().contains("/no/such/file.pem"));
    }
}
