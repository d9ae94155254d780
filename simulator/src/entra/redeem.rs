//! Codes and refresh tokens at the token endpoint: what they are checked against and what is given for them.

use super::access_token;
use super::directory::expand;
use super::error::Refusal;
use super::grants::{CODE_LIFE_MS, Challenge, Code, Grant, INACTIVITY_MS, Rotation};
use super::id_token;
use super::scope::{self, Resource, Scope};
use super::token::{Tenant, missing};
use super::{App, authorize};
use crate::clock::graph_time;
use crate::mailbox::ids::guid;
use crate::simulator::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// One request at the token endpoint, after the client proved who it is.
pub(crate) struct Request<'a> {
    pub(crate) app: &'a App,
    /// Tenant of the URL, and its text.
    pub(crate) tenant: Tenant,
    pub(crate) tenant_text: &'a str,
    pub(crate) form: &'a [(String, String)],
    pub(crate) origin: &'a str,
    pub(crate) now_ms: i64,
}

/// What is to be signed and sent.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) access: Value,
    pub(crate) id: Option<Value>,
    /// The answer without its tokens, the refresh token excepted.
    pub(crate) answer: Value,
}

impl Request<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let value = self.form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        value.filter(|v| !v.is_empty())
    }

    fn scopes(&self) -> Result<Option<Vec<Scope>>, Refusal> {
        let Some(text) = self.field("scope") else {
            return Ok(None);
        };
        let scopes = scope::read(text, self.origin)?;
        scope::single_resource(&scopes, text)?;
        Ok(Some(scopes))
    }
}

fn invalid(code: u32, text: impl Into<String>) -> Refusal {
    Refusal::bad("invalid_grant", code, text)
}

fn malformed() -> Refusal {
    invalid(70000, "Provided grant is invalid or malformed.")
}

fn revoked(issued_ms: i64) -> Refusal {
    let at = graph_time(issued_ms);
    invalid(
        50173,
        format!(
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. The grant was issued on '{at}'."
        ),
    )
    .with_suberror("bad_token")
}

/// Conditional Access says no.
pub(crate) fn blocked() -> Refusal {
    Refusal::bad(
        "interaction_required",
        53003,
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    )
    .with_suberror("message_only")
    .with_claims()
}

/// A second factor is needed.
pub(crate) fn second_factor_needed() -> Refusal {
    Refusal::bad(
        "interaction_required",
        50076,
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.",
    )
    .with_suberror("basic_action")
    .with_claims()
}

/// `authorization_code`.
pub(crate) fn code(state: &mut State, request: &Request<'_>) -> Result<Given, Refusal> {
    let text = request.field("code").ok_or_else(|| missing("code"))?;
    let redirect_uri = request.field("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    let asked = request.scopes()?;
    let code = state.directory.grants.codes.get(text).cloned().ok_or_else(malformed)?;
    if code.app != request.app.client_id {
        return Err(malformed());
    }
    let here = authorize::tenant_name(&state.options, request.tenant_text);
    if request.tenant == Tenant::Other || code.tenant != here {
        return Err(invalid(
            700_005,
            "Provided Authorization Code is intended to use against other tenant, thus rejected. OAuth2 Authorization Code must be redeemed against same tenant it was acquired for.",
        ));
    }
    if code.redirect_uri != redirect_uri {
        return Err(invalid(
            500_112,
            format!(
                "The reply address '{redirect_uri}' does not match the reply address '{}' provided when requesting Authorization code.",
                code.redirect_uri
            ),
        ));
    }
    if code.redeemed {
        return Err(invalid(
            54005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
        ));
    }
    if request.now_ms.saturating_sub(code.issued_ms) >= CODE_LIFE_MS {
        return Err(invalid(
            70008,
            "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.",
        ));
    }
    verify(code.challenge.as_ref(), request.field("code_verifier"))?;
    if code.revoked {
        return Err(revoked(code.issued_ms));
    }
    let grant = Grant {
        app: code.app.clone(),
        oid: code.oid.clone(),
        scopes: code.scopes.clone(),
        signed_in_ms: code.signed_in_ms,
        mfa: code.mfa,
        issued_ms: request.now_ms,
        refreshed: 0,
        revoked: false,
        expired: false,
    };
    let resource = judge(state, request, &grant, asked.as_deref())?;
    if let Some(code) = state.directory.grants.codes.get_mut(text) {
        code.redeemed = true;
    }
    state.directory.grants.all.push(grant.clone());
    let number = state.directory.grants.all.len() - 1;
    Ok(give(state, request, &grant, number, &resource, code_nonce(&code)))
}

fn code_nonce(code: &Code) -> Option<&str> {
    code.nonce.as_deref()
}

/// PKCE (RFC 7636 4.6). A verifier without a challenge is no proof of anything: refused as well (RFC 9700 2.1.1).
fn verify(challenge: Option<&Challenge>, verifier: Option<&str>) -> Result<(), Refusal> {
    let holds = match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            let sized = (43..=128).contains(&verifier.len());
            let derived = if challenge.s256 {
                URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
            } else {
                verifier.to_owned()
            };
            sized && derived == challenge.text
        }
        _ => false,
    };
    if holds {
        return Ok(());
    }
    Err(invalid(
        501_481,
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ))
}

