//! Sessions of the console, one-time links into it, and where it is. Only hashes of cookies and tokens are kept.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    oauth::sha256_hex,
    ports::{Condition, Key, Store, StoreError, Write},
    secret::Secret,
    time::{between, millis, plus},
};

use super::{
    RECORD, RecordError, api_keys::Scope, attribute, attributes, ending, json, number, record, required, sweep,
};

const SESSIONS: &str = "sessions";
const LAUNCHES: &str = "launches";
const SERVE: &str = "serve";
/// That somebody was there is written down this often.
const SEEN: Duration = Duration::from_mins(1);
/// A one-time link is good for this long.
const LINK: Duration = Duration::from_secs(600);

/// What a one-time link is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Opens the console.
    Console,
    /// Signs somebody in for one credential, and nothing else.
    Authorize {
        /// The credential.
        credential: String,
        /// Another person may take over.
        rebind: bool,
    },
}

/// How somebody came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// By a one-time link of this machine.
    Link,
    /// By signing in with the issuer.
    SignIn {
        /// The settings of the sign-in at that time ([`crate::config::SignInSettings::digest`]).
        settings: String,
    },
}

impl Door {
    /// A session ends after this long without a page.
    fn idle(&self) -> Duration {
        match self {
            Self::Link => Duration::from_hours(2),
            Self::SignIn { .. } => Duration::from_mins(30),
        }
    }

    /// And after this long in any case.
    pub fn absolute(&self) -> Duration {
        match self {
            Self::Link => Duration::from_hours(12),
            Self::SignIn { .. } => Duration::from_hours(8),
        }
    }
}

/// Whose a session is, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// How they came in.
    pub door: Door,
    /// What they may do.
    pub scope: Scope,
    /// Who they are, for people to read, if that is known.
    pub who: Option<String>,
    /// What the issuer calls them for ever; a name can change, or be chosen to look like another.
    #[serde(default)]
    pub subject: Option<String>,
}

impl Holder {
    /// As the audit names them.
    pub fn by(&self) -> String {
        match (&self.who, &self.subject) {
            (Some(who), Some(subject)) if who != subject => format!("console: {who} ({subject})"),
            (Some(who), _) => format!("console: {who}"),
            (None, _) => "console".to_owned(),
        }
    }
}

/// Where the console of this data directory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// How a browser reaches it.
    pub public_url: url::Url,
    /// Since when.
    pub since: Timestamp,
}

/// The shelf.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Store>,
}

impl Sessions {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Begins a session for the browser that holds this cookie.
    pub async fn begin(&self, cookie: &Secret, holder: &Holder, now: Timestamp) -> Result<(), RecordError> {
        let [expires_at, expires] = ending(plus(now, holder.door.absolute()));
        let record = (RECORD, json(holder));
        let set = attributes([
            record,
            ("begun_at", json(&now)),
            ("seen_at", json(&now)),
            expires_at,
            expires,
        ]);
        let key = Key::new(SESSIONS, Self::key(cookie));
        self.store.update(Write::put(key, set).when(Condition::Absent)).await?;
        sweep(&*self.store, SESSIONS, now).await;
        Ok(())
    }

    /// The key of a cookie's session.
    pub fn key(cookie: &Secret) -> String {
        sha256_hex(cookie.expose())
    }

    /// Whose the session with this key is, if it is alive; that somebody was there is noted now and then.
    pub async fn alive(&self, key: &str, now: Timestamp) -> Result<Option<Holder>, RecordError> {
        let at = Key::new(SESSIONS, key);
        let Some(item) = self.store.get(&at).await? else {
            return Ok(None);
        };
        let seen: Timestamp = required(&item, "seen_at")?;
        // A session of an older version does not say whose it is: nobody's.
        let holder: Option<Holder> = attribute(&item, RECORD)?;
        let holder = holder
            .filter(|holder| number(&item, "expires_at") > millis(now) && between(seen, now) < holder.door.idle());
        let Some(holder) = holder else {
            // It is over in any case; whether its row goes now is all the same.
            let _ = self.store.update(Write::delete(at)).await;
            return Ok(None);
        };
        if between(seen, now) >= SEEN {
            let write = Write::set(at, attributes([("seen_at", json(&now))])).when(Condition::Exists);
            match self.store.update(write).await {
                Ok(_) | Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(holder))
    }

    /// Ends a session.
    pub async fn end(&self, key: &str) -> Result<(), RecordError> {
        self.store.update(Write::delete(Key::new(SESSIONS, key))).await?;
        Ok(())
    }

    /// Makes a one-time link's token.
    pub async fn launch(&self, token: &Secret, purpose: &Purpose, now: Timestamp) -> Result<(), RecordError> {
        let mut set = record(purpose);
        set.extend(ending(plus(now, LINK)).map(|(name, value)| (name.to_owned(), value)));
        let key = Key::new(LAUNCHES, sha256_hex(token.expose()));
        self.store.update(Write::put(key, set).when(Condition::Absent)).await?;
        sweep(&*self.store, LAUNCHES, now).await;
        Ok(())
    }

    /// What a link is for, if it is still good. Nothing is used up by looking.
    pub async fn look(&self, token: &Secret, now: Timestamp) -> Result<Option<Purpose>, RecordError> {
        let key = Key::new(LAUNCHES, sha256_hex(token.expose()));
        match self.store.get(&key).await? {
            Some(item) if number(&item, "expires_at") > millis(now) && attribute::<bool>(&item, "used")?.is_none() => {
                attribute(&item, RECORD)
            }
            _ => Ok(None),
        }
    }

    /// Uses a link up, by one write. `None`: it was used, or is over.
    pub async fn take(&self, token: &Secret, now: Timestamp) -> Result<Option<Purpose>, RecordError> {
        let key = Key::new(LAUNCHES, sha256_hex(token.expose()));
        let write = Write::set(key, attributes([("used", true.into())]))
            .when(Condition::Exists)
            .when(Condition::Missing("used".into()))
            .when(Condition::Above("expires_at".into(), millis(now)));
        match self.store.update(write).await {
            Ok(Some(item)) => attribute(&item, RECORD),
            Ok(None) | Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes which sign-in a used link began, for whoever made the link and waits.
    pub async fn began(&self, token: &Secret, flow: &str) -> Result<(), RecordError> {
        let key = Key::new(LAUNCHES, sha256_hex(token.expose()));
        let write = Write::set(key, attributes([("flow", flow.into())])).when(Condition::Exists);
        self.store.update(write).await?;
        Ok(())
    }

    /// The sign-in a link began, if it was used.
    pub async fn flow_of(&self, token: &Secret) -> Result<Option<String>, RecordError> {
        let item = self.store.get(&Key::new(LAUNCHES, sha256_hex(token.expose()))).await?;
        item.map_or(Ok(None), |item| attribute(&item, "flow"))
    }

    /// Says where the console is.
    pub async fn serving(&self, here: &Serving) -> Result<(), RecordError> {
        self.store
            .update(Write::put(Key::new(SERVE, "here"), record(here)))
            .await?;
        Ok(())
    }

    /// Where it was last.
    pub async fn served(&self) -> Result<Option<Serving>, RecordError> {
        let item = self.store.get(&Key::new(SERVE, "here")).await?;
        item.map_or(Ok(None), |item| attribute(&item, RECORD))
    }
}
