//! The AWS SDK over the one HTTP client, and what its failures come to.
//!
//! There is no `aws-config` here: its chain of credentials ends at the instance metadata service and at SSO. A Lambda
//! function has its credentials in the environment, for as long as its sandbox lives, and nothing else is asked.

use std::{fmt, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::{ConnectorError, SdkError},
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_types::{
    body::SdkBody, error::metadata::ProvideErrorMetadata, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_types::{SdkConfig, region::Region, request_id::RequestId};
use bytes::Bytes;
use reqwest::Client;
use shared::wire;

use crate::settings::Account;

/// The longest one call may take. A write that takes longer has an unknown outcome.
const CALL: Duration = Duration::from_secs(10);
/// The longest an invocation of another function may take: token-refresh waits for a lease and for Microsoft.
const INVOKE: Duration = Duration::from_secs(120);

/// The configuration of SDK clients, under a name of ours for those who do not know the SDK.
pub type Sdk = SdkConfig;

/// The configuration of all SDK clients: no retries, because only callers know what a lost race means.
pub fn config(client: &Client, account: &Account) -> SdkConfig {
    let wire = SharedHttpConnector::new(Wire(client.clone()));
    let credentials = Credentials::new(
        account.access_key.clone(),
        account.secret_key.expose(),
        account.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "environment",
    );
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(account.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client_fn(move |_, _| wire.clone()))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(CALL).build());
    if let Some(endpoint) = &account.endpoint {
        builder = builder.endpoint_url(endpoint.as_str());
    }
    builder.build()
}

/// The same for invoking functions, which takes longer.
pub fn patient(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_timeout(INVOKE).build();
    config.clone().into_builder().timeout_config(timeouts).build()
}

/// The same for calls that only read: they may be repeated.
pub fn repeating(config: &SdkConfig) -> SdkConfig {
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(50));
    config.clone().into_builder().retry_config(retries).build()
}

/// The SDK's connector over our client: one pool of connections, one TLS configuration.
#[derive(Clone)]
struct Wire(Client);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { call(&client, request).await })
    }
}

async fn call(client: &Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let bytes = body
        .bytes()
        .map(Bytes::copy_from_slice)
        .ok_or_else(|| ConnectorError::user("a request whose body is a stream".into()))?;
    let request = reqwest::Request::try_from(http::Request::from_parts(parts, bytes)).map_err(failed)?;
    let answer: http::Response<reqwest::Body> = client.execute(request).await.map_err(failed)?.into();
    let (parts, body) = answer.into_parts();
    let response = reqwest::Response::from(http::Response::new(body));
    let bytes = response.bytes().await.map_err(failed)?;
    HttpResponse::try_from(http::Response::from_parts(parts, SdkBody::from(bytes)))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

fn failed(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(wire::reason(error).into())
    } else {
        ConnectorError::io(wire::reason(error).into())
    }
}

/// What the failure of a call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A right is missing, or the credentials are not taken. In words.
    Denied(String),
    /// AWS asks for fewer calls; this one was not carried out. In words.
    Throttled(String),
    /// No answer, or one that says that AWS has trouble: whether the call was carried out is not known. In words.
    Unknown(String),
    /// The service refused; the error's code, and in words.
    Refused {
        /// For example `ResourceNotFoundException`.
        code: String,
        /// In words, with AWS's request id.
        what: String,
    },
}

impl Fault {
    /// In words.
    pub fn what(&self) -> &str {
        match self {
            Self::Denied(what) | Self::Throttled(what) | Self::Unknown(what) | Self::Refused { what, .. } => what,
        }
    }

    /// Whether the service refused with this code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// Of the error of a call.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + RequestIdOf,
    {
        match error {
            SdkError::ServiceError(context) => {
                let failure = context.err();
                let code = failure.code().unwrap_or("Unknown").to_owned();
                let said = failure.message().unwrap_or_default();
                let id = failure.id().unwrap_or("-");
                let what = format!("{code}: {said} (AWS request {id})");
                Self::from_code(code, context.raw().status().as_u16(), what)
            }
            SdkError::TimeoutError(_) => Self::Unknown("AWS did not answer in time".into()),
            SdkError::DispatchFailure(failure) => {
                let why = failure
                    .as_connector_error()
                    .and_then(std::error::Error::source)
                    .map_or_else(|| "no connection".to_owned(), ToString::to_string);
                Self::Unknown(format!("AWS could not be reached: {why}"))
            }
            SdkError::ResponseError(context) => Self::Unknown(format!(
                "AWS answered HTTP {} with something unreadable",
                context.raw().status()
            )),
            other => Self::Refused {
                code: "Construction".into(),
                what: format!("the call could not be made: {other}"),
            },
        }
    }

    fn from_code(code: String, status: u16, what: String) -> Self {
        let denied = code.starts_with("AccessDenied")
            || (code.starts_with("KMS") && code != "KMSInternalException")
            || matches!(
                code.as_str(),
                "UnrecognizedClientException"
                    | "InvalidSignatureException"
                    | "ExpiredTokenException"
                    | "InvalidClientTokenId"
                    | "MissingAuthenticationTokenException"
                    | "NotAuthorizedException"
                    | "EncryptionFailure"
                    | "DecryptionFailure"
            );
        let throttled = status == 429
            || matches!(
                code.as_str(),
                "ThrottlingException"
                    | "Throttling"
                    | "ProvisionedThroughputExceededException"
                    | "RequestLimitExceeded"
                    | "TooManyRequestsException"
            );
        if throttled {
            Self::Throttled(what)
        } else if denied {
            Self::Denied(what)
        } else if status >= 500 {
            Self::Unknown(what)
        } else {
            Self::Refused { code, what }
        }
    }
}

/// The request id of an error, where it has one. (A trait of ours, because the SDK's has the same name in two crates.)
pub trait RequestIdOf {
    /// AWS's request id.
    fn id(&self) -> Option<&str>;
}

impl<E: RequestId> RequestIdOf for E {
    fn id(&self) -> Option<&str> {
        self.request_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str, status: u16) -> Fault {
        Fault::from_code(code.to_owned(), status, String::new())
    }

    #[test]
    fn what_a_code_comes_to() {
        assert_eq!(fault("AccessDeniedException", 400), Fault::Denied(String::new()));
        assert_eq!(fault("KMSDisabledException", 400), Fault::Denied(String::new()));
        assert_eq!(fault("KMSInternalException", 500), Fault::Unknown(String::new()));
        assert_eq!(fault("ThrottlingException", 400), Fault::Throttled(String::new()));
        assert_eq!(fault("Anything", 429), Fault::Throttled(String::new()));
        assert_eq!(fault("InternalServerError", 500), Fault::Unknown(String::new()));
        assert!(fault("ResourceNotFoundException", 400).is("ResourceNotFoundException"));
    }
}
