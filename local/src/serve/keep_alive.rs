//! Keeps sign-ins alive: a refresh token that nobody uses for 90 days is over ("Refresh tokens in the Microsoft identity
//! platform", default lifetime), and with it the mailbox (P1).

use std::time::Duration;

use jiff::Timestamp;
use shared::{
    credential::GrantType,
    oauth::token_due,
    ports::{Ports, TokenNeed, Tokens},
    records::{
        credentials::{CredentialRow, Credentials},
        warnings,
    },
    time::between,
};
use tracing::{info, warn};

/// How often credentials are looked at.
pub(super) const LOOK: Duration = Duration::from_mins(10);
/// A sign-in that no account uses is renewed this often.
const UNUSED: Duration = Duration::from_hours(24);

/// Tells what ends soon; what could not be told is told with the next look.
pub(super) async fn warn_early(ports: &Ports) {
    if let Err(problem) = warnings::look(ports).await {
        warn!(%problem, "what ends soon could not be looked at; it is looked at again");
    }
}

/// Renews every sign-in that is due; whoever waits for a person is left alone.
pub(super) async fn renew(credentials: &Credentials, tokens: &dyn Tokens, in_use: &[String], now: Timestamp) {
    let rows = match credentials.all().await {
        Ok(rows) => rows,
        Err(problem) => {
            warn!(%problem, "the credentials could not be read; they are looked at again");
            return;
        }
    };
    for row in rows.iter().filter(|row| is_due(row, in_use, now)) {
        let id = row.credential.id.as_str();
        match tokens.access_token(id, TokenNeed::Usable).await {
            Ok(_) => info!(credential = id, "the sign-in was renewed"),
            // Why is told where it happened.
            Err(problem) => warn!(credential = id, %problem, "the sign-in was not renewed"),
        }
    }
}

fn is_due(row: &CredentialRow, in_use: &[String], now: Timestamp) -> bool {
    let id = row.credential.id.as_str();
    let renewable = row.credential.grant_type == GrantType::AuthorizationCode
        && row.sign_in.as_ref().is_some_and(|sign_in| sign_in.renewable)
        && !row.needs_sign_in;
    renewable
        && row.token.as_ref().is_none_or(|token| {
            now >= token_due(id, token.obtained_at, token.expires_at)
                && (in_use.iter().any(|used| used == id) || between(token.obtained_at, now) >= UNUSED)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::time::plus;

    use super::*;

    fn row(hours_ago: u64, now: Timestamp) -> CredentialRow {
        let obtained = shared::time::minus(now, Duration::from_hours(hours_ago));
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
        }
    }

    #[test]
    fn used_sign_ins_are_renewed_when_due_and_unused_ones_daily() {
        let now = Timestamp::from_second(1_800_000_000).expect("an instant");
        let used = ["app".to_owned()];
        assert!(!is_due(&row(0, now), &used, now), "it is fresh");
        assert!(is_due(&row(2, now), &used, now));
        assert!(!is_due(&row(2, now), &[], now), "nobody uses it");
        assert!(is_due(&row(25, now), &[], now), "or it would die one day");
        let waits = CredentialRow {
            needs_sign_in: true,
            ..row(25, now)
        };
        assert!(!is_due(&waits, &used, now), "whoever waits for a person is left alone");
    }
}
