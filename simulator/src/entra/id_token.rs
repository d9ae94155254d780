//! Id tokens: who signed in, and no more of it than the scopes allow ("ID token claims reference").

use super::access_token::Issue;
use super::directory::User;
use crate::mailbox::ids::guid_of;
use crate::simulator::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What may be shown of a person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// `oid`, `name`, `preferred_username`.
    pub(crate) profile: bool,
    /// `email`.
    pub(crate) email: bool,
}

/// The claims. An id token lives an hour, whatever the access token does.
pub(crate) fn claims(state: &State, issue: &Issue<'_>, user: &User, shown: Shown, nonce: Option<&str>) -> Value {
    let tenant = &state.options.tenant_id;
    let mut claims = json!({
        "aud": issue.app, "iss": format!("{}/{tenant}/v2.0", issue.origin), "iat": issue.now_s, "nbf": issue.now_s,
        "exp": issue.now_s + 3600, "sub": subject(&user.oid, issue.app), "tid": tenant, "uti": issue.uti, "ver": "2.0",
        "rh": guid_of(issue.uti),
    });
    if shown.profile {
        claims["oid"] = user.oid.clone().into();
        claims["name"] = user.display_name.clone().into();
        claims["preferred_username"] = user.address.clone().into();
    }
    if shown.email {
        claims["email"] = user.address.clone().into();
    }
    let app = state.apps.iter().find(|app| app.client_id == issue.app);
    if let Some(roles) = app.and_then(|app| app.assigned.get(&user.oid)) {
        claims["roles"] = json!(roles);
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    claims
}

/// A pairwise subject: the same person is another one for each app.
pub(crate) fn subject(oid: &str, app: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("subject|{oid}|{app}")))
}
