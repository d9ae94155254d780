//! Access tokens: what is in them, and what Graph finds wrong with one.

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
    pub(crate) roles: Vec<String>,
}

/// Why a token is refused, in Graph's words.
pub(crate) type Refused = &'static str;

/// The claims of an app-only token (Microsoft identity platform, "Access token claims reference").
pub(crate) fn claims(
    state: &State,
    origin: &str,
    app: &str,
    audience: &str,
    uti: &str,
    now_s: i64,
    life_s: i64,
) -> Value {
    let roles = state
        .apps
        .iter()
        .find(|a| a.client_id == app)
        .map(|a| a.roles.clone())
        .unwrap_or_default();
    let object = crate::mailbox::ids::guid_of(&format!("service principal of {app}"));
    let mut claims = json!({
        "aud": audience, "iss": format!("{origin}/{}/v2.0", state.options.tenant_id), "iat": now_s, "nbf": now_s,
        "exp": now_s + life_s, "appid": app, "app_displayname": "Postroom", "appidacr": "1", "idtyp": "app",
        "oid": object, "sub": object, "tid": state.options.tenant_id, "uti": uti, "ver": "1.0",
    });
    if !roles.is_empty() {
        claims["roles"] = json!(roles);
    }
    claims
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
    Ok(Bearer {
        app: text("appid").to_owned(),
        roles,
    })
}
