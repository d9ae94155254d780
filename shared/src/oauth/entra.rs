//! The token endpoint on the wire: the `oauth2` crate over our [`Http`] port, with Entra's error body.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::Engine as _;
use bytes::Bytes;
use futures::{TryStreamExt as _, future::BoxFuture};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, ExtraTokenFields, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
    basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use url::Url;

use crate::{
    credential::{signed_assertion, unsigned_assertion},
    graph::retry_after,
    ports::{Clock, Http, HttpError},
    secret::Secret,
};

use super::{
    client::Proof,
    error::{TokenError, TokenErrorKind},
};

/// The longest the token endpoint may take (O-23).
const TOKEN_DEADLINE: Duration = Duration::from_secs(10);
/// The most bytes it may answer (O-23).
const TOKEN_BYTES: usize = 64 * 1024;

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

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
    /// What a policy asks for beside: JSON in a text.
    #[serde(default)]
    pub(super) claims: Option<String>,
}

impl std::fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

impl oauth2::ErrorResponse for ErrorBody {}

/// What OpenID Connect adds to a token response (Core 1.0 section 3.1.3.3).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct WithIdToken {
    #[serde(default)]
    id_token: Option<String>,
}

impl ExtraTokenFields for WithIdToken {}

type Answer = StandardTokenResponse<WithIdToken, BasicTokenType>;
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
    /// A refresh token, if one came.
    pub(super) refresh: Option<Secret>,
    /// An id token, if one came.
    pub(super) id_token: Option<Secret>,
    /// The granted scope, if the answer names it (RFC 6749 section 5.1: absent means as asked).
    pub(super) scope: Option<Vec<String>>,
}

/// Who asks, and where.
pub(super) struct Endpoint<'a> {
    pub(super) http: Arc<dyn Http>,
    pub(super) clock: &'a dyn Clock,
    pub(super) token_url: &'a Url,
    pub(super) client_id: &'a str,
    pub(super) proof: &'a Proof,
    /// The id of an assertion, used once.
    pub(super) jti: String,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    /// RFC 6749 section 4.4.
    ClientCredentials { scope: &'a str },
    /// RFC 6749 section 4.1.3 with RFC 7636.
    Code {
        code: &'a Secret,
        verifier: &'a Secret,
        redirect_uri: &'a Url,
        scope: &'a str,
    },
    /// RFC 6749 section 6.
    Refresh { token: &'a Secret, scope: &'a str },
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

/// The parameters that carry an assertion (RFC 7523 section 2.2); none without one.
fn proving(assertion: Option<&Secret>) -> Vec<(&'static str, String)> {
    assertion.map_or_else(Vec::new, |assertion| {
        vec![
            ("client_assertion_type", ASSERTION_TYPE.to_owned()),
            ("client_assertion", assertion.expose().to_owned()),
        ]
    })
}

/// One request to the token endpoint, no retry.
pub(super) async fn ask(endpoint: Endpoint<'_>, ask: Ask<'_>) -> Result<Granted, TokenError> {
    let client = Client::new(ClientId::new(endpoint.client_id.to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::from_url(endpoint.token_url.clone()));
    let (client, assertion) = match endpoint.proof {
        // A public client has none: PKCE alone ties the code to whoever asked for it (RFC 8252 section 8.1).
        Proof::Secret(secret) if secret.is_empty() => (client, None),
        Proof::Secret(secret) => (
            client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None,
        ),
        Proof::Assertion(made) => (client, Some(made.clone())),
        Proof::Certificate(certificate) => {
            let (url, now) = (endpoint.token_url.as_str(), endpoint.clock.now());
            let unsigned = unsigned_assertion(&certificate.facts.print, url, endpoint.client_id, &endpoint.jti, now);
            let signature = certificate.signature(&unsigned).ok_or_else(|| {
                TokenError::plain(
                    TokenErrorKind::Client,
                    "the key of the certificate cannot sign; give the certificate anew",
                )
            })?;
            (client, Some(signed_assertion(&unsigned, &signature)))
        }
    };
    let wire = Wire {
        http: endpoint.http,
        now: endpoint.clock.now(),
        seen: Mutex::default(),
    };
    let scopes = |scope: &str| -> Vec<Scope> { scope.split(' ').map(|scope| Scope::new(scope.to_owned())).collect() };
    let request = async {
        match ask {
            Ask::ClientCredentials { scope } => {
                let mut request = client.exchange_client_credentials().add_scopes(scopes(scope));
                for (name, value) in proving(assertion.as_ref()) {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&wire).await
            }
            Ask::Code {
                code,
                verifier,
                redirect_uri,
                scope,
            } => {
                let mut request = client
                    .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
                    .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()))
                    .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())))
                    .add_extra_param("scope", scope.to_owned());
                for (name, value) in proving(assertion.as_ref()) {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&wire).await
            }
            Ask::Refresh { token, scope } => {
                let token = RefreshToken::new(token.expose().to_owned());
                let mut request = client.exchange_refresh_token(&token).add_scopes(scopes(scope));
                for (name, value) in proving(assertion.as_ref()) {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&wire).await
            }
        }
    };
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
        Err(RequestTokenError::Request(error)) => Err(TokenError::from_wire("the login host", &error)),
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
            Err(TokenError::from_status(seen.status, seen.after))
        }
    }
}

/// Fetches a small JSON document: discovery and keys of the login host, or, with a token, a word of Graph's.
pub(super) async fn document<T: serde::de::DeserializeOwned>(
    http: &dyn Http,
    clock: &dyn Clock,
    url: &Url,
    bearer: Option<&Secret>,
) -> Result<T, TokenError> {
    let host = url.host_str().unwrap_or_default();
    let transient = |what: String| TokenError::plain(TokenErrorKind::Transient { after: None }, what);
    let mut request = http::Request::get(url.as_str()).header("accept", "application/json");
    if let Some(token) = bearer {
        let mut value = http::HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| TokenError::plain(TokenErrorKind::Unforeseen, "the access token is no header value"))?;
        value.set_sensitive(true);
        request = request.header("authorization", value);
    }
    let request = request
        .body(Vec::new())
        .map_err(|error| TokenError::plain(TokenErrorKind::Settings, error.to_string()))?;
    let seen = Mutex::default();
    let response = timeout(TOKEN_DEADLINE, call(http, request, &seen, clock.now()))
        .await
        .map_err(|_| transient(format!("{host} did not answer within 10 seconds")))?
        .map_err(|error| TokenError::from_wire(host, &error))?;
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(transient(format!("{host} is busy (HTTP {})", status.as_u16())));
    }
    let odd = |what: &str| TokenError::plain(TokenErrorKind::Unforeseen, format!("{host} {what}"));
    if !status.is_success() {
        return Err(odd(&format!("answered HTTP {}", status.as_u16())));
    }
    serde_json::from_slice(response.body()).map_err(|_| odd("answered something that cannot be read"))
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
        refresh: answer
            .refresh_token()
            .map(|token| Secret::new(token.secret().clone()))
            .filter(|token| !token.is_empty()),
        id_token: answer.extra_fields().id_token.clone().map(Secret::new),
        scope: answer
            .scopes()
            .map(|scopes| scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
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
