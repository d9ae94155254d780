//! Renewing a sign-in: the current grant, then the one before, and patience before anybody is troubled.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    credential::Credential,
    ports::{Stage, TokenNeed},
    records::{
        apps::Circuit,
        credentials::{CredentialRow, TokenOutcome},
    },
    secret::Secret,
    time::{between, minus},
};

use super::{
    client::Client,
    entra::{Ask, Granted},
    error::{TokenError, TokenErrorKind},
    grant::{Grant, Grants, Saved},
    token::{TokenService, sign_in_again},
};

/// Between the first refusal of a grant and the second that counts.
const SECOND_LOOK: Duration = Duration::from_secs(60);
/// Versions of a grant within a day after which nobody renews any more: the vault takes 30, and the last one is for a
/// person who signs in.
const MOST_WRITES: usize = 29;
const DAY: Duration = Duration::from_hours(24);

/// What a request with a grant brought.
struct Renewed {
    granted: Granted,
    /// The grant that stands in the vault now, after which the new one comes.
    after: Grant,
    used: Secret,
}

impl TokenService {
    pub(super) fn grants<'a>(&'a self, credential: &Credential) -> Grants<'a> {
        Grants {
            vault: &*self.ports.vault,
            clock: &*self.ports.clock,
            name: credential.grant(),
        }
    }

    /// Asks for an access token with the grant, and keeps the new grant before the token.
    pub(super) async fn refresh(
        &self,
        row: &CredentialRow,
        need: &TokenNeed,
        circuit: Option<Circuit>,
        outcome: &mut TokenOutcome,
    ) -> Result<(), TokenError> {
        let credential = &row.credential;
        let grants = self.grants(credential);
        let now = self.ports.clock.now();
        let Some(grant) = grants.settled(row.generation).await? else {
            outcome.needs_sign_in = Some(true);
            outcome.asked_at = Some(now);
            let why = match &row.sign_in {
                None => "nobody has signed in yet",
                Some(_) => {
                    "the token is over and cannot be renewed, since the scope lacked `offline_access`; add it to the credential first"
                }
            };
            return Err(sign_in_again(credential, why));
        };
        outcome.generation = Some(grant.generation);
        outcome.sign_in = Some(grant.sign_in.clone());
        if grant.sign_in.client != credential.client() {
            outcome.needs_sign_in = Some(true);
            let why = "the credential was changed to another app or tenant since somebody signed in";
            return Err(sign_in_again(credential, why));
        }
        let mut writes = recent(&row.grant_writes, now);
        if writes.len() >= MOST_WRITES {
            return Err(TokenError::plain(
                TokenErrorKind::Storage,
                format!(
                    "the sign-in of credential `{}` was renewed {} times within a day, which the vault does not take for long; something restarts Postroom or asks for tokens in a loop. It goes on by itself when the day is over",
                    credential.id,
                    writes.len()
                ),
            ));
        }
        let client = self.client(row, circuit).await?;
        outcome.asked_at = Some(now);
        let renewed = self.renew(credential, &client, &grants, grant, need).await;
        let settled = client.settled(row, now, outcome);
        let renewed = match renewed {
            Ok(renewed) => renewed,
            Err(error) => return Err(refused(row, error, now, outcome)),
        };
        let sign_in = renewed.after.sign_in.clone();
        if let Some(new) = renewed.granted.refresh.as_ref().filter(|new| **new != renewed.used) {
            writes.push(now);
            outcome.grant_writes = Some(writes);
            match grants.save(Some(&renewed.after), new, &sign_in).await {
                Ok(Saved::Current) => outcome.generation = Some(renewed.after.generation + 1),
                Ok(Saved::Lost) => info!(credential = %credential.id, "somebody else renewed the sign-in meanwhile"),
                // The access token is good all the same. Entra keeps the old refresh token valid; where it is not, the
                // next refusal says so.
                Err(error) => warn!(credential = %credential.id, %error, "the new refresh token could not be kept"),
            }
        }
        outcome.sign_in = Some(sign_in);
        self.keep_access(&settled, &client, &renewed.granted, now, outcome)
            .await
    }

    /// The current grant; if that is refused, whatever became current meanwhile; then the one before, once.
    async fn renew(
        &self,
        credential: &Credential,
        client: &Client,
        grants: &Grants<'_>,
        mut current: Grant,
        need: &TokenNeed,
    ) -> Result<Renewed, TokenError> {
        let asked_for = *need == TokenNeed::New;
        let mut tried: Vec<Secret> = Vec::new();
        loop {
            let used = current.refresh.clone();
            let scope = current.sign_in.asked.clone();
            let ask = Ask::Refresh {
                token: &used,
                scope: &scope,
            };
            let error = match self.through_circuit(credential, client, asked_for, ask).await {
                Ok(granted) => {
                    return Ok(Renewed {
                        granted,
                        after: current,
                        used,
                    });
                }
                Err(error) if error.grant => error,
                Err(error) => return Err(error),
            };
            tried.push(used);
            if let Some(again) = grants.read(Stage::Current).await?
                && !tried.contains(&again.refresh)
                && tried.len() < 3
            {
                // A sibling won the race, or the vault showed the past: its word counts, not our refusal.
                current = again;
                continue;
            }
            let Some(previous) = grants.read(Stage::Previous).await? else {
                return Err(error);
            };
            if tried.contains(&previous.refresh) || previous.sign_in.identity != current.sign_in.identity {
                return Err(error);
            }
            info!(credential = %credential.id, "the refresh token is refused; trying the one before");
            let ask = Ask::Refresh {
                token: &previous.refresh,
                scope: &scope,
            };
            return match self.through_circuit(credential, client, asked_for, ask).await {
                Ok(granted) => Ok(Renewed {
                    granted,
                    after: current,
                    used: previous.refresh,
                }),
                Err(second) if second.grant => Err(error),
                Err(second) => Err(second),
            };
        }
    }
}

/// What a refusal means for the credential. The grant stays where it is, whatever it means.
fn refused(row: &CredentialRow, error: TokenError, now: Timestamp, outcome: &mut TokenOutcome) -> TokenError {
    if error.kind != TokenErrorKind::SignIn {
        return error;
    }
    let credential = &row.credential;
    if error.grant {
        match row.refused_at {
            None => {
                outcome.refused_at = Some(Some(now));
                return TokenError {
                    kind: TokenErrorKind::Transient {
                        after: Some(SECOND_LOOK),
                    },
                    microsofts_wish: false,
                    ..error
                };
            }
            Some(first) if between(first, now) < SECOND_LOOK && !row.needs_sign_in => {
                return TokenError {
                    kind: TokenErrorKind::Transient {
                        after: SECOND_LOOK.checked_sub(between(first, now)),
                    },
                    microsofts_wish: false,
                    ..error
                };
            }
            Some(_) => {}
        }
    }
    outcome.needs_sign_in = Some(true);
    outcome.claims = Some(error.claims.clone());
    let why = if error.grant && row.interrupted {
        format!(
            "{}. Postroom was stopped in the moment in which Microsoft renewed the sign-in, so the renewed one may be lost",
            error.what
        )
    } else {
        error.what.clone()
    };
    TokenError {
        what: sign_in_again(credential, &why).what,
        ..error
    }
}

/// The times within the last day.
pub(super) fn recent(writes: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
    let since = minus(now, DAY);
    writes.iter().copied().filter(|at| *at > since).collect()
}
