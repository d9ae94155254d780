//! Renews tokens before anybody needs them. A refresh token that nobody uses for 90 days is over ("Refresh tokens in the
//! Microsoft identity platform", default lifetime), and with it the mailbox (P1).

use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    credential::GrantType,
    oauth::token_due,
    ports::{TokenNeed, Tokens},
    records::credentials::{CredentialRow, Credentials},
    time::between,
};

/// A sign-in that no account uses is renewed this often.
const UNUSED: Duration = Duration::from_hours(24);

/// Tokens asked for at once.
const AT_ONCE: usize = 8;

/// Which tokens are renewed ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of people who signed in; an app's own token is asked for when a run needs it.
    SignIns,
    /// All that accounts use: no run then waits for another function.
    All,
}

/// What renewing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renewed {
    /// Tokens that are new.
    pub renewed: u64,
    /// Tokens that could not be got.
    pub failed: u64,
}

/// Renews everything that is due; whoever waits for a person is left alone. Credentials come due at moments of their own,
/// by a hash of their ids.
pub async fn renew(
    rows: &[CredentialRow],
    tokens: &dyn Tokens,
    in_use: &[String],
    which: Which,
    now: Timestamp,
) -> Renewed {
    let due = rows.iter().filter(|row| is_due(row, in_use, which, now));
    // A future of its own kind for each, or the compiler loses sight of the lifetimes.
    let asks: Vec<_> = due.map(|row| ask(tokens, row)).collect();
    stream::iter(asks)
        .buffer_unordered(AT_ONCE)
        .fold(Renewed::default(), async |mut sum, renewed| {
            sum.renewed += u64::from(renewed);
            sum.failed += u64::from(!renewed);
            sum
        })
        .await
}

async fn ask(tokens: &dyn Tokens, row: &CredentialRow) -> bool {
    let id = row.credential.id.as_str();
    match tokens.access_token(id, TokenNeed::Usable).await {
        Ok(_) => {
            info!(credential = id, "the token was renewed");
            true
        }
        // Why is told where it happened.
        Err(problem) => {
            warn!(credential = id, %problem, "the token was not renewed");
            false
        }
    }
}

/// Credentials that enabled accounts use.
pub async fn in_use(accounts: &crate::records::accounts::Accounts) -> Result<Vec<String>, crate::records::RecordError> {
    let rows = accounts.all().await?;
    let enabled = rows.iter().filter(|row| row.account.enabled);
    Ok(enabled.map(|row| row.account.credential.to_string()).collect())
}

/// Reads all credentials and renews what is due.
pub async fn look(
    credentials: &Credentials,
    tokens: &dyn Tokens,
    in_use: &[String],
    which: Which,
    now: Timestamp,
) -> Result<Renewed, crate::records::RecordError> {
    let rows = credentials.all().await?;
    Ok(renew(&rows, tokens, in_use, which, now).await)
}

fn is_due(row: &CredentialRow, in_use: &[String], which: Which, now: Timestamp) -> bool {
    let id = row.credential.id.as_str();
    let used = in_use.iter().any(|used| used == id);
    match row.credential.grant_type {
        GrantType::AuthorizationCode => {
            let renewable = row.sign_in.as_ref().is_some_and(|sign_in| sign_in.renewable) && !row.needs_sign_in;
            renewable
                && row.token.as_ref().is_none_or(|token| {
                    now >= token_due(id, token.obtained_at, token.expires_at)
                        && (used || between(token.obtained_at, now) >= UNUSED)
                })
        }
        GrantType::ClientCredentials => {
            let token = row.token.as_ref();
            let due = token.is_none_or(|token| now >= token_due(id, token.obtained_at, token.expires_at));
            which == Which::All && used && due
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::plus;

    fn row(hours_ago: u64, now: Timestamp) -> CredentialRow {
        let obtained = crate::time::minus(now, Duration::from_hours(hours_ago));
        let credential = json!({
            "id": "app", "description": "", "grant_type": "authorization_code", "authorization_url": "https://login.microsoftonline.com/t/oauth2/v2.0/authorize",
            "token_url": "https://login.microsoftonline.com/t/oauth2/v2.0/token", "client_id": "c", "scope": "Mail.Read", "graph_url": "https://graph.microsoft.com/v1.0",
            "client_secret": "client/a", "access_token": "access/a", "created_at": obtained,
        });
        let sign_in = json!({
            "identity": {"tenant": "t", "object": "o"}, "name": null, "address": null, "at": obtained, "asked": "Mail.Read", "granted": [], "client": "c", "renewable": true,
        });
        let token = json!({
            "version": "1", "expires_at": plus(obtained, Duration::from_mins(75)), "obtained_at": obtained, "roles": [], "scopes": [], "tenant": null, "settings": "s",
        });
        CredentialRow {
            credential: serde_json::from_value(credential).expect("a credential"),
            revision: 1,
            token: Some(serde_json::from_value(token).expect("a token")),
            problem: None,
            sign_in: Some(serde_json::from_value(sign_in).expect("a sign-in")),
            needs_sign_in: false,
            refused_at: None,
            asked_at: None,
            interrupted: false,
            generation: 1,
            grant_writes: Vec::new(),
            next_refused: None,
            secret_ends: None,
            expected: crate::reach::Expected::default(),
            reach: None,
            reach_looks: 0,
            claims: None,
            not_before: None,
        }
    }

    #[test]
    fn used_sign_ins_are_renewed_when_due_and_unused_ones_daily() {
        let now = Timestamp::from_second(1_800_000_000).expect("an instant");
        let used = ["app".to_owned()];
        assert!(!is_due(&row(0, now), &used, Which::SignIns, now), "it is fresh");
        assert!(is_due(&row(2, now), &used, Which::SignIns, now));
        assert!(!is_due(&row(2, now), &[], Which::SignIns, now), "nobody uses it");
        assert!(
            is_due(&row(25, now), &[], Which::SignIns, now),
            "or it would die one day"
        );
        let waits = CredentialRow {
            needs_sign_in: true,
            ..row(25, now)
        };
        assert!(
            !is_due(&waits, &used, Which::All, now),
            "whoever waits for a person is left alone"
        );
    }

    #[test]
    fn the_apps_own_tokens_are_renewed_where_runs_should_not_wait() {
        let now = Timestamp::from_second(1_800_000_000).expect("an instant");
        let used = ["app".to_owned()];
        let mut app = row(2, now);
        app.credential.grant_type = GrantType::ClientCredentials;
        app.sign_in = None;
        assert!(is_due(&app, &used, Which::All, now));
        assert!(
            !is_due(&app, &used, Which::SignIns, now),
            "in process it is asked for when it is needed"
        );
        assert!(!is_due(&app, &[], Which::All, now), "nobody uses it");
        app.token = None;
        assert!(is_due(&app, &used, Which::All, now), "there is none yet");
    }
}
