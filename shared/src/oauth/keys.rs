//! The authority's signing keys: discovery and key set, fetched from the token URL's own host, kept in process.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::info;
use url::Url;

use crate::{
    origin::Origin,
    ports::{Clock, Http},
};

use super::{
    entra::document,
    error::{TokenError, TokenErrorKind},
};

/// Stands for the tenant in the issuer of Entra's `common` and `organizations`.
const TENANT: &str = "{tenantid}";

/// What an authority says of itself (OpenID Connect Discovery 1.0 section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
    /// RFC 9207 section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// RFC 7517 section 5; keys of other kinds are passed over.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// RFC 7517 section 4 and RFC 7518 section 6.3.1.
#[derive(Deserialize)]
struct RsaKey {
    kid: String,
    kty: String,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    n: String,
    e: String,
}

/// An authority whose keys are known.
pub(super) struct Authority {
    /// The issuer as discovery names it; `{tenantid}` stands for the tenant of the token.
    issuer: String,
    /// It names itself in every answer to a browser.
    names_itself: bool,
    keys: HashMap<String, (Vec<u8>, Vec<u8>)>,
}

impl Authority {
    /// Whether an answer that named this issuer, or none, can be this authority's (RFC 9207 section 2.4). Where the
    /// issuer depends on a tenant that is not known yet, the callback has compared the host.
    pub(super) fn may_have_answered(&self, named: Option<&str>) -> bool {
        match named {
            None => !self.names_itself,
            Some(named) => self.issuer.contains(TENANT) || named == self.issuer,
        }
    }

    /// The issuer for a tenant.
    pub(super) fn issuer_of(&self, tenant: &str) -> String {
        self.issuer.replace(TENANT, tenant)
    }

    /// Whether the key `kid` made this RS256 signature; `None` if there is no such key.
    pub(super) fn verify(&self, kid: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let (n, e) = self.keys.get(kid)?;
        let key = RsaPublicKeyComponents { n, e };
        Some(key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok())
    }
}

/// Authorities by token URL.
#[derive(Default)]
pub(super) struct Authorities(Mutex<HashMap<Url, Arc<Authority>>>);

impl Authorities {
    /// The authority behind a token URL; `anew` asks again, because a key was not among those known.
    pub(super) async fn of(
        &self,
        http: &dyn Http,
        clock: &dyn Clock,
        token_url: &Url,
        anew: bool,
    ) -> Result<Arc<Authority>, TokenError> {
        let mut known = self.0.lock().await;
        if let Some(authority) = known.get(token_url)
            && !anew
        {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(fetch(http, clock, token_url).await?);
        info!(issuer = %authority.issuer, keys = authority.keys.len(), "signing keys read");
        known.insert(token_url.clone(), Arc::clone(&authority));
        Ok(authority)
    }
}

/// Where the authority behind a token URL describes itself.
fn discovery_url(token_url: &Url) -> Url {
    let mut url = token_url.clone();
    url.set_query(None);
    let path = match token_url.path().strip_suffix("/oauth2/v2.0/token") {
        Some(tenant) => format!("{tenant}/v2.0/.well-known/openid-configuration"),
        None => "/.well-known/openid-configuration".to_owned(),
    };
    url.set_path(&path);
    url
}

async fn fetch(http: &dyn Http, clock: &dyn Clock, token_url: &Url) -> Result<Authority, TokenError> {
    let discovery: Discovery = document(http, clock, &discovery_url(token_url), None).await?;
    if Origin::of(&discovery.jwks_uri) != Origin::of(token_url) {
        return Err(TokenError::plain(
            TokenErrorKind::Unforeseen,
            "the login host's description of itself names keys on another host",
        ));
    }
    let set: KeySet = document(http, clock, &discovery.jwks_uri, None).await?;
    let mut keys = HashMap::new();
    for key in set.keys {
        let Ok(key) = serde_json::from_value::<RsaKey>(key) else {
            continue;
        };
        if key.kty == "RSA"
            && key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && let (Ok(n), Ok(e)) = (URL_SAFE_NO_PAD.decode(&key.n), URL_SAFE_NO_PAD.decode(&key.e))
        {
            keys.insert(key.kid, (n, e));
        }
    }
    Ok(Authority {
        issuer: discovery.issuer,
        names_itself: discovery.authorization_response_iss_parameter_supported,
        keys,
    })
}
