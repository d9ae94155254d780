//! The archive over an S3 bucket, with the sandbox's own credentials and HTTP client: no metadata service, no second pool.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    client::{HttpClient, HttpConnector},
};
use reqwest::Client;
use shared::{archive::Archive, config::ConfigError};

use crate::settings::Account;

/// Bytes of a part of an upload: the least S3 takes, so that memory stays low.
const PART: usize = 5 * 1024 * 1024;
/// S3 asks for repetitions now and then; a run has other things to do than wait for long.
const RETRIES: usize = 4;

/// Hands out the one client.
#[derive(Debug)]
struct Shared(Client);

impl HttpConnector for Shared {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The objects of a bucket.
pub fn objects(client: &Client, account: &Account, bucket: &str) -> Result<Arc<dyn ObjectStore>, ConfigError> {
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(30),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&account.region)
        .with_access_key_id(&account.access_key)
        .with_secret_access_key(account.secret_key.expose())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry)
        .with_http_connector(Shared(client.clone()));
    if let Some(token) = &account.session_token {
        builder = builder.with_token(token.expose());
    }
    builder = match &account.endpoint {
        None => builder.with_virtual_hosted_style_request(true),
        Some(endpoint) => builder
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_allow_http(endpoint.scheme() == "http"),
    };
    let built = builder.build().map_err(|error| ConfigError {
        name: "POSTROOM_BUCKET",
        reason: error.to_string(),
    })?;
    Ok(Arc::new(built))
}

/// The archive in a bucket.
pub fn archive(client: &Client, account: &Account, bucket: &str) -> Result<Archive, ConfigError> {
    Ok(Archive::new(objects(client, account, bucket)?, PART))
}
