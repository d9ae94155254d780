//! Control of the tenant: apps, secrets, tokens, time, readings, limits, faults, delta state.

use super::ControlError;
use crate::entra::federation::FederatedCredential;
use crate::entra::{App, ExchangeGrant, Secret};
use crate::faults::FaultSpec;
use crate::faults::board::ArmedFault;
use crate::options::{Latency, Limits};
use crate::readings::Readings;
use crate::simulator::Simulator;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::time::Duration;

/// What a client needs to sign in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The tenant's id.
    pub tenant_id: String,
    /// The app's client id.
    pub client_id: String,
    /// Its first redirect URI.
    pub redirect_uri: String,
    /// Its newest secret: of a simulated app, for tests and people.
    pub client_secret: String,
}

impl Simulator {
    /// Registers another app with these application permissions.
    pub fn register_app(&self, client_id: &str, secret: &str, roles: &[&str]) {
        let roles: Vec<String> = roles.iter().map(|r| (*r).to_owned()).collect();
        self.lock().apps.push(App::new(client_id, secret, &roles));
    }

    /// Tenant and first app.
    pub fn registration(&self) -> Registration {
        let state = self.lock();
        let app = state.apps.first();
        Registration {
            tenant_id: state.options.tenant_id.clone(),
            client_id: app.map(|a| a.client_id.clone()).unwrap_or_default(),
            redirect_uri: app.and_then(|a| a.redirect_uris.first().cloned()).unwrap_or_default(),
            client_secret: app
                .and_then(|a| a.secrets.last())
                .map(|s| s.text.clone())
                .unwrap_or_default(),
        }
    }

    /// Grants an app exactly these roles. Tokens given out before keep what they have.
    pub fn set_roles(&self, client_id: &str, roles: &[&str]) -> Result<(), ControlError> {
        self.with_app(client_id, |app| {
            app.roles = roles.iter().map(|r| (*r).to_owned()).collect();
        })
    }

    /// Grants an app exactly these roles on exactly these mailboxes in Exchange (RBAC for Applications), from `delay` on. They
    /// add up with those of [`Simulator::set_roles`], and no token shows them.
    pub fn set_exchange_roles(
        &self,
        client_id: &str,
        roles: &[&str],
        mailboxes: &[&str],
        delay: Duration,
    ) -> Result<(), ControlError> {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let grant = ExchangeGrant {
            from_ms: self.now_ms().saturating_add(delay),
            roles: owned(roles),
            mailboxes: owned(mailboxes),
        };
        self.with_app(client_id, |app| app.exchange.push(grant))
    }

    /// Adds a secret; with `expire_old` the earlier ones are expired, without they still serve.
    pub fn rotate_secret(&self, client_id: &str, secret: &str, expire_old: bool) -> Result<(), ControlError> {
        self.with_app(client_id, |app| {
            for old in &mut app.secrets {
                old.expired |= expire_old;
            }
            app.secrets.push(Secret {
                text: secret.to_owned(),
                expired: false,
                ends_ms: None,
            });
        })
    }

    /// Lets the newest secret of an app end at this instant (Unix milliseconds): from then on it is refused.
    pub fn set_secret_end(&self, client_id: &str, ends_ms: i64) -> Result<(), ControlError> {
        self.with_app(client_id, |app| {
            if let Some(secret) = app.secrets.last_mut() {
                secret.ends_ms = Some(ends_ms);
            }
        })
    }

    /// Registers a certificate (PEM) with an app: its key may sign the app's assertions.
    pub fn add_certificate(&self, client_id: &str, pem: &str) -> Result<(), ControlError> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| ControlError::Request(format!("the certificate is not taken: {error}")))?;
        self.with_app(client_id, |app| app.certificates.push(certificate))
    }

    /// Lets tokens of another issuer stand for an app (at most 20, as Entra has it).
    pub fn add_federated(&self, client_id: &str, trusted: FederatedCredential) -> Result<(), ControlError> {
        self.with_app(client_id, |app| {
            app.federated.push(trusted);
            app.federated.truncate(20);
        })
    }

    /// Revokes every access token given out so far; answers how many.
    pub fn revoke_tokens(&self) -> usize {
        let mut state = self.lock();
        let issued = std::mem::take(&mut state.issued);
        let count = issued.len();
        state.revoked.extend(issued.into_iter().map(|(uti, _)| uti));
        count
    }

    /// Moves the simulator's time forward.
    pub fn advance(&self, by: Duration) {
        self.core.clock.advance(by);
    }

    /// Arms a fault; answers its number.
    pub fn arm(&self, spec: FaultSpec) -> u64 {
        self.lock().faults.arm(spec)
    }

    /// Takes one fault back.
    pub fn disarm(&self, id: u64) -> bool {
        self.lock().faults.disarm(id)
    }

    /// All faults that were armed and not cleared, spent ones included.
    pub fn faults(&self) -> Vec<ArmedFault> {
        self.lock().faults.list()
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Throws the delta state of a folder away: its links answer with a reset. Answers how many links died.
    pub fn evict_delta_state(&self, mailbox: &str, folder: &str) -> Result<usize, ControlError> {
        let key = self.with(mailbox, |m| Ok(m.folder_by_path(folder)?))?;
        let mut guard = self.lock();
        let state = &mut *guard;
        let at = state.mailbox_named(mailbox);
        let dead: Vec<String> = state
            .rounds
            .iter()
            .filter(|(_, round)| Some(round.mailbox) == at && round.folder == key)
            .map(|(token, _)| token.clone())
            .collect();
        for token in &dead {
            state.rounds.remove(token);
            state.evicted.insert(token.clone());
        }
        Ok(dead.len())
    }

    /// Reads the disputed facts otherwise from now on. Id alphabets of existing mailboxes stay.
    pub fn set_readings(&self, readings: Readings) {
        self.lock().options.readings = readings;
    }

    /// The readings in force.
    pub fn readings(&self) -> Readings {
        self.lock().options.readings
    }

    /// Changes the MIME boundaries on every `$value` call, or stops that.
    pub fn set_vary_mime(&self, vary: bool) {
        self.lock().options.vary_mime = vary;
    }

    /// Sets the limits.
    pub fn set_limits(&self, limits: Limits) {
        self.lock().options.limits = limits;
    }

    /// Sets the time requests take.
    pub fn set_latency(&self, latency: Latency) {
        self.lock().options.latency = latency;
    }

    /// Sets how long access tokens live from now on, in seconds; `None`: Entra's random lifetime.
    pub fn set_token_lifetime(&self, seconds: Option<u32>) {
        self.lock().options.token_lifetime = seconds;
    }

    /// Sets the origin links carry; `None` takes it from each request.
    pub fn set_origin(&self, origin: Option<String>) {
        self.lock().options.origin = origin;
    }

    pub(crate) fn with_app(&self, client_id: &str, act: impl FnOnce(&mut App)) -> Result<(), ControlError> {
        let mut state = self.lock();
        let app = state
            .apps
            .iter_mut()
            .find(|a| a.client_id.eq_ignore_ascii_case(client_id));
        app.map(act).ok_or_else(|| ControlError::App(client_id.to_owned()))
    }
}
