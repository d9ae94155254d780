//! The discovery document (`OpenID` Connect Discovery 1.0) and the key set (RFC 7517).

use super::error::{self, Refusal};
use super::token::{self, Tenant};
use crate::faults::RequestKind;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, plain_json};
use serde_json::json;

pub(crate) fn document(simulator: &Simulator, call: &Call, tenant: &str) -> Reply {
    let base = match base(simulator, call, tenant) {
        Ok(base) => base,
        Err(refusal) => return finish(simulator, error::answer(simulator, call, &refusal)),
    };
    let body = json!({
        // For `common` and its kind Entra's document has the placeholder `{tenantid}` in the place of a tenant.
        "issuer": if ["common", "organizations"].contains(&tenant) {
            format!("{}/{{tenantid}}/v2.0", call.origin)
        } else {
            format!("{base}/v2.0")
        },
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "oid", "email"],
        "tenant_region_scope": "EU",
        "msgraph_host": call.origin.split_once("://").map_or("", |(_, host)| host),
    });
    finish(simulator, plain_json(200, &body))
}

pub(crate) fn keys(simulator: &Simulator, call: &Call, tenant: &str) -> Reply {
    if let Err(refusal) = base(simulator, call, tenant) {
        return finish(simulator, error::answer(simulator, call, &refusal));
    }
    finish(
        simulator,
        plain_json(200, &json!({ "keys": [simulator.core.key.jwk()] })),
    )
}

/// `{origin}/{tenant id}`; `common` and its kind keep their name as Entra does it.
fn base(simulator: &Simulator, call: &Call, tenant: &str) -> Result<String, Refusal> {
    let mut state = simulator.lock();
    state.stats.request(RequestKind::Discovery);
    if ["common", "organizations", "consumers"].contains(&tenant) {
        return Ok(format!("{}/{tenant}", call.origin));
    }
    let id = match token::tenant_of(&state.options, tenant)? {
        Tenant::Other => &state.options.other_tenant_id,
        _ => &state.options.tenant_id,
    };
    Ok(format!("{}/{id}", call.origin))
}

fn finish(simulator: &Simulator, mut reply: Reply) -> Reply {
    error::dress(simulator, &mut reply);
    reply
}