/// `refresh_token`.
pub(crate) fn refresh(state: &mut State, request: &Request<'_>) -> Result<Given, Refusal> {
    let text = request.field("refresh_token").ok_or_else(|| missing("refresh_token"))?;
    let asked = request.scopes()?;
    let grants = &mut state.directory.grants;
    let token = grants.tokens.get(text).cloned().ok_or_else(malformed)?;
    let grant = grants.all.get(token.grant).cloned().ok_or_else(malformed)?;
    if grant.app != request.app.client_id {
        return Err(malformed().with_suberror("client_mismatch"));
    }
    if request.tenant == Tenant::Other {
        return Err(super::token::unknown_app(&grant.app));
    }
    if grant.revoked {
        return Err(revoked(grant.issued_ms));
    }
    if !grants.serves(&token) {
        if grants.rotation == Rotation::StrictWithFamilyRevocation
            && let Some(family) = grants.all.get_mut(token.grant)
        {
            family.revoked = true;
        }
        return Err(invalid(
            70000,
            "Provided grant is invalid or malformed: the refresh token was already used.",
        )
        .with_suberror("bad_token"));
    }
    if grant.expired || request.now_ms.saturating_sub(token.issued_ms) >= INACTIVITY_MS {
        return Err(invalid(
            700_082,
            format!(
                "The refresh token has expired due to inactivity. The token was issued on {} and was inactive for 90.00:00:00.",
                graph_time(token.issued_ms)
            ),
        ));
    }
    let resource = judge(state, request, &grant, asked.as_deref())?;
    let grants = &mut state.directory.grants;
    if let Some(old) = grants.tokens.get_mut(text) {
        old.replaced = true;
    }
    if let Some(grant) = grants.all.get_mut(token.grant) {
        grant.refreshed += 1;
    }
    Ok(give(state, request, &grant, token.grant, &resource, None))
}

/// The person, the policies and the scopes, as they are now. Answers the resource the token is for.
fn judge(state: &State, request: &Request<'_>, grant: &Grant, asked: Option<&[Scope]>) -> Result<Resource, Refusal> {
    let directory = &state.directory;
    let Some(user) = directory.user(&grant.oid) else {
        return Err(invalid(50034, "The user account does not exist in the directory.").with_suberror("bad_token"));
    };
    if user.disabled {
        return Err(invalid(50057, "The user account is disabled."));
    }
    if directory.access.block {
        return Err(blocked());
    }
    if directory.access.require_mfa && !grant.mfa {
        return Err(second_factor_needed());
    }
    if !directory.recent(grant.signed_in_ms, request.now_ms) {
        return Err(invalid(
            70043,
            "The refresh token has expired or is invalid due to sign-in frequency checks by Conditional Access.",
        )
        .with_suberror("token_expired"));
    }
    let have = directory.consented(request.app, &grant.oid);
    let original: BTreeSet<Scope> = grant
        .scopes
        .iter()
        .flat_map(|s| expand(request.app, s, &have))
        .collect();
    let wanted = asked.unwrap_or(&grant.scopes);
    let resource = scope::first_resource(wanted);
    for scope in wanted.iter().filter(|s| asked.is_some() || s.resource == resource) {
        let parts = expand(request.app, scope, &have);
        // `/.default` of a resource nothing is consented for is as missing as a scope that was forgotten.
        if parts.is_empty() || !parts.iter().all(|s| have.contains(s)) {
            return Err(invalid(
                65001,
                "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and resource.",
            )
            .with_suberror("consent_required"));
        }
        if !scope.is_default() && !original.contains(scope) {
            return Err(invalid(
                70000,
                "The request was denied because one or more scopes requested are unauthorized or expired. The user must first sign in and grant the client application access to the requested scope.",
            ));
        }
    }
    Ok(resource)
}

/// Claims and answer. What they say covers every scope ever consented, not only those asked for.
fn give(
    state: &mut State,
    request: &Request<'_>,
    grant: &Grant,
    number: usize,
    resource: &Resource,
    nonce: Option<&str>,
) -> Given {
    let now_s = request.now_ms / 1000;
    let life = match state.options.token_lifetime {
        Some(seconds) => i64::from(seconds),
        None => state.rng.random_range(3600..=5399),
    };
    let consented = state.directory.consented(request.app, &grant.oid);
    let uti = guid(&mut state.rng);
    let asked_for = |name: &str| {
        grant
            .scopes
            .iter()
            .any(|s| s.resource == Resource::OpenId && s.name == name)
    };
    let user = state.directory.user(&grant.oid).cloned();
    let user = user.unwrap_or_else(|| super::directory::User::new("", ""));
    let scp = scope::scp(&consented, resource);
    let issue = access_token::Issue {
        origin: request.origin,
        app: &grant.app,
        audience: &scope::audience(resource),
        uti: &uti,
        now_s,
        life_s: life,
    };
    let access = access_token::delegated(state, &issue, &user, &scp, grant.mfa);
    let id = asked_for("openid").then(|| {
        let has = id_token::Shown {
            profile: asked_for("profile"),
            email: asked_for("email"),
        };
        id_token::claims(state, &issue, &user, has, nonce)
    });
    let mut answer = json!({
        "token_type": "Bearer", "scope": scope::granted(&consented, resource, &state.options.readings),
        "expires_in": life, "ext_expires_in": life,
    });
    if asked_for("offline_access") {
        let token = state.directory.grants.add_token(&mut state.rng, number, request.now_ms);
        answer["refresh_token"] = token.into();
    }
    if request.field("client_info") == Some("1") {
        let info = json!({"uid": user.oid, "utid": state.options.tenant_id});
        answer["client_info"] = URL_SAFE_NO_PAD.encode(info.to_string()).into();
    }
    state.issued.push((uti, grant.app.clone()));
    state.stats.tokens_issued += 1;
    Given { access, id, answer }
}
