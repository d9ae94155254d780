//! Access tokens: what is in them, and what Graph finds wrong with one.

use super::directory::User;
use super::id_token::subject;
use crate::simulator::{Simulator, State};
use serde_json::{Value, json};

/// The audience of tokens for Graph.
pub(crate) const GRAPH: &str = "https://graph.microsoft.com";
/// Graph's application id, which may stand for its URL in a scope.
pub(crate) const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";

/// What a served token says.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) app: String,
    /// Application permissions.
    pub(crate) roles: Vec<String>,
    /// The person it acts for, with the delegated permissions; `None` for an app of its own.
    pub(crate) person: Option<Person>,
}

/// The person behind a delegated token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) oid: String,
    pub(crate) scopes: Vec<String>,
}

/// Why a token is refused, in Graph's words.
pub(crate) type Refused = &'static str;

/// One token to be given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issue<'a> {
    pub(crate) origin: &'a str,
    pub(crate) app: &'a str,
    pub(crate) audience: &'a str,
    /// Identifier of the token.
    pub(crate) uti: &'a str,
    /// Unix seconds.
    pub(crate) now_s: i64,
    /// Seconds.
    pub(crate) life_s: i64,
}

/// The claims of an app-only token (Microsoft identity platform, "Access token claims reference").
pub(crate) fn app_only(state: &State, issue: &Issue<'_>) -> Value {
    let app = state.apps.iter().find(|a| a.client_id == issue.app);
    let roles = app.map(|a| a.roles.clone()).unwrap_or_default();
    let object = crate::mailbox::ids::guid_of(&format!("service principal of {}", issue.app));
    let mut claims = common_claims(state, issue);
    claims["idtyp"] = "app".into();
    claims["oid"] = object.clone().into();
    claims["sub"] = object.into();
    if !roles.is_empty() {
        claims["roles"] = json!(roles);
    }
    claims
}

/// The claims of a token that acts for a person.
pub(crate) fn delegated(state: &State, issue: &Issue<'_>, user: &User, scp: &str, mfa: bool) -> Value {
    let mut claims = common_claims(state, issue);
    claims["idtyp"] = "user".into();
    claims["oid"] = user.oid.clone().into();
    claims["sub"] = subject(&user.oid, issue.audience).into();
    claims["upn"] = user.address.clone().into();
    claims["unique_name"] = user.address.clone().into();
    claims["name"] = user.display_name.clone().into();
    claims["scp"] = scp.into();
    claims["amr"] = if mfa { json!(["pwd", "mfa"]) } else { json!(["pwd"]) };
    claims
}

fn common_claims(state: &State, issue: &Issue<'_>) -> Value {
    json!({
        "aud": issue.audience, "iss": format!("{}/{}/v2.0", issue.origin, state.options.tenant_id), "iat": issue.now_s,
        "nbf": issue.now_s, "exp": issue.now_s + issue.life_s, "appid": issue.app, "app_displayname": "Postroom",
        "appidacr": "1", "tid": state.options.tenant_id, "uti": issue.uti, "ver": "1.0",
    })
}

/// Reads the `Authorization` header as Graph does.
pub(crate) fn check(simulator: &Simulator, header: Option<&str>) -> Result<Bearer, Refused> {
    let header = header.ok_or("Access token is empty.")?;
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err("Access token is empty."),
    };
    if token.is_empty() {
        return Err("Access token is empty.");
    }
    if token.split('.').count() != 3 {
        return Err("IDX14100: JWT is not well formed, there are no dots (.).");
    }
    let claims = simulator
        .core
        .key
        .verify(token)
        .ok_or("Access token validation failure. Invalid signature.")?;
    let text = |name: &str| claims[name].as_str().unwrap_or_default();
    let state = simulator.lock();
    if text("aud") != GRAPH {
        return Err("Access token validation failure. Invalid audience.");
    }
    if text("tid") != state.options.tenant_id {
        return Err("Access token validation failure. Invalid tenant.");
    }
    if claims["exp"].as_i64().unwrap_or(0).saturating_mul(1000) <= simulator.now_ms() {
        return Err("Lifetime validation failed, the token is expired.");
    }
    if state.revoked.contains(text("uti")) {
        return Err("Access token has been revoked.");
    }
    let roles = claims["roles"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let person = claims["scp"].as_str().map(|scp| Person {
        oid: text("oid").to_owned(),
        scopes: scp.split(' ').map(str::to_owned).collect(),
    });
    Ok(Bearer {
        app: text("appid").to_owned(),
        roles,
        person,
    })
}
