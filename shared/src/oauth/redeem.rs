//! Redeeming a code: who signed in, what they granted, and whether that may be kept.

use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use crate::{
    account::Mailbox,
    credential::{Credential, Identity, SignIn},
    ports::{Redeemed, Redemption},
    records::{
        accounts::Accounts,
        credentials::{CredentialRow, TokenOutcome},
    },
    secret::Secret,
};

use super::{
    entra::{Ask, Granted, document},
    error::{TokenError, TokenErrorKind},
    grant::{Grant, Saved},
    id_token::{self, Expected, Person},
    keys::Named,
    refresh::recent,
    token::TokenService,
};

/// Scopes that are no permission on a resource.
const OIDC: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// What was asked for and what came.
#[derive(Debug, Default)]
struct Compared {
    granted: Vec<String>,
    missing: Vec<String>,
    extra: Vec<String>,
}

/// What Graph answers of a person or a folder.
#[derive(Deserialize)]
struct WithId {
    id: String,
}

impl TokenService {
    /// Under the lease: redeems, checks, keeps. Whatever is refused leaves the credential as it was.
    pub(super) async fn redeem_leased(
        &self,
        row: &CredentialRow,
        fence: i64,
        redemption: &Redemption,
    ) -> Result<Redeemed, TokenError> {
        let mut outcome = TokenOutcome::default();
        match self.try_redeem(row, redemption, &mut outcome).await {
            Ok((sign_in, compared, warnings)) => {
                let token = self.settle(row, fence, outcome, Ok(())).await?;
                Ok(Redeemed {
                    sign_in,
                    extra: compared.extra,
                    missing: compared.missing,
                    warnings,
                    token,
                })
            }
            Err(error) => {
                // A sign-in that came to nothing says nothing of the one there was: the row stays as it is.
                let outcome = TokenOutcome {
                    problem: None,
                    ..outcome
                };
                self.credentials
                    .finish(row.credential.id.as_str(), fence, &outcome)
                    .await?;
                tracing::warn!(credential = %row.credential.id, %error, trace = error.trace.as_deref().unwrap_or("-"), "the sign-in was not finished");
                Err(error)
            }
        }
    }

    async fn try_redeem(
        &self,
        row: &CredentialRow,
        redemption: &Redemption,
        outcome: &mut TokenOutcome,
    ) -> Result<(SignIn, Compared, Vec<String>), TokenError> {
        let credential = &row.credential;
        if credential.client() != redemption.client {
            return Err(refused(
                "the credential was changed while somebody signed in; click the key again",
            ));
        }
        self.check_issuer(credential, redemption).await?;
        let grants = self.grants(credential);
        let before = grants.settled(row.generation).await?;
        let client = self.client(row, None).await?;
        let now = self.ports.clock.now();
        let ask = Ask::Code {
            code: &redemption.code,
            verifier: &redemption.verifier,
            redirect_uri: &redemption.redirect_uri,
            scope: &redemption.scope,
        };
        let granted = self
            .through_circuit(credential, &client, true, ask)
            .await
            .map_err(|error| code_refused(credential, error))?;
        let person = self.person(credential, redemption, &granted, now).await?;
        let known = before
            .as_ref()
            .map(|grant| &grant.sign_in)
            .or(row.sign_in.as_ref())
            .map(|sign_in| &sign_in.identity);
        self.check_pin(credential, known, &person, redemption.rebind).await?;
        let compared = compare(&redemption.scope, granted.scope.as_deref());
        check_mail_scopes(&compared)?;
        let mut warnings = Vec::new();
        self.prove(credential, &granted, &compared, &person, &mut warnings)
            .await?;
        if granted.refresh.is_none() {
            warnings.push("Microsoft gave no refresh token, because the scope lacks `offline_access`: in about an hour somebody must sign in again. Add `offline_access` to the scope and click the key".to_owned());
        }
        if !compared.missing.is_empty() {
            warnings.push(format!("not granted, though asked for: {}", compared.missing.join(" ")));
        }
        let sign_in = SignIn {
            identity: person.identity,
            name: person.name,
            address: person.address,
            at: now,
            asked: redemption.scope.clone(),
            granted: compared.granted.clone(),
            client: redemption.client.clone(),
            renewable: granted.refresh.is_some(),
        };
        if let Some(refresh) = &granted.refresh {
            let mut writes = recent(&row.grant_writes, now);
            writes.push(now);
            outcome.grant_writes = Some(writes);
            self.keep_grant(credential, before.as_ref(), refresh, &sign_in, outcome)
                .await?;
        }
        outcome.sign_in = Some(sign_in.clone());
        outcome.asked_at = Some(now);
        self.keep_access(row, &client, &granted, now, outcome).await?;
        Ok((sign_in, compared, warnings))
    }

