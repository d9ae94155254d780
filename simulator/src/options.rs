//! How a simulator is set up: tenant, app, clock, seed, limits, latency, readings.

use crate::clock::SimClock;
use crate::entra::directory::User;
use crate::entra::grants::Rotation;
use crate::readings::Readings;
use std::time::Duration;

/// The tenant every simulator has unless told otherwise.
pub const DEFAULT_TENANT_ID: &str = "5e5ec2a4-7c1d-4f0e-9d3b-0a6f6f2c1a10";
/// The registered app every simulator has unless told otherwise.
pub const DEFAULT_CLIENT_ID: &str = "b7b1f6d2-3a54-4c8e-8f21-6d1e0c9a4b77";
/// The secret of that app. It opens nothing but a simulator.
pub const DEFAULT_CLIENT_SECRET: &str = "Sim8Q~not-a-real-secret_.for+the/simulator=only&";
/// The roles of that app.
pub const DEFAULT_ROLES: [&str; 1] = ["Mail.ReadWrite"];
/// The delegated permissions of that app's registration.
pub const DEFAULT_PERMISSIONS: [&str; 2] = ["Mail.ReadWrite", "User.Read"];
/// The redirect URI of that app.
pub const DEFAULT_REDIRECT_URI: &str = "http://localhost:8400/OAuth2Callback";

/// Everything that is decided before the first request.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: SimClock,
    /// All chance (ids, lifetimes, boundaries, generated mail) comes from this number.
    pub seed: u64,
    /// The tenant's id (a GUID in lower case).
    pub tenant_id: String,
    /// A verified domain of the tenant: may stand for its id in token URLs.
    pub tenant_domain: String,
    /// Client id of the first registered app.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its granted application permissions.
    pub roles: Vec<String>,
    /// Delegated permissions its registration lists: what `/.default` asks a person for.
    pub permissions: Vec<String>,
    /// Redirect URIs (type Web) registered for it. Compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// The id of another tenant that exists, with nothing installed in it.
    pub other_tenant_id: String,
    /// The people of the tenant, their mailboxes included. Whoever gets a mailbox later becomes one, too.
    pub users: Vec<User>,
    /// What happens to refresh tokens that were used.
    pub rotation: Rotation,
    /// Lifetime of access tokens in seconds; `None` is Entra's random 3600..=5399.
    pub token_lifetime: Option<u32>,
    /// Access tokens are sealed with a keyed hash instead of signed: they are opaque to whoever gets them, and a test that needs
    /// many is done sooner. Id tokens, which are read, are signed all the same.
    pub light_tokens: bool,
    /// How long requests take.
    pub latency: Latency,
    /// What one app may do to one mailbox.
    pub limits: Limits,
    /// How facts are read on which the documents are silent or disagree.
    pub readings: Readings,
    /// Changes the MIME boundaries on every `$value` call: Exchange regenerates MIME.
    pub vary_mime: bool,
    /// Origin that links carry (`https://localhost:8410`); `None` takes it from the request.
    pub origin: Option<String>,
    /// The most messages on a page of changes, whatever is asked for: `odata.maxpagesize` is a wish.
    pub largest_page: usize,
    /// Time between a change and its showing up in delta (zero: at once). Microsoft promises none.
    pub delta_lag: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: SimClock::default(),
            seed: 1,
            tenant_id: DEFAULT_TENANT_ID.to_owned(),
            tenant_domain: "harbour-homes.example".to_owned(),
            client_id: DEFAULT_CLIENT_ID.to_owned(),
            client_secret: DEFAULT_CLIENT_SECRET.to_owned(),
            roles: DEFAULT_ROLES.map(str::to_owned).to_vec(),
            permissions: DEFAULT_PERMISSIONS.map(str::to_owned).to_vec(),
            redirect_uris: vec![DEFAULT_REDIRECT_URI.to_owned()],
            other_tenant_id: "91f0a3d7-4e52-4b0b-8a16-3d8e7c5b2f64".to_owned(),
            users: Vec::new(),
            rotation: Rotation::default(),
            token_lifetime: None,
            light_tokens: false,
            latency: Latency::default(),
            limits: Limits::default(),
            readings: Readings::default(),
            vary_mime: false,
            origin: None,
            largest_page: 1000,
            delta_lag: Duration::ZERO,
        }
    }
}

/// Time a request takes. Slept with tokio, so paused time works.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    /// Inside the service: holds one of the mailbox's four slots.
    pub service: Duration,
    /// On the way: holds no slot.
    pub network: Duration,
}

/// Limits per app and mailbox (Microsoft Graph service-specific throttling limits, Outlook).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Off: nothing is refused, concurrency and requests are still counted.
    pub enabled: bool,
    /// Requests at the same time, streamed bodies included.
    pub concurrent: u32,
    /// Requests per sliding window.
    pub requests: usize,
    /// That window.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            concurrent: 4,
            requests: 10_000,
            window: Duration::from_mins(10),
        }
    }
}
