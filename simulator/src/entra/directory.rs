//! The people of the tenant: users, what they consented to, their browsers' sessions, and the sign-in policies.

use super::App;
use super::authorize::Ask;
use super::grants::Grants;
use super::scope::{Resource, Scope};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// A person of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// User principal name and mail address.
    pub address: String,
    /// Name as pages and tokens show it; empty: made from the address.
    #[serde(default)]
    pub display_name: String,
    /// Object id (a GUID); empty: made from the address. It is the id of the person's mailbox, too.
    #[serde(default)]
    pub oid: String,
    /// May consent for the whole tenant.
    #[serde(default)]
    pub admin: bool,
    /// False: no mailbox is made for this person.
    #[serde(default = "yes")]
    pub mailbox: bool,
    /// Addresses of the other mailboxes this person was given access to.
    #[serde(default)]
    pub shared: Vec<String>,
    /// The account is blocked from signing in.
    #[serde(default)]
    pub disabled: bool,
}

fn yes() -> bool {
    true
}

impl User {
    /// An ordinary user with a mailbox.
    pub fn new(address: &str, display_name: &str) -> Self {
        Self {
            address: address.to_owned(),
            display_name: display_name.to_owned(),
            oid: String::new(),
            admin: false,
            mailbox: true,
            shared: Vec::new(),
            disabled: false,
        }
    }

    /// The same with access to another mailbox.
    #[must_use]
    pub fn with_shared(mut self, mailbox: &str) -> Self {
        self.shared.push(mailbox.to_owned());
        self
    }

    /// The same as an admin.
    #[must_use]
    pub fn as_admin(mut self) -> Self {
        self.admin = true;
        self
    }
}

/// Conditional Access, for everybody in the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ConditionalAccess {
    /// Nobody gets in (AADSTS53003).
    pub block: bool,
    /// A second factor is needed (AADSTS50076 for grants that came without one).
    pub require_mfa: bool,
    /// Seconds after which a sign-in no longer counts (AADSTS70043).
    pub sign_in_frequency: Option<u32>,
}

/// A person signed in within one browser.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    pub(crate) oid: String,
    pub(crate) at_ms: i64,
    pub(crate) mfa: bool,
}

/// A sign-in under way.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) ask: Ask,
    /// The browser it began in.
    pub(crate) browser: String,
    pub(crate) started_ms: i64,
    /// Who was chosen.
    pub(crate) oid: Option<String>,
    /// The person accepted what is asked.
    pub(crate) accepted: bool,
}

/// Everything about signing in.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) users: Vec<User>,
    /// By app and object id.
    consents: HashMap<(String, String), BTreeSet<Scope>>,
    pub(crate) browsers: HashMap<String, Vec<SignedIn>>,
    pub(crate) flows: HashMap<String, Flow>,
    pub(crate) grants: Grants,
    pub(crate) access: ConditionalAccess,
    /// Users may not consent themselves (AADSTS90094).
    pub(crate) admin_consent_required: bool,
}

impl Directory {
    /// By address (any case) or object id.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|u| u.address.eq_ignore_ascii_case(name) || u.oid.eq_ignore_ascii_case(name))
    }

    pub(crate) fn user_mut(&mut self, name: &str) -> Option<&mut User> {
        self.users
            .iter_mut()
            .find(|u| u.address.eq_ignore_ascii_case(name) || u.oid.eq_ignore_ascii_case(name))
    }

    /// Everything this person, or an admin for everybody, ever consented to for the app.
    pub(crate) fn consented(&self, app: &App, oid: &str) -> BTreeSet<Scope> {
        let own = self.consents.get(&(app.client_id.clone(), oid.to_owned()));
        own.into_iter().flatten().chain(&app.tenant_scopes).cloned().collect()
    }

    /// The scopes that still need a consent. `/.default` needs one only if there is none for its resource.
    pub(crate) fn missing(&self, app: &App, oid: &str, asked: &[Scope]) -> Vec<Scope> {
        let have = self.consented(app, oid);
        asked
            .iter()
            .flat_map(|s| expand(app, s, &have))
            .filter(|s| !have.contains(s))
            .collect()
    }

    pub(crate) fn consent(&mut self, app: &App, oid: &str, scopes: impl IntoIterator<Item = Scope>) {
        let key = (app.client_id.clone(), oid.to_owned());
        self.consents.entry(key).or_default().extend(scopes);
    }

    /// Forgets what a person (or everybody) consented to; answers how many consents there were.
    pub(crate) fn forget(&mut self, oid: Option<&str>) -> usize {
        let before = self.consents.len();
        self.consents.retain(|(_, of), _| oid.is_some_and(|o| o != of));
        before - self.consents.len()
    }

    /// Ends the sessions of a person (or of everybody) in all browsers.
    pub(crate) fn end_sessions(&mut self, oid: Option<&str>) {
        for accounts in self.browsers.values_mut() {
            accounts.retain(|a| oid.is_some_and(|o| o != a.oid));
        }
    }

    /// Whether a sign-in of then still counts.
    pub(crate) fn recent(&self, signed_in_ms: i64, now_ms: i64) -> bool {
        let frequency = self.access.sign_in_frequency.map(|s| i64::from(s) * 1000);
        frequency.is_none_or(|life| now_ms.saturating_sub(signed_in_ms) < life)
    }
}

/// `/.default` stands for what is consented already, or else for what the app's registration lists.
pub(crate) fn expand(app: &App, scope: &Scope, have: &BTreeSet<Scope>) -> Vec<Scope> {
    if !scope.is_default() {
        return vec![scope.clone()];
    }
    let of_resource: Vec<Scope> = have.iter().filter(|s| s.resource == scope.resource).cloned().collect();
    if !of_resource.is_empty() || scope.resource != Resource::Graph {
        return of_resource;
    }
    app.permissions.iter().map(|name| Scope::graph(name)).collect()
}
