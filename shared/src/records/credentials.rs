//! Credentials: their settings and what is known of their tokens.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    credential::{Credential, SignIn, TokenState},
    ports::{Attributes, Condition, Item, Key, PageMark, Query, SecretName, Store, StoreError, Write},
    reach::{Expected, Reach},
    time::{between, millis},
};

use super::{RecordError, Shelf, attribute, attributes, every, json, number, required};

const PARTITION: &str = "credentials";
/// For as long written grants are counted.
const DAY: Duration = Duration::from_hours(24);

/// A next client secret that did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRefused {
    /// When it was tried last.
    pub at: Timestamp,
    /// Why, in the admin's words.
    pub what: String,
}

/// A credential as stored.
#[derive(Debug, Clone)]
pub struct CredentialRow {
    /// The settings.
    pub credential: Credential,
    /// Counts edits.
    pub revision: i64,
    /// Its token, if there is one.
    pub token: Option<TokenState>,
    /// Why the last request for a token failed, if it did.
    pub problem: Option<String>,
    /// Authorization code: who signed in last.
    pub sign_in: Option<SignIn>,
    /// Authorization code: somebody must sign in again; `problem` says why.
    pub needs_sign_in: bool,
    /// When the grant was refused for the first time in a row.
    pub refused_at: Option<Timestamp>,
    /// When Microsoft was last asked for a token.
    pub asked_at: Option<Timestamp>,
    /// Whoever asked last died, or lost its lease, before it had written down what came of it.
    pub interrupted: bool,
    /// The generation of the grant, as far as it was written down here.
    pub generation: u64,
    /// When versions of the grant were written, within a day.
    pub grant_writes: Vec<Timestamp>,
    /// The next client secret did not work; the one before goes on working.
    pub next_refused: Option<NextRefused>,
    /// Mailboxes it must read, and must not.
    pub expected: Expected,
    /// What trying these found.
    pub reach: Option<Reach>,
    /// Counts changes of both.
    pub reach_looks: i64,
    /// What a policy of the tenant asked for when it refused the sign-in (`claims`, JSON): sent along with the next one.
    pub claims: Option<String>,
    /// Microsoft asked to be left alone until then.
    pub not_before: Option<Timestamp>,
    /// When a client secret ends, read from Graph where the app may.
    pub secret_ends: Option<SecretEnds>,
}

/// When a client secret ends, as the registration of its app says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretEnds {
    /// The name of the secret that was looked for; another one is not meant.
    pub secret: SecretName,
    /// When that was read.
    pub read_at: Timestamp,
    /// When it ends, if the registration shows it.
    pub ends_at: Option<Timestamp>,
}

impl CredentialRow {
    /// What the registration was read to say of the client secret that counts now.
    pub fn secret_ends(&self) -> Option<&SecretEnds> {
        self.secret_ends
            .as_ref()
            .filter(|read| read.secret == self.credential.client_secret)
    }

    /// When secret or certificate ends: as the registration of the app says, or as it was typed or read from the certificate.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let read = self.secret_ends().and_then(|read| read.ends_at);
        read.or(self.credential.secret_expires_at)
    }
}

/// What a request for a token changes on the row; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct TokenOutcome {
    /// The new token.
    pub token: Option<TokenState>,
    /// Who signed in.
    pub sign_in: Option<SignIn>,
    /// Why there is none, or that nothing is wrong any more.
    pub problem: Option<Option<String>>,
    /// Whether somebody must sign in.
    pub needs_sign_in: Option<bool>,
    /// Since when the grant is refused.
    pub refused_at: Option<Option<Timestamp>>,
    /// When Microsoft was asked.
    pub asked_at: Option<Timestamp>,
    /// Whether an interruption is still unexplained.
    pub interrupted: Option<bool>,
    /// The generation of the grant.
    pub generation: Option<u64>,
    /// When versions of the grant were written.
    pub grant_writes: Option<Vec<Timestamp>>,
    /// What became of the next client secret.
    pub next_refused: Option<Option<NextRefused>>,
    /// What a policy asks for.
    pub claims: Option<Option<String>>,
    /// Until when Microsoft is left alone.
    pub not_before: Option<Option<Timestamp>>,
    /// What the app's registration says of the client secret.
    pub secret_ends: Option<SecretEnds>,
    /// The settings after the next client secret took its place, and the revision they follow on.
    pub credential: Option<(Credential, i64)>,
}

