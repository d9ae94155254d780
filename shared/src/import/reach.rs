//! What an app reaches, tried: the token decoded, one request per mailbox, the outcome on record.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tracing::warn;

use crate::{
    credential::GrantType,
    graph::{AccessTokens, Counts, Governor, GraphClient, GraphErrorKind, GraphSettings},
    oauth::TokenError,
    ports::TokenNeed,
    reach::{Found, Probe, Reach},
    records::{
        RecordError,
        credentials::{CredentialRow, Credentials},
        warnings::Warnings,
    },
    time::between,
};

use super::run::Importer;

/// Mailboxes tried at once.
const AT_ONCE: usize = 4;
/// An outcome is looked at anew after this long.
pub const AGAIN: Duration = Duration::from_hours(24);

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The credential cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no token to try with.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It makes no sense for this credential.
    #[error("{0}")]
    Refused(String),
}

/// What trying everything that was due came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Credentials that were tried.
    pub tried: u64,
    /// Credentials that could not be.
    pub failed: u64,
}

impl Importer {
    /// Tries the mailboxes that an admin named for a credential, and notes what was found; what changed is told. With
    /// [`TokenNeed::New`] the token is of this moment: one from before a change carries the permissions of then.
    pub async fn reach(&self, credential: &str, need: TokenNeed, patience: Duration) -> Result<Reach, ReachError> {
        let row = Credentials::new(Arc::clone(&self.ports.store)).get(credential).await?;
        let reach = self.tried(&row, need, patience).await?;
        let warnings = Warnings::new(Arc::clone(&self.ports.store));
        if warnings.found(&self.ports, &row, &reach).await? {
            warnings.send(&self.ports).await?;
        }
        Ok(reach)
    }

    /// Tries every credential for which mailboxes were named and that was not tried for a day; the one that waits longest
    /// first, none after the deadline.
    pub async fn look_at_reach(&self, patience: Duration, deadline: Option<Timestamp>) -> Result<Looked, RecordError> {
        let clock = &self.ports.clock;
        let mut due = Credentials::new(Arc::clone(&self.ports.store)).all().await?;
        due.retain(|row| is_due(row, clock.now()));
        due.sort_by_key(|row| row.reach.as_ref().map(|reach| reach.at));
        let mut looked = Looked::default();
        for row in &due {
            if deadline.is_some_and(|deadline| clock.now() >= deadline) {
                break;
            }
            let id = row.credential.id.as_str();
            match self.reach(id, TokenNeed::Usable, patience).await {
                Ok(_) => looked.tried += 1,
                Err(problem) => {
                    looked.failed += 1;
                    warn!(credential = id, %problem, "what the app reaches could not be tried; it is tried again");
                }
            }
        }
        Ok(looked)
    }

    async fn tried(&self, row: &CredentialRow, need: TokenNeed, patience: Duration) -> Result<Reach, ReachError> {
        let credential = &row.credential;
        let id = credential.id.as_str();
        applies(credential.grant_type).map_err(ReachError::Refused)?;
        let info = self.tokens.access_token(id, need).await?;
        // Of its own: what runs hold may be from before a change.
        let tokens = Arc::new(AccessTokens::new(
            Arc::clone(&self.tokens),
            Arc::clone(&self.ports.vault),
            Arc::clone(&self.ports.clock),
            id,
        ));
        let asks: Vec<_> = row
            .expected
            .all()
            .map(|(mailbox, must_read)| self.probe(row, &tokens, mailbox, must_read, patience))
            .collect();
        let probes = stream::iter(asks).buffered(AT_ONCE).collect().await;
        Ok(Reach {
            at: self.ports.clock.now(),
            roles: info.roles,
            probes,
        })
    }

    async fn probe(
        &self,
        row: &CredentialRow,
        tokens: &Arc<AccessTokens>,
        mailbox: &str,
        must_read: bool,
        patience: Duration,
    ) -> Probe {
        let settings = GraphSettings {
            base: row.credential.graph_url.clone(),
            user: Some(mailbox.to_owned()),
            patience,
            // Only apps that ask for themselves have a reach.
            person: false,
        };
        let governor = Arc::new(Governor::new(Arc::clone(&self.ports.clock), BTreeMap::new()));
        let client = GraphClient::new(
            &self.ports,
            governor,
            Arc::clone(tokens),
            Arc::new(Counts::default()),
            settings,
        );
        let (found, trouble) = match client.reads_mail().await {
            Ok(()) => (Some(Found::Reads), None),
            Err(error) => match error.kind {
                GraphErrorKind::Forbidden => (Some(Found::KeptOut), None),
                GraphErrorKind::NoMailbox | GraphErrorKind::NotFound => (Some(Found::NoMailbox), None),
                _ => (None, Some(error.what)),
            },
        };
        let before = row.reach.as_ref().and_then(|reach| {
            let mut probes = reach.probes.iter();
            probes.find(|probe| probe.mailbox == mailbox)?.found
        });
        Probe {
            mailbox: mailbox.to_owned(),
            must_read,
            found: found.or(before),
            trouble,
        }
    }
}

/// Whether an app of this grant type has a reach of its own.
pub fn applies(grant_type: GrantType) -> Result<(), String> {
    match grant_type {
        GrantType::ClientCredentials => Ok(()),
        GrantType::AuthorizationCode => Err(
            "with the authorization code grant the app reads what the person who signed in may read, and nothing else: their rights in Exchange are the limit, and there is nothing to scope (`postroom account check` tries them)"
                .to_owned(),
        ),
    }
}

fn is_due(row: &CredentialRow, now: Timestamp) -> bool {
    row.credential.grant_type == GrantType::ClientCredentials
        && !row.expected.is_empty()
        && row.reach.as_ref().is_none_or(|reach| between(reach.at, now) >= AGAIN)
}
