//! The token endpoint on the wire: the `oauth2` crate over our [`Http`] port, with Entra's error body.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::Engine as _;
use bytes::Bytes;
use futures::{TryStreamExt as _, future::BoxFuture};
use oauth2::{
    AuthType, ClientId, ClientSecret, EmptyExtraTokenFields, RequestTokenError, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
    basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use url::Url;

use crate::{
    graph::retry_after,
    ports::{Clock, Http, HttpError},
    secret::Secret,
};

use super::error::{TokenError, TokenErrorKind};

/// The longest the token endpoint may take (O-23).
const TOKEN_DEADLINE: Duration = Duration::from_secs(10);
/// The most bytes it may answer (O-23).
const TOKEN_BYTES: usize = 64 * 1024;

/// Entra's error body (RFC 6749 section 5.2, with Microsoft's additions).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: String,
    #[serde(default)]
    pub(super) error_codes: Vec<u32>,
    #[serde(default)]
    pub(super) trace_id: Option<String>,
    #[serde(default)]
    pub(super) correlation_id: Option<String>,
    #[serde(default)]
    pub(super) suberror: Option<String>,
}

impl std::fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

impl oauth2::ErrorResponse for ErrorBody {}

type Answer = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;
type Client = oauth2::Client<
    ErrorBody,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// A token as it came.
pub(super) struct Granted {
    pub(super) token: Secret,
    pub(super) lifetime: Duration,
    pub(super) claims: Claims,
}

/// What an access token says of itself. Graph's tokens are not ours to verify; these are shown, never trusted.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) scp: Option<String>,
    #[serde(default)]
    pub(super) tid: Option<String>,
}

/// What was seen of an answer beside its body.
#[derive(Default)]
struct Seen {
    status: u16,
    after: Option<Duration>,
}

/// Our [`Http`] port as the `oauth2` crate wants it.
struct Wire {
    http: Arc<dyn Http>,
    now: jiff::Timestamp,
    seen: Mutex<Seen>,
}

impl<'c> oauth2::AsyncHttpClient<'c> for Wire {
    type Error = HttpError;
    type Future = BoxFuture<'c, Result<http::Response<Vec<u8>>, HttpError>>;

    fn call(&'c self, request: http::Request<Vec<u8>>) -> Self::Future {
        Box::pin(call(&*self.http, request, &self.seen, self.now))
    }
}

/// The client credentials grant (RFC 6749 section 4.4): one request, no retry.
pub(super) async fn client_credentials(
    http: Arc<dyn Http>,
    clock: &dyn Clock,
    token_url: &Url,
    client_id: &str,
    secret: &Secret,
    scope: &str,
) -> Result<Granted, TokenError> {
    let client = Client::new(ClientId::new(client_id.to_owned()))
        .set_client_secret(ClientSecret::new(secret.expose().to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::from_url(token_url.clone()));
    let wire = Wire {
        http,
        now: clock.now(),
        seen: Mutex::default(),
    };
    let request = client
        .exchange_client_credentials()
        .add_scopes(scope.split(' ').map(|scope| Scope::new(scope.to_owned())))
        .request_async(&wire);
    let result = timeout(TOKEN_DEADLINE, request).await.map_err(|_| {
        TokenError::plain(
            TokenErrorKind::Transient { after: None },
            "the login host did not answer within 10 seconds",
        )
    })?;
    let seen = wire.seen.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(answer) => granted(&answer),
        Err(RequestTokenError::ServerResponse(body)) => Err(TokenError::from_body(seen.status, seen.after, &body)),
        Err(RequestTokenError::Request(error)) => Err(TokenError::from_wire(&error)),
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
            Err(TokenError::from_status(seen.status, seen.after))
        }
    }
}

fn granted(answer: &Answer) -> Result<Granted, TokenError> {
    let token = answer.access_token().secret();
    if token.is_empty() {
        return Err(TokenError::plain(
            TokenErrorKind::Unforeseen,
            "the login host answered an empty access token",
        ));
    }
    // Without a lifetime the shortest that Entra ever gives (10 minutes, "Configurable token lifetimes") is assumed.
    let lifetime = answer.expires_in().unwrap_or(Duration::from_secs(600));
    Ok(Granted {
        token: Secret::new(token.clone()),
        lifetime,
        claims: claims(token),
    })
}

/// The claims of a token, if it is a JWT (RFC 7519); nothing otherwise.
fn claims(token: &str) -> Claims {
    token
        .split('.')
        .nth(1)
        .and_then(|part| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default()
}

async fn call(
    http: &dyn Http,
    request: http::Request<Vec<u8>>,
    seen: &Mutex<Seen>,
    now: jiff::Timestamp,
) -> Result<http::Response<Vec<u8>>, HttpError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let response = http.call(request.map(Bytes::from)).await?;
    let (parts, mut body) = response.into_parts();
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.status = parts.status.as_u16();
        seen.after = retry_after(&parts.headers, now);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = body.try_next().await? {
        if bytes.len() + chunk.len() > TOKEN_BYTES {
            return Err(HttpError::Broken {
                host,
                reason: format!("more than {TOKEN_BYTES} bytes from a token endpoint"),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(http::Response::from_parts(parts, bytes))
}
