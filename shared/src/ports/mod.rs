//! Ports: what the house needs from the world outside. A trait only where two adapters exist today.
//!
//! Every trait states its contract in prose. The conformance suites in `tests/` are written against the traits and
//! run over every adapter: memory ([`crate::memory`]), embedded (crate `local`), and AWS (crate `functions`).
//! Adapters never retry and never hide a lost race: callers decide, because only they know what a lost race means.

mod store;
mod vault;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::{credential::SignIn, secret::Secret};

pub use store::{
    Attributes, Change, Condition, GET_MANY_KEYS, ITEM_BYTES, Item, Key, Page, PageMark, Query, Store, StoreError,
    TRANSACTION_BYTES, TRANSACTION_ITEMS, Write,
};
pub use vault::{SecretName, SecretVersion, Stage, Vault, VaultEntry, VaultError};

/// When an account is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The account.
    pub account: String,
    /// The interval.
    pub every: Duration,
    /// Runs are spread over this much time after the exact moment (flexible window).
    pub window: Duration,
    /// Whether it fires at all.
    pub enabled: bool,
}

/// Why the scheduler did not do it.
#[derive(Debug, thiserror::Error)]
#[error("the scheduler did not take the schedule of account {account}: {reason}")]
pub struct ScheduleError {
    /// The account.
    pub account: String,
    /// In words.
    pub reason: String,
}

/// One schedule per account. AWS: EventBridge Scheduler. One machine: tokio timers.
///
/// Refused are an account id that is no safe name (`a-z`, `0-9`, `-`; 1 to 64 characters), an interval of zero, and a
/// window longer than the interval. `put` makes or replaces; firing is at least once and may come late: lease and fence decide what a firing means.
#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Makes or replaces the account's schedule.
    async fn put(&self, schedule: &Schedule) -> Result<(), ScheduleError>;
    /// Removes it; an absent one is fine.
    async fn remove(&self, account: &str) -> Result<(), ScheduleError>;
    /// All schedules, in the order of the account ids.
    async fn list(&self) -> Result<Vec<Schedule>, ScheduleError>;
}

/// Why events were not sent.
#[derive(Debug, thiserror::Error)]
#[error("events were not delivered: {reason}")]
pub struct PublishError {
    /// How many of the batch, from its beginning, are known to be delivered.
    pub delivered: usize,
    /// In words.
    pub reason: String,
}

/// Sends events, from the outbox only, in the order of their sequence numbers.
///
/// At least once on the wire: a batch whose answer was lost is sent again. Every event carries its stable id and its
/// per-account sequence number, so that a receiver sees each once. An event is an object with a whole number `sequence`,
/// and these rise within a batch; a batch that breaks this is refused whole. An event has less than 250,000 bytes: more
/// would not fit through EventBridge, and nothing could be sent after it.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Delivers a batch of one account, in order; all or an error that says how many of them, from the beginning.
    async fn publish(&self, account: &str, events: &[Value]) -> Result<(), PublishError>;
}

/// Which access token will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenNeed {
    /// Any that lives for at least five minutes more.
    Usable,
    /// A newer one than this version, which Graph refused.
    NewerThan(SecretVersion),
    /// A new one in any case: an admin asked.
    New,
}

/// What is said of an access token; never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Where the token lies in the vault.
    pub name: SecretName,
    /// Its version there.
    pub version: SecretVersion,
    /// Until when it is good, by our clock.
    pub expires_at: Timestamp,
    /// Application permissions in the token (`roles`).
    pub roles: Vec<String>,
    /// Delegated permissions in the token (`scp`).
    pub scopes: Vec<String>,
    /// The tenant it was issued in, if the token says so.
    pub tenant: Option<String>,
    /// Whether this call asked Microsoft, or an earlier token still served.
    pub fresh: bool,
}