    async fn keep_grant(
        &self,
        credential: &Credential,
        before: Option<&Grant>,
        refresh: &Secret,
        sign_in: &SignIn,
        outcome: &mut TokenOutcome,
    ) -> Result<(), TokenError> {
        match self.grants(credential).save(before, refresh, sign_in).await? {
            Saved::Current => {
                outcome.generation = Some(before.map_or(0, |grant| grant.generation) + 1);
                Ok(())
            }
            Saved::Lost => Err(refused(
                "the credential was used by another process in the same moment; click the key again",
            )),
        }
    }

    async fn person(
        &self,
        credential: &Credential,
        redemption: &Redemption,
        granted: &Granted,
        now: Timestamp,
    ) -> Result<Person, TokenError> {
        let Some(token) = &granted.id_token else {
            return Err(refused(
                "the login host did not say who signed in (no id token). Nothing was stored",
            ));
        };
        let expected = Expected {
            token_url: &credential.token_url,
            client_id: &credential.client_id,
            nonce: &redemption.nonce,
            now,
        };
        id_token::check(
            token,
            &expected,
            &self.authorities,
            &*self.ports.http,
            &*self.ports.clock,
        )
        .await
    }

    /// The code is another login host's if the answer names another issuer, or none where this one always names itself
    /// (O-8). Asked before the code is sent to anybody.
    async fn check_issuer(&self, credential: &Credential, redemption: &Redemption) -> Result<(), TokenError> {
        let (http, clock) = (&*self.ports.http, &*self.ports.clock);
        let authority = self
            .authorities
            .of(http, clock, Named::TokenUrl(&credential.token_url), false)
            .await?;
        if authority.may_have_answered(redemption.issuer.as_deref()) {
            return Ok(());
        }
        Err(refused(
            "the answer does not name the login host that was asked (`iss`), so it may be another one's. Nothing was stored",
        ))
    }

    /// A credential belongs to the person who signed in first, until an admin says otherwise (O-13).
    async fn check_pin(
        &self,
        credential: &Credential,
        known: Option<&Identity>,
        person: &Person,
        rebind: bool,
    ) -> Result<(), TokenError> {
        if known.is_none_or(|known| *known == person.identity) {
            return Ok(());
        }
        let who = person
            .address
            .as_deref()
            .or(person.name.as_deref())
            .unwrap_or("another person");
        if !rebind {
            return Err(refused(format!(
                "{who} signed in, but credential `{}` belongs to somebody else. Nothing was changed. Sign in as that person, or let another person take over on the credential's page",
                credential.id
            )));
        }
        let accounts = Accounts::new(std::sync::Arc::clone(&self.ports.store)).all().await?;
        let own = accounts
            .iter()
            .find(|row| row.account.credential == credential.id && row.account.mailbox == Mailbox::Me);
        match own {
            None => Ok(()),
            Some(row) => Err(refused(format!(
                "account `{}` imports the mailbox of the person who signed in first; with another person it would read another mailbox under the same name. Nothing was changed. Make a new credential for {who}",
                row.account.id
            ))),
        }
    }

