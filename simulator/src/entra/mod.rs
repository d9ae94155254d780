//! Entra ID: the token endpoint, the discovery document and the keys. The sign-in page and refresh
//! tokens belong here too, beside `token`.

pub(crate) mod access_token;
pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod token;

use crate::simulator::Simulator;
use crate::wire::{Call, Reply};

/// A registered app.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) secrets: Vec<Secret>,
    /// Application permissions an admin consented to; may be empty.
    pub(crate) roles: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) expired: bool,
}

impl App {
    pub(crate) fn new(client_id: &str, secret: &str, roles: &[String]) -> Self {
        Self {
            client_id: client_id.to_ascii_lowercase(),
            secrets: vec![Secret {
                text: secret.to_owned(),
                expired: false,
            }],
            roles: roles.to_vec(),
        }
    }
}

/// Answers everything below `/{tenant}/`; `None` if the path is none of Entra's.
pub(crate) async fn answer(simulator: &Simulator, call: &Call) -> Option<Reply> {
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match path.as_slice() {
        [tenant, "oauth2", "v2.0", "token"] => Some(token::answer(simulator, call, tenant).await),
        [tenant, "v2.0", ".well-known", "openid-configuration"] => Some(discovery::document(simulator, call, tenant)),
        [tenant, "discovery", "v2.0", "keys"] => Some(discovery::keys(simulator, call, tenant)),
        _ => None,
    }
}
