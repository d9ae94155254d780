//! The id token: who signed in, checked before it is believed (OpenID Connect Core 1.0 section 3.1.3.7).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    credential::Identity,
    origin::is_microsoft,
    ports::{Clock, Http},
    secret::Secret,
};

use super::{
    error::{TokenError, TokenErrorKind},
    keys::{Authorities, Authority, Named},
};

/// Clocks may differ by this much, in seconds.
const SKEW: i64 = 300;
/// An id token is about 1 to 2 KB.
const MOST_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    crit: Option<Value>,
}

/// The claims that every token has, and those that are shown.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    aud: Value,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    pub(super) tid: Option<String>,
    #[serde(default)]
    pub(super) oid: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) preferred_username: Option<String>,
}

/// A person as the checked token names them.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) identity: Identity,
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
}

/// What the token must fit.
pub(super) struct Expected<'a> {
    pub(super) token_url: &'a Url,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a Secret,
    pub(super) now: Timestamp,
}

/// Checks signature and claims, and that the token names a person of the tenant that was asked.
pub(super) async fn check(
    token: &Secret,
    expected: &Expected<'_>,
    authorities: &Authorities,
    http: &dyn Http,
    clock: &dyn Clock,
) -> Result<Person, TokenError> {
    let asked = Asked {
        authority: Named::TokenUrl(expected.token_url),
        client_id: expected.client_id,
        nonce: expected.nonce,
        now: expected.now,
    };
    let (claims, _) = proven(token, &asked, authorities, http, clock).await?;
    person(claims, expected.token_url).map_err(refused)
}

/// What was asked, of whom and by whom.
pub(super) struct Asked<'a> {
    pub(super) authority: Named<'a>,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a Secret,
    pub(super) now: Timestamp,
}

/// The claims of a token that its authority signed, for this app, in answer to this question, and that is not over; typed
/// and whole. Keys are asked for anew once if the token names one that is not known.
pub(super) async fn proven(
    token: &Secret,
    asked: &Asked<'_>,
    authorities: &Authorities,
    http: &dyn Http,
    clock: &dyn Clock,
) -> Result<(Claims, Map<String, Value>), TokenError> {
    let parts = Parts::of(token.expose()).map_err(refused)?;
    let mut authority = authorities.of(http, clock, asked.authority, false).await?;
    let mut signed = authority.verify(&parts.header.kid, parts.message, &parts.signature);
    if signed.is_none() {
        authority = authorities.of(http, clock, asked.authority, true).await?;
        signed = authority.verify(&parts.header.kid, parts.message, &parts.signature);
    }
    match signed {
        Some(true) => {
            judge(&parts.claims, asked, &authority).map_err(refused)?;
            Ok((parts.claims, parts.all))
        }
        Some(false) => Err(refused("its signature is wrong")),
        None => Err(refused("it is signed with a key that the login host does not publish")),
    }
}

pub(super) fn refused(why: &str) -> TokenError {
    TokenError::plain(
        TokenErrorKind::Refused,
        format!("the login host's word on who signed in (id token) cannot be believed: {why}. Nothing was stored"),
    )
}

struct Parts<'a> {
    header: Header,
    claims: Claims,
    all: Map<String, Value>,
    message: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > MOST_BYTES {
            return Err("it is too long");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = message.split_once('.').ok_or("it is no JWT")?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is no JWT");
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| "its header cannot be read")?;
        // The only algorithm Entra signs id tokens with. `none` and HS256 with the public key as its secret end here.
        if header.alg != "RS256" || header.crit.is_some() {
            return Err("it is not signed with RS256");
        }
        let unreadable = |_| "its claims cannot be read";
        let all: Map<String, Value> = serde_json::from_slice(&decode(claims)?).map_err(unreadable)?;
        Ok(Self {
            header,
            claims: serde_json::from_value(Value::Object(all.clone())).map_err(unreadable)?,
            all,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

fn judge(claims: &Claims, asked: &Asked<'_>, authority: &Authority) -> Result<(), &'static str> {
    if claims.iss != authority.issuer_of(claims.tid.as_deref().unwrap_or_default()) {
        return Err("it comes from another issuer");
    }
    let ours = match &claims.aud {
        Value::String(one) => one == asked.client_id,
        Value::Array(all) => {
            let ours = all.iter().any(|one| one == asked.client_id);
            ours && (all.len() == 1 || claims.azp.as_deref() == Some(asked.client_id))
        }
        _ => false,
    };
    if !ours {
        return Err("it is meant for another app");
    }
    if claims.nonce.as_deref().map(Secret::new).as_ref() != Some(asked.nonce) {
        return Err("it belongs to another sign-in");
    }
    let now = asked.now.as_second();
    if claims.exp <= now - SKEW {
        return Err("it is over. Check the clock of this machine");
    }
    if claims.iat > now + SKEW || claims.nbf.is_some_and(|from| from > now + SKEW) {
        return Err("it is from the future. Check the clock of this machine");
    }
    Ok(())
}

/// Who signed in for a credential.
fn person(claims: Claims, token_url: &Url) -> Result<Person, &'static str> {
    let tenant = claims.tid.as_deref().unwrap_or_default();
    if let Some(pinned) = tenant_of(token_url)
        && !pinned.eq_ignore_ascii_case(tenant)
    {
        return Err("it comes from another tenant than the one in the access token URL");
    }
    let identity = match (claims.tid, claims.oid) {
        (Some(tenant), Some(object)) if !tenant.is_empty() && !object.is_empty() => Identity { tenant, object },
        // Microsoft's tokens have both, since `profile` is asked for; other providers know neither.
        _ if is_entra(token_url) => return Err("it does not say who signed in (`tid`, `oid`)"),
        _ if claims.sub.is_empty() => return Err("it does not say who signed in (`sub`)"),
        _ => Identity {
            tenant: claims.iss,
            object: claims.sub,
        },
    };
    Ok(Person {
        identity,
        name: shown(claims.name),
        address: shown(claims.preferred_username),
    })
}

/// Texts that are only shown: one line, not long.
pub(super) fn shown(text: Option<String>) -> Option<String> {
    let text: String = text?.chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn is_entra(token_url: &Url) -> bool {
    token_url.host_str().is_some_and(is_microsoft) || token_url.path().ends_with("/oauth2/v2.0/token")
}

/// The tenant in an access token URL, or in an issuer of Entra ID, if it is named by its id.
pub(super) fn tenant_of(token_url: &Url) -> Option<&str> {
    let first = token_url.path_segments()?.next()?;
    uuid::Uuid::parse_str(first).is_ok().then_some(first)
}