/// A code that Microsoft gave to a browser, with what is needed to redeem it (RFC 6749 section 4.1.3, RFC 7636).
#[derive(Clone)]
pub struct Redemption {
    /// The credential it is for.
    pub credential: String,
    /// The code; good once, for about ten minutes.
    pub code: Secret,
    /// The PKCE verifier.
    pub verifier: Secret,
    /// What the id token must carry as `nonce`.
    pub nonce: Secret,
    /// The redirect URI of the authorization request, to the byte.
    pub redirect_uri: Url,
    /// The scope of the authorization request.
    pub scope: String,
    /// The app at that time ([`crate::credential::Credential::client`]); another one now refuses the code.
    pub client: String,
    /// The issuer that the answer named (RFC 9207), if it named one.
    pub issuer: Option<String>,
    /// An admin said that another person may take over.
    pub rebind: bool,
}

/// What a redeemed code brought; never a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeemed {
    /// Who signed in.
    pub sign_in: SignIn,
    /// Granted and not asked for: Entra answers all that was ever consented.
    pub extra: Vec<String>,
    /// Asked for and not granted; mail scopes are never among them, they are an error.
    pub missing: Vec<String>,
    /// What the admin should know.
    pub warnings: Vec<String>,
    /// The access token.
    pub token: TokenInfo,
}

/// Asks for tokens. AWS: invokes the token-refresh function. One machine: calls it in process.
///
/// Answers where the token lies and until when it is good, never a token. Concurrent callers share one request.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token of this credential that meets the need.
    async fn access_token(&self, credential: &str, need: TokenNeed) -> Result<TokenInfo, crate::oauth::TokenError>;
    /// Redeems a code. The caller has consumed its pending authorization; a code is never tried twice.
    async fn redeem(&self, redemption: Redemption) -> Result<Redeemed, crate::oauth::TokenError>;
}

/// The bytes of an answer as they come.
pub type Body = BoxStream<'static, Result<Bytes, HttpError>>;

/// What went wrong on the wire, below HTTP.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent: the host is, or leads to, what no request may go to.
    #[error("nothing was sent to {host}: {reason}")]
    Closed {
        /// The host asked for.
        host: String,
        /// In words, with what would open it.
        reason: String,
    },
    /// No connection: name not found, refused, TLS failed.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// The host asked for.
        host: String,
        /// In words; carries no header and no query.
        reason: String,
    },
    /// The answer did not come, or stopped coming, in time.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host asked for.
        host: String,
    },
    /// The connection broke, or the body was shorter than announced.
    #[error("the answer of {host} broke off: {reason}")]
    Broken {
        /// The host asked for.
        host: String,
        /// In words.
        reason: String,
    },
}

/// One call: request in, streaming response out. Follows no redirect, retries nothing, keeps no cookie.
///
/// A name is looked up once per connection, and connected to exactly there; where no request may go, no socket opens
/// ([`HttpError::Closed`]). Deadlines: connect 10 s, first byte 60 s, between two chunks 30 s. A body that ends early is [`HttpError::Broken`].
#[async_trait]
pub trait Http: Send + Sync {
    /// Makes the call.
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError>;
}

/// Time. The only source of *now* and of waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present by our own clock. Never a cursor.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Chance, fit for secrets (the operating system's generator) but in tests, where it is seeded.
pub trait Rng: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Rng + '_ {
    /// A number below `bound` (0 if `bound` is 0), for jitter.
    pub fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }

    /// `n` random bytes in lower-case hexadecimal.
    pub fn hex(&self, n: usize) -> String {
        let mut bytes = vec![0; n];
        self.fill(&mut bytes);
        bytes.iter().fold(String::with_capacity(2 * n), |mut text, byte| {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Whether the holder of a lease is known to be dead, so that its lease need not run out first.
///
/// One machine: an operating system lock per process answers. AWS: nobody knows, always `false`.
pub type Obituary = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// All ports together, as every room takes them.
#[derive(Clone)]
pub struct Ports {
    /// Records.
    pub store: Arc<dyn Store>,
    /// Secrets.
    pub vault: Arc<dyn Vault>,
    /// Schedules.
    pub scheduler: Arc<dyn Scheduler>,
    /// Events out.
    pub publisher: Arc<dyn Publisher>,
    /// The wire.
    pub http: Arc<dyn Http>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
    /// This process, as it signs leases.
    pub instance: Arc<str>,
    /// Who is known to be dead.
    pub dead: Obituary,
}
