//! Control of who signs in: users, redirect URIs, consents, sessions, grants, policies, rotation.

use super::ControlError;
use crate::entra::directory::{ConditionalAccess, User};
use crate::entra::grants::{GrantView, Rotation};
use crate::entra::scope::{self, Scope};
use crate::mailbox::Mailbox;
use crate::mailbox::ids::guid_of;
use crate::simulator::{Simulator, State};

/// Longest redirect URI the portal takes ("Redirect URI (reply URL) restrictions and limitations").
const LONGEST_REDIRECT_URI: usize = 256;

impl Simulator {
    /// A token over these claims, signed with the published key: for tests that forge what Microsoft would never say.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        self.core.key.sign(claims)
    }

    /// Adds a person, or changes the one of that address; makes a mailbox unless told not to. Answers the object id.
    pub fn add_user(&self, mut user: User) -> String {
        let mut guard = self.lock();
        let state = &mut *guard;
        let known = state
            .mailbox_named(&user.address)
            .and_then(|at| state.mailboxes.get(at));
        user.oid = match (known, user.oid.is_empty()) {
            (Some(mailbox), _) => mailbox.guid.clone(),
            (None, true) => guid_of(&user.address.to_ascii_lowercase()),
            (None, false) => user.oid.to_ascii_lowercase(),
        };
        if user.display_name.is_empty() {
            user.display_name = name_of(&user.address);
        }
        if user.mailbox && known.is_none() {
            let mut mailbox = Mailbox::new(&user.address, state.options.readings.id_alphabet);
            mailbox.guid.clone_from(&user.oid);
            state.mailboxes.push(mailbox);
        }
        let oid = user.oid.clone();
        match state.directory.user_mut(&user.address) {
            Some(known) => *known = user,
            None => state.directory.users.push(user),
        }
        oid
    }

    /// The people of the tenant.
    pub fn users(&self) -> Vec<User> {
        self.lock().directory.users.clone()
    }

    /// Blocks a person from signing in and from refreshing (AADSTS50057), or allows it again.
    pub fn disable_user(&self, user: &str, disabled: bool) -> Result<(), ControlError> {
        let mut state = self.lock();
        let known = state.directory.user_mut(user);
        known.ok_or_else(|| ControlError::User(user.to_owned()))?.disabled = disabled;
        Ok(())
    }

    /// Gives a person access to another mailbox, or takes it away.
    pub fn share(&self, mailbox: &str, user: &str, access: bool) -> Result<(), ControlError> {
        let mut state = self.lock();
        let address = state.mailbox_named(mailbox).and_then(|at| state.mailboxes.get(at));
        let address = address
            .ok_or_else(|| ControlError::Mailbox(mailbox.to_owned()))?
            .address
            .clone();
        let known = state.directory.user_mut(user);
        let known = known.ok_or_else(|| ControlError::User(user.to_owned()))?;
        known.shared.retain(|m| !m.eq_ignore_ascii_case(&address));
        if access {
            known.shared.push(address);
        }
        Ok(())
    }

    /// Registers a redirect URI of type Web, by the portal's rules: https, or http for `localhost` only.
    pub fn register_redirect_uri(&self, client_id: &str, redirect_uri: &str) -> Result<(), ControlError> {
        let refused = |why: &str| {
            Err(ControlError::Request(format!(
                "the redirect URI `{redirect_uri}` is not taken: {why}"
            )))
        };
        let Ok(url) = url::Url::parse(redirect_uri) else {
            return refused("it is no absolute URI");
        };
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) | ("http", Some("localhost")) => {}
            ("http", _) => return refused("http is for localhost only, 127.0.0.1 is refused, too; use https"),
            _ => return refused("it must begin with https"),
        }
        if redirect_uri.contains('#') || redirect_uri.contains('*') {
            return refused("a fragment or a wildcard is not allowed");
        }
        if redirect_uri.len() > LONGEST_REDIRECT_URI {
            return refused("it is longer than 256 characters");
        }
        self.with_app(client_id, |app| {
            if !app.redirect_uris.iter().any(|r| r == redirect_uri) {
                app.redirect_uris.push(redirect_uri.to_owned());
            }
        })
    }

    /// Assigns a person to exactly these roles of an app (Enterprise applications, Users and groups); to none with none.
    pub fn assign_app_roles(&self, client_id: &str, user: &str, roles: &[&str]) -> Result<(), ControlError> {
        let known = self
            .users()
            .into_iter()
            .find(|known| known.address.eq_ignore_ascii_case(user));
        let oid = known.ok_or_else(|| ControlError::User(user.to_owned()))?.oid;
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        self.with_app(client_id, |app| {
            app.assigned.remove(&oid);
            if !roles.is_empty() {
                app.assigned.insert(oid, roles);
            }
        })
    }

    /// Takes a redirect URI away.
    pub fn remove_redirect_uri(&self, client_id: &str, redirect_uri: &str) -> Result<(), ControlError> {
        self.with_app(client_id, |app| app.redirect_uris.retain(|r| r != redirect_uri))
    }

    /// Sets what the app's registration lists as delegated permissions: what `/.default` asks for.
    pub fn set_permissions(&self, client_id: &str, permissions: &[&str]) -> Result<(), ControlError> {
        self.with_app(client_id, |app| {
            app.permissions = permissions.iter().map(|p| (*p).to_owned()).collect();
        })
    }

    /// Makes the app a multi-tenant one (`common` and `organizations` work) or a single-tenant one again.
    pub fn set_multi_tenant(&self, client_id: &str, multi_tenant: bool) -> Result<(), ControlError> {
        self.with_app(client_id, |app| app.multi_tenant = multi_tenant)
    }

    /// Records a person's consent to these scopes (space separated), as if clicked.
    pub fn give_consent(&self, client_id: &str, user: &str, scopes: &str) -> Result<(), ControlError> {
        let scopes = read_scopes(scopes)?;
        let mut guard = self.lock();
        let state = &mut *guard;
        let oid = oid(state, user)?;
        let app = state.apps.iter().find(|a| a.client_id.eq_ignore_ascii_case(client_id));
        let app = app.ok_or_else(|| ControlError::App(client_id.to_owned()))?;
        state.directory.consent(app, &oid, scopes);
        Ok(())
    }

    /// Forgets what a person (or everybody; the admins' consent for all included) consented to.
    /// Answers how many consents there were.
    pub fn forget_consent(&self, user: Option<&str>) -> Result<usize, ControlError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let oid = user.map(|u| oid(state, u)).transpose()?;
        let mut count = state.directory.forget(oid.as_deref());
        if oid.is_none() {
            for app in &mut state.apps {
                count += usize::from(!app.tenant_scopes.is_empty());
                app.tenant_scopes.clear();
            }
        }
        Ok(count)
    }

    /// Whether users may not consent themselves (AADSTS90094); admins still may.
    pub fn require_admin_consent(&self, required: bool) {
        self.lock().directory.admin_consent_required = required;
    }

    /// Revokes all grants and sessions of a person, or of everybody (AADSTS50173). Answers how many grants lived.
    /// Access tokens that were given out serve until they expire.
    pub fn revoke_grants(&self, user: Option<&str>) -> Result<usize, ControlError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let oid = user.map(|u| oid(state, u)).transpose()?;
        state.directory.end_sessions(oid.as_deref());
        Ok(state.directory.grants.revoke(oid.as_deref()))
    }

    /// Lets all grants of a person, or of everybody, be as old as if unused for 90 days (AADSTS700082).
    pub fn expire_grants(&self, user: Option<&str>) -> Result<usize, ControlError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let oid = user.map(|u| oid(state, u)).transpose()?;
        let mut count = 0;
        let grants = state.directory.grants.all.iter_mut();
        for grant in grants.filter(|g| !g.expired && oid.as_ref().is_none_or(|o| *o == g.oid)) {
            grant.expired = true;
            count += 1;
        }
        Ok(count)
    }

    /// Ends the browser sessions of a person, or of everybody: the next sign-in asks again. Grants stay.
    pub fn end_sessions(&self, user: Option<&str>) -> Result<(), ControlError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let oid = user.map(|u| oid(state, u)).transpose()?;
        state.directory.end_sessions(oid.as_deref());
        Ok(())
    }

    /// Sets the Conditional Access policies.
    pub fn set_conditional_access(&self, access: ConditionalAccess) {
        self.lock().directory.access = access;
    }

    /// Sets what happens to refresh tokens that were used.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.lock().directory.grants.rotation = rotation;
    }

    /// Every grant there ever was, without its tokens.
    pub fn grants(&self) -> Vec<GrantView> {
        let state = self.lock();
        let directory = &state.directory;
        let address_of = |oid: &str| {
            directory
                .user(oid)
                .map_or_else(|| oid.to_owned(), |u| u.address.clone())
        };
        directory.grants.views(address_of)
    }
}

fn oid(state: &State, user: &str) -> Result<String, ControlError> {
    let known = state.directory.user(user).map(|u| u.oid.clone());
    known.ok_or_else(|| ControlError::User(user.to_owned()))
}

fn read_scopes(text: &str) -> Result<Vec<Scope>, ControlError> {
    scope::read(text, "").map_err(|refusal| ControlError::Request(refusal.text))
}

/// `ada.moor@x.example` is Ada Moor.
pub(crate) fn name_of(address: &str) -> String {
    let local = address.split('@').next().unwrap_or_default();
    let words = local.split(['.', '_', '-']).filter(|w| !w.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    words.map(capital).collect::<Vec<String>>().join(" ")
}