impl TokenOutcome {
    fn attributes(&self) -> Attributes {
        let mut set = Attributes::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                set.insert(name.to_owned(), value);
            }
        };
        put("token", self.token.as_ref().map(json));
        put("sign_in", self.sign_in.as_ref().map(json));
        put("problem", self.problem.as_ref().map(json));
        put("needs_sign_in", self.needs_sign_in.map(Value::from));
        put("refused_at", self.refused_at.as_ref().map(json));
        put("asked_at", self.asked_at.as_ref().map(json));
        put("interrupted", self.interrupted.map(Value::from));
        put("generation", self.generation.map(Value::from));
        put("grant_writes", self.grant_writes.as_ref().map(json));
        put("next_refused", self.next_refused.as_ref().map(json));
        put("secret_ends", self.secret_ends.as_ref().map(json));
        put("claims", self.claims.as_ref().map(json));
        put("not_before", self.not_before.as_ref().map(json));
        if let Some((credential, revision)) = &self.credential {
            put("settings", Some(json(credential)));
            put("revision", Some((revision + 1).into()));
        }
        set
    }
}

impl CredentialRow {
    fn read(item: &Item) -> Result<Self, RecordError> {
        Ok(Self {
            credential: required(item, "settings")?,
            revision: number(item, "revision"),
            token: attribute(item, "token")?,
            problem: attribute(item, "problem")?,
            sign_in: attribute(item, "sign_in")?,
            needs_sign_in: attribute(item, "needs_sign_in")?.unwrap_or_default(),
            refused_at: attribute(item, "refused_at")?,
            asked_at: attribute(item, "asked_at")?,
            interrupted: attribute(item, "interrupted")?.unwrap_or_default(),
            generation: attribute(item, "generation")?.unwrap_or_default(),
            grant_writes: attribute(item, "grant_writes")?.unwrap_or_default(),
            next_refused: attribute(item, "next_refused")?,
            secret_ends: attribute(item, "secret_ends")?,
            expected: attribute(item, "expected")?.unwrap_or_default(),
            reach: attribute(item, "reach")?,
            reach_looks: number(item, "reach_looks"),
            claims: attribute(item, "claims")?,
            not_before: attribute(item, "not_before")?,
        })
    }
}

/// The shelf of credentials.
#[derive(Clone)]
pub struct Credentials {
    store: Arc<dyn Store>,
}

impl Credentials {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The item's key.
    pub fn key(id: &str) -> Key {
        Key::new(PARTITION, id)
    }

    /// One credential.
    pub async fn get(&self, id: &str) -> Result<CredentialRow, RecordError> {
        let item = self.store.get(&Self::key(id)).await?;
        CredentialRow::read(&item.ok_or_else(|| Self::missing(id))?)
    }

    fn missing(id: &str) -> RecordError {
        RecordError::Missing {
            what: "credential",
            id: id.to_owned(),
            hint: "; `postroom credential list` shows all",
        }
    }

    /// All of them, by id.
    pub async fn all(&self) -> Result<Vec<CredentialRow>, RecordError> {
        every(&*self.store, PARTITION, CredentialRow::read).await
    }

    /// A page of them, by id.
    pub async fn page(&self, limit: usize, after: Option<PageMark>) -> Result<Shelf<CredentialRow>, RecordError> {
        let query = Query {
            limit,
            after,
            ..Query::all(PARTITION)
        };
        let page = self.store.query(&query).await?;
        let records = page.items.iter().map(CredentialRow::read).collect::<Result<_, _>>()?;
        Ok(Shelf {
            records,
            next: page.next,
        })
    }

