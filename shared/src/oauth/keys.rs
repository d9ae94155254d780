//! An authority's description of itself and its signing keys: discovery and key set, kept in process.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::info;
use url::Url;

use crate::{
    config::may_be_named,
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
    #[serde(default)]
    authorization_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint: Option<Url>,
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
    /// Where browsers are sent and codes are redeemed, as discovery names them.
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
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

    /// Where browsers are sent, and where codes are redeemed.
    pub(super) fn endpoints(&self) -> Option<(&Url, &Url)> {
        Some((self.authorization_endpoint.as_ref()?, self.token_endpoint.as_ref()?))
    }

    /// Whether the key `kid` made this RS256 signature; `None` if there is no such key.
    pub(super) fn verify(&self, kid: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let (n, e) = self.keys.get(kid)?;
        let key = RsaPublicKeyComponents { n, e };
        Some(key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok())
    }
}

/// Which authority is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'a> {
    /// The one behind a credential's token URL: it is on that host, with its keys.
    TokenUrl(&'a Url),
    /// The one with this issuer, and no other (Discovery section 4.3). An operator chose it, so it may name other hosts.
    Issuer(&'a str),
}

impl Named<'_> {
    fn discovery(self) -> Result<Url, TokenError> {
        match self {
            Self::TokenUrl(url) => Ok(discovery_url(url)),
            Self::Issuer(issuer) => {
                let text = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                Url::parse(&text).map_err(|_| odd("the issuer is no URL"))
            }
        }
    }

    /// Whether what the authority says of itself fits what was asked.
    fn fits(self, said: &Discovery) -> Result<(), TokenError> {
        match self {
            Self::TokenUrl(url) if Origin::of(&said.jwks_uri) != Origin::of(url) => {
                Err(odd("the login host's description of itself names keys on another host"))
            }
            Self::TokenUrl(_) => Ok(()),
            Self::Issuer(issuer) if said.issuer != issuer => Err(TokenError::plain(
                TokenErrorKind::Settings,
                format!(
                    "the issuer calls itself `{}` and is set as `{issuer}`; set it exactly as it calls itself, and of Entra ID one tenant by its id",
                    crate::message::cut(&said.issuer, 200)
                ),
            )),
            Self::Issuer(issuer) => {
                let here = Url::parse(issuer).map_err(|_| odd("the issuer is no URL"))?;
                let named = [
                    Some(&said.jwks_uri),
                    said.authorization_endpoint.as_ref(),
                    said.token_endpoint.as_ref(),
                ];
                if named.into_iter().flatten().all(|url| may_be_named(url, &here)) {
                    return Ok(());
                }
                Err(odd(
                    "the issuer's description of itself names an address that is not https and a host name",
                ))
            }
        }
    }
}

fn odd(what: &str) -> TokenError {
    TokenError::plain(TokenErrorKind::Unforeseen, what)
}

/// Authorities by where they describe themselves.
#[derive(Default)]
pub(super) struct Authorities(Mutex<HashMap<Url, Arc<Authority>>>);

impl Authorities {
    /// An authority; `anew` asks again, because a key was not among those known.
    pub(super) async fn of(
        &self,
        http: &dyn Http,
        clock: &dyn Clock,
        named: Named<'_>,
        anew: bool,
    ) -> Result<Arc<Authority>, TokenError> {
        let place = named.discovery()?;
        let mut known = self.0.lock().await;
        if let Some(authority) = known.get(&place)
            && !anew
        {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(fetch(http, clock, named, &place).await?);
        info!(issuer = %authority.issuer, keys = authority.keys.len(), "signing keys read");
        known.insert(place, Arc::clone(&authority));
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

async fn fetch(http: &dyn Http, clock: &dyn Clock, named: Named<'_>, place: &Url) -> Result<Authority, TokenError> {
    let discovery: Discovery = document(http, clock, place, None).await?;
    named.fits(&discovery)?;
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
        authorization_endpoint: discovery.authorization_endpoint,
        token_endpoint: discovery.token_endpoint,
        keys,
    })
}