    /// Proves with the new token that it opens what it should (O-12). Only a contradiction refuses: the code is used up,
    /// and trouble of the moment shows again in the first run.
    async fn prove(
        &self,
        credential: &Credential,
        granted: &Granted,
        compared: &Compared,
        person: &Person,
        warnings: &mut Vec<String>,
    ) -> Result<(), TokenError> {
        let profile = compared
            .granted
            .iter()
            .any(|scope| scope.eq_ignore_ascii_case("User.Read"));
        let path = if profile {
            "me?$select=id,mail,userPrincipalName"
        } else {
            "me/mailFolders/inbox?$select=id"
        };
        let url =
            Url::parse(&format!("{}/{path}", credential.graph_url)).map_err(|error| refused(error.to_string()))?;
        let asked = document::<WithId>(&*self.ports.http, &*self.ports.clock, &url, Some(&granted.token)).await;
        match asked {
            Ok(answer) if profile && !answer.id.eq_ignore_ascii_case(&person.identity.object) => Err(refused(
                "Microsoft Graph knows the person who signed in by another id than the login host. Nothing was stored",
            )),
            Ok(_) => Ok(()),
            Err(problem) => {
                let what = if profile { "the profile" } else { "the inbox" };
                warnings.push(format!("{what} could not be read to prove access: {problem}"));
                Ok(())
            }
        }
    }
}

fn refused(what: impl Into<String>) -> TokenError {
    TokenError::plain(TokenErrorKind::Refused, what)
}

/// A refused code says nothing of the credential: codes are short-lived and good once.
fn code_refused(credential: &Credential, error: TokenError) -> TokenError {
    if !error.grant {
        return error;
    }
    TokenError {
        kind: TokenErrorKind::Refused,
        what: format!(
            "Microsoft does not take the code of this sign-in any more: {}. Click the key of `{}` again",
            error.what, credential.id
        ),
        ..error
    }
}

/// A scope without its resource, as it is compared: `https://graph.microsoft.com/Mail.Read` is `Mail.Read`.
fn short(scope: &str) -> &str {
    scope.rsplit('/').next().unwrap_or(scope)
}

fn compare(asked: &str, answered: Option<&[String]>) -> Compared {
    let asked: Vec<&str> = asked.split(' ').filter(|scope| !scope.is_empty()).collect();
    let granted: Vec<String> = match answered {
        Some(all) => all.iter().map(|scope| short(scope).to_owned()).collect(),
        // RFC 6749 section 5.1: no word means as asked.
        None => asked.iter().map(|scope| short(scope).to_owned()).collect(),
    };
    let has = |wanted: &str| granted.iter().any(|scope| scope.eq_ignore_ascii_case(short(wanted)));
    let permission = |scope: &str| !OIDC.contains(&scope.to_ascii_lowercase().as_str()) && short(scope) != ".default";
    let missing = asked
        .iter()
        .filter(|scope| permission(scope) && !has(scope))
        .map(|scope| short(scope).to_owned())
        .collect();
    let default = asked.iter().any(|scope| short(scope) == ".default");
    let extra = granted
        .iter()
        .filter(|scope| {
            permission(scope) && !default && !asked.iter().any(|wanted| scope.eq_ignore_ascii_case(short(wanted)))
        })
        .cloned()
        .collect();
    Compared {
        granted,
        missing,
        extra,
    }
}

fn check_mail_scopes(compared: &Compared) -> Result<(), TokenError> {
    let is_mail = |scope: &&String| scope.to_ascii_lowercase().starts_with("mail.");
    if let Some(missing) = compared.missing.iter().find(is_mail) {
        return Err(refused(format!(
            "`{missing}` was asked for and not granted, so mail could not be imported. Nothing was stored. Azure portal, App registrations, your app, API permissions: add it as a delegated permission, then click the key again"
        )));
    }
    if !compared.granted.iter().any(|scope| is_mail(&scope)) {
        return Err(refused(
            "no permission on mail was granted. Nothing was stored. Azure portal, App registrations, your app, API permissions: add Mail.ReadWrite as a delegated permission, then click the key again",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_compared_by_their_short_names_and_without_case() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let compared = compare(
            "openid profile https://graph.microsoft.com/Mail.Read offline_access User.Read",
            Some(&words(
                "openid profile email mail.read https://graph.microsoft.com/Calendars.Read",
            )),
        );
        assert_eq!(compared.missing, ["User.Read"]);
        assert_eq!(compared.extra, ["Calendars.Read"]);
        assert!(check_mail_scopes(&compared).is_ok());
        assert!(check_mail_scopes(&compare("Mail.Read", Some(&words("openid")))).is_err());
        assert!(
            check_mail_scopes(&compare(
                "https://graph.microsoft.com/.default",
                Some(&words("User.Read"))
            ))
            .is_err()
        );
        assert!(check_mail_scopes(&compare("openid Mail.ReadWrite", None)).is_ok());
    }
}
