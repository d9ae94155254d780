//! Entra ID: signing in, the token endpoint, admin consent, the discovery document and the keys.

pub(crate) mod access_token;
mod admin_consent;
mod assertion;
pub(crate) mod authorize;
pub(crate) mod directory;
pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod federation;
pub(crate) mod grants;
mod id_token;
pub(crate) mod key;
mod pages;
mod redeem;
mod respond;
pub(crate) mod scope;
mod session;
mod signin;
pub(crate) mod token;

use crate::faults::answer::whole_answer;
use crate::faults::board::Target;
use crate::faults::{Fault, RequestKind};
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, empty, set};
use http::Method;
use rustls::pki_types::CertificateDer;
use scope::Scope;
use std::collections::{BTreeSet, HashMap};

/// A registered app.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) secrets: Vec<Secret>,
    /// Certificates whose keys may sign its assertions.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// Other issuers' tokens that stand for it.
    pub(crate) federated: Vec<federation::FederatedCredential>,
    /// Application permissions an admin consented to; may be empty.
    pub(crate) roles: Vec<String>,
    /// What Exchange grants it beside that (RBAC for Applications), each with the instant it begins to work; the last that
    /// works counts.
    pub(crate) exchange: Vec<ExchangeGrant>,
    /// Application permissions its registration lists: what an admin's consent gives.
    pub(crate) requested_roles: Vec<String>,
    /// Delegated permissions its registration lists: what `/.default` asks for.
    pub(crate) permissions: Vec<String>,
    /// Scopes an admin consented to for everybody.
    pub(crate) tenant_scopes: BTreeSet<Scope>,
    /// Registered redirect URIs of type Web.
    pub(crate) redirect_uris: Vec<String>,
    /// Whether other tenants' people may sign in: `common` and `organizations` work.
    pub(crate) multi_tenant: bool,
    /// The app roles people were assigned to, by object id: the claim `roles` of their id tokens.
    pub(crate) assigned: HashMap<String, Vec<String>>,
}

/// Roles within some mailboxes ("Role Based Access Control for Applications in Exchange Online"). No token shows them.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeGrant {
    /// Changes work after 30 minutes to 2 hours.
    pub(crate) from_ms: i64,
    pub(crate) roles: Vec<String>,
    /// Addresses.
    pub(crate) mailboxes: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) expired: bool,
    /// When it ends by itself (Unix milliseconds); `None`: not in the life of a test.
    pub(crate) ends_ms: Option<i64>,
}

impl App {
    pub(crate) fn new(client_id: &str, secret: &str, roles: &[String]) -> Self {
        Self {
            client_id: client_id.to_ascii_lowercase(),
            secrets: vec![Secret {
                text: secret.to_owned(),
                expired: false,
                ends_ms: None,
            }],
            certificates: Vec::new(),
            federated: Vec::new(),
            roles: roles.to_vec(),
            exchange: Vec::new(),
            requested_roles: roles.to_vec(),
            permissions: vec!["Mail.ReadWrite".to_owned(), "User.Read".to_owned()],
            tenant_scopes: BTreeSet::new(),
            redirect_uris: Vec::new(),
            multi_tenant: false,
            assigned: HashMap::new(),
        }
    }

    /// Whether Exchange grants a role on a mailbox by now.
    pub(crate) fn exchange_grants(&self, role: &str, mailbox: &str, now_ms: i64) -> bool {
        let works = self.exchange.iter().rev().find(|grant| grant.from_ms <= now_ms);
        works.is_some_and(|grant| {
            grant.roles.iter().any(|one| one == role)
                && grant.mailboxes.iter().any(|one| one.eq_ignore_ascii_case(mailbox))
        })
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
        _ => page(simulator, call, &path).await,
    }
}

/// Answers a page below a tenant.
type Work = fn(&Simulator, &Call, &str) -> Reply;

/// What browsers come to.
async fn page(simulator: &Simulator, call: &Call, path: &[&str]) -> Option<Reply> {
    let taken = |methods: &[Method]| methods.contains(&call.method);
    let (allowed, work): (&[Method], Work) = match path {
        [_, "oauth2", "v2.0", "authorize"] => (&[Method::GET, Method::POST], signin::authorize),
        [_, "login"] => (&[Method::POST], |s, c, _| signin::click(s, c)),
        [_, "oauth2", "v2.0", "logout"] => (&[Method::GET, Method::POST], |s, c, _| signin::sign_out(s, c)),
        [_, "v2.0", "adminconsent"] => (&[Method::GET], |s, c, t| admin_consent::answer(s, c, t, true)),
        [_, "adminconsent"] => (&[Method::GET], |s, c, t| admin_consent::answer(s, c, t, false)),
        _ => return None,
    };
    let tenant = path.first().copied().unwrap_or_default();
    let fault = {
        let mut state = simulator.lock();
        state.stats.request(RequestKind::Authorize);
        let target = Target {
            kind: RequestKind::Authorize,
            mailbox: None,
            message: None,
        };
        let fault = state.faults.meet(target);
        state.stats.faults_met += u64::from(fault.is_some());
        fault
    };
    let mut reply = if taken(allowed) {
        match &fault {
            None => work(simulator, call, tenant),
            Some(Fault::Entra {
                error, code, message, ..
            }) => {
                let refusal = error::Refusal::bad(error, *code, message.as_str());
                let trusted = authorize::trusted(&simulator.lock(), tenant, &authorize::parameters(call));
                let refused = authorize::aimed(call, trusted.ok().map(|(_, uri)| uri), refusal);
                signin::refuse(simulator, call, refused)
            }
            Some(fault) => match whole_answer(simulator, call, fault) {
                Some(reply) => reply,
                None => crate::faults::answer::spoil(work(simulator, call, tenant), fault).await,
            },
        }
    } else {
        let mut reply = empty(405);
        set(
            &mut reply,
            "allow",
            if path.last() == Some(&"login") { "POST" } else { "GET" },
        );
        reply
    };
    error::dress(simulator, &mut reply);
    Some(reply)
}