    /// Notes what is expected of its reach; what was found for other expectations is forgotten.
    pub async fn expect(&self, id: &str, expected: &Expected) -> Result<(), RecordError> {
        let wanted = if expected.is_empty() {
            Value::Null
        } else {
            json(expected)
        };
        let set = attributes([("expected", wanted), ("reach", Value::Null)]);
        let mut write = Write::set(Self::key(id), set).when(Condition::Exists);
        if let crate::ports::Change::Update { add, .. } = &mut write.change {
            add.insert("reach_looks".into(), 1);
        }
        Self::changed(id, self.store.update(write).await)
    }

    /// The write that notes what was found, unless somebody changed what is expected, or looked, since `row` was read.
    pub(super) fn found(row: &CredentialRow, reach: &Reach) -> Write {
        let mut write = Write::set(
            Self::key(row.credential.id.as_str()),
            attributes([("reach", json(reach))]),
        )
        .when(Condition::Exists)
        .when(match row.reach_looks {
            0 => Condition::Missing("reach_looks".into()),
            looks => Condition::equals("reach_looks", looks),
        });
        if let crate::ports::Change::Update { add, .. } = &mut write.change {
            add.insert("reach_looks".into(), 1);
        }
        write
    }

    /// Adds one.
    pub async fn add(&self, credential: &Credential) -> Result<(), RecordError> {
        let write = Write::put(
            Self::key(credential.id.as_str()),
            attributes([("settings", json(credential)), ("revision", 1.into())]),
        )
        .when(Condition::Absent);
        match self.store.update(write).await {
            Ok(_) => Ok(()),
            Err(StoreError::ConditionFailed { .. }) => Err(RecordError::Taken {
                what: "credential",
                id: credential.id.to_string(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the settings of the revision that was looked at. A token asked for with other settings stays until
    /// the next request for one, which sees that it no longer fits.
    pub async fn edit(&self, credential: &Credential, revision: i64) -> Result<(), RecordError> {
        let id = credential.id.as_str();
        let write = Write::set(
            Self::key(id),
            attributes([
                ("settings", json(credential)),
                ("revision", (revision + 1).into()),
                ("problem", Value::Null),
                ("next_refused", Value::Null),
            ]),
        )
        .when(Condition::equals("revision", revision));
        Self::changed(id, self.store.update(write).await)
    }

    /// Removes one.
    pub async fn remove(&self, id: &str, revision: i64) -> Result<(), RecordError> {
        let write = Write::delete(Self::key(id)).when(Condition::equals("revision", revision));
        Self::changed(id, self.store.update(write).await)
    }

    /// The row, and another one of the store read with it.
    pub async fn get_beside(&self, id: &str, other: Key) -> Result<(CredentialRow, Option<Item>), RecordError> {
        let key = Self::key(id);
        let mut items = self.store.get_many(&[key.clone(), other.clone()]).await?;
        let row = items.iter().position(|item| item.key == key);
        let row = items.swap_remove(row.ok_or_else(|| Self::missing(id))?);
        Ok((
            CredentialRow::read(&row)?,
            items.into_iter().find(|item| item.key == other),
        ))
    }

    /// Takes the lease under which tokens of this credential are asked for; the row and the fence, or `None` if another
    /// holds it. A lease that nobody let go is noted as an interruption.
    pub async fn lease(
        &self,
        id: &str,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(CredentialRow, i64)>, RecordError> {
        // Nearly always the last holder let it go, and nothing need be known of the row before.
        if let Some(leased) = self.lease_if_free(id, owner, until).await? {
            return Ok(Some(leased));
        }
        let before = self.store.get(&Self::key(id)).await?.ok_or_else(|| Self::missing(id))?;
        let left = number(&before, "token_lease");
        if left >= millis(now) {
            return Ok(None);
        }
        let mut set = holding(owner, until);
        let died = left > 0;
        if died {
            // Whoever died may have kept a grant: it counts, or a loop of deaths would use up the vault's versions.
            let mut writes: Vec<Timestamp> = attribute(&before, "grant_writes")?.unwrap_or_default();
            writes.retain(|at| between(*at, now) < DAY);
            writes.push(now);
            set.extend(attributes([
                ("interrupted", true.into()),
                ("grant_writes", json(&writes)),
            ]));
        }
        let mut write = Write::set(Self::key(id), set)
            .when(Condition::Exists)
            .when(Condition::MissingOrBelow("token_lease".into(), millis(now)));
        if died {
            // As it was read, or the list would be an old one.
            write = write.when(Condition::equals("token_fence", number(&before, "token_fence")));
        }
        self.take_lease(id, write).await
    }

    /// The lease, if the last holder let it go or there never was one.
    async fn lease_if_free(
        &self,
        id: &str,
        owner: &str,
        until: Timestamp,
    ) -> Result<Option<(CredentialRow, i64)>, RecordError> {
        let write = Write::set(Self::key(id), holding(owner, until))
            .when(Condition::Exists)
            .when(Condition::MissingOrBelow("token_lease".into(), 1));
        self.take_lease(id, write).await
    }

    async fn take_lease(&self, id: &str, mut write: Write) -> Result<Option<(CredentialRow, i64)>, RecordError> {
        if let crate::ports::Change::Update { add, .. } = &mut write.change {
            add.insert("token_fence".into(), 1);
        }
        match self.store.update(write).await {
            Ok(Some(item)) => Ok(Some((CredentialRow::read(&item)?, number(&item, "token_fence")))),
            Ok(None) | Err(StoreError::ConditionFailed { current: Some(_), .. } | StoreError::Conflict) => Ok(None),
            Err(StoreError::ConditionFailed { current: None, .. }) => Err(Self::missing(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Who holds that lease.
    pub async fn lease_holder(&self, id: &str) -> Result<Option<String>, RecordError> {
        let item = self.store.get(&Self::key(id)).await?;
        item.map_or(Ok(None), |item| attribute(&item, "token_owner"))
    }

    /// Ends a lease whose holder is known to be dead; it counts as an interruption.
    pub async fn end_lease_of(&self, id: &str, owner: &str) -> Result<(), RecordError> {
        // 1 and not 0: over, but nobody let it go.
        let write = Write::set(Self::key(id), attributes([("token_lease", 1.into())]))
            .when(Condition::equals("token_owner", owner));
        match self.store.update(write).await {
            Ok(_) | Err(StoreError::ConditionFailed { .. } | StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what a request for a token brought and lets the lease go, under its fence. `false`: the lease was lost.
    pub async fn finish(&self, id: &str, fence: i64, outcome: &TokenOutcome) -> Result<bool, RecordError> {
        let mut set = outcome.attributes();
        set.insert("token_lease".into(), 0.into());
        let mut tries = 0;
        loop {
            let mut write = Write::set(Self::key(id), set.clone()).when(Condition::equals("token_fence", fence));
            if let Some((_, revision)) = &outcome.credential {
                // An admin's edit meanwhile wins.
                write = write.when(Condition::equals("revision", *revision));
            }
            match self.store.update(write).await {
                Ok(_) => return Ok(true),
                Err(StoreError::ConditionFailed { .. }) if outcome.credential.is_some() => {
                    let kept = TokenOutcome {
                        credential: None,
                        token: None,
                        ..outcome.clone()
                    };
                    return Box::pin(self.finish(id, fence, &kept)).await.map(|_| false);
                }
                Err(StoreError::ConditionFailed { .. }) => return Ok(false),
                // The same write again does no harm: it says what is, under the fence.
                Err(StoreError::Conflict | StoreError::Unavailable(_)) if tries < super::CONFLICT_TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn changed(id: &str, result: Result<Option<Item>, StoreError>) -> Result<(), RecordError> {
        match result {
            Ok(_) => Ok(()),
            Err(StoreError::ConditionFailed { current: Some(_), .. } | StoreError::Conflict) => {
                Err(RecordError::Changed {
                    what: "credential",
                    id: id.to_owned(),
                })
            }
            Err(StoreError::ConditionFailed { current: None, .. }) => Err(RecordError::Missing {
                what: "credential",
                id: id.to_owned(),
                hint: "",
            }),
            Err(error) => Err(error.into()),
        }
    }
}

fn holding(owner: &str, until: Timestamp) -> Attributes {
    attributes([("token_owner", owner.into()), ("token_lease", millis(until).into())])
}
