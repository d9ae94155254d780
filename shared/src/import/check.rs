//! `account check`: what works and what does not, one step after another, each with its cause (P26).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    account::{Account, AfterImport, Mailbox},
    credential::SignIn,
    graph::{Counts, Governor},
    ports::TokenNeed,
    records::{RecordError, accounts::Accounts, credentials::Credentials},
};

use super::{open, run::Importer};

/// One step of a check.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was tried.
    pub what: String,
    /// Whether it worked.
    pub ok: bool,
    /// What came back, or why not and where to mend it.
    pub detail: String,
}

impl Importer {
    /// Tries, without importing: the credential, a token, the mailbox, each folder, one page of it. Stops at the first
    /// step that the later ones need.
    pub async fn check(&self, account: &str, patience: Duration) -> Result<Vec<Step>, RecordError> {
        let mut steps = Vec::new();
        let row = Accounts::new(Arc::clone(&self.ports.store)).get(account).await?;
        let credentials = Credentials::new(Arc::clone(&self.ports.store));
        let credential = match credentials.get(row.account.credential.as_str()).await {
            Ok(credential) => credential,
            Err(error) => {
                steps.push(step("credential", Err(error.to_string())));
                return Ok(steps);
            }
        };
        steps.push(step(
            "credential",
            Ok(format!(
                "`{}`, {}",
                credential.credential.id, credential.credential.grant_type
            )),
        ));
        match self
            .tokens
            .access_token(credential.credential.id.as_str(), TokenNeed::Usable)
            .await
        {
            Ok(info) => {
                let rights = if info.roles.is_empty() {
                    info.scopes.join(" ")
                } else {
                    info.roles.join(" ")
                };
                let rights = if rights.is_empty() {
                    "no permissions in the token (Exchange RBAC for Applications may still grant some)".into()
                } else {
                    rights
                };
                steps.push(step(
                    "access token",
                    Ok(format!("{rights}; until {:.0}", info.expires_at)),
                ));
                if let Some(sign_in) = &credential.sign_in {
                    let delegated = delegated(&row.account, sign_in, &info.scopes);
                    let stop = delegated.is_err();
                    steps.push(step("sign-in", delegated));
                    if stop {
                        return Ok(steps);
                    }
                }
            }
            Err(error) => {
                steps.push(step("access token", Err(error.to_string())));
                return Ok(steps);
            }
        }
        let governor = Arc::new(Governor::new(Arc::clone(&self.ports.clock), BTreeMap::new()));
        let client = self.client(&row, &credential, governor, Arc::new(Counts::default()), patience);
        match client.server_time().await {
            Ok(_) => steps.push(step("mailbox", Ok(format!("{} answers", row.account.mailbox.as_str())))),
            Err(error) => {
                steps.push(step("mailbox", Err(with_id(&error))));
                return Ok(steps);
            }
        }
        for name in &row.account.folders {
            let what = format!("folder {name}");
            match open::named(&client, name).await {
                Ok(folder) => match client.first_page(&folder.id, 1).await {
                    Ok(_) => steps.push(step(
                        &what,
                        Ok(format!("`{}` can be read, {} subfolders", folder.name, folder.children)),
                    )),
                    Err(error) => steps.push(step(&what, Err(with_id(&error)))),
                },
                Err(error) => steps.push(step(&what, Err(error.to_string()))),
            }
        }
        if let AfterImport::Move(folder) = &row.account.after_import {
            let found = open::named(&client, folder).await;
            steps.push(step(
                &format!("folder {folder} to move to"),
                found
                    .map(|found| format!("`{}`", found.name))
                    .map_err(|error| error.to_string()),
            ));
        }
        Ok(steps)
    }
}

/// Whether what the person granted opens this mailbox: their own, or one that is shared with them ("Microsoft Graph
/// permissions reference": `Mail.Read` is the person's own mail, `Mail.Read.Shared` also what others share with them).
fn delegated(account: &Account, sign_in: &SignIn, scopes: &[String]) -> Result<String, String> {
    let writes = account.after_import != AfterImport::Nothing;
    let own = match &account.mailbox {
        Mailbox::Me => true,
        Mailbox::Address(address) => {
            sign_in
                .address
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(address))
                || sign_in.identity.object.eq_ignore_ascii_case(address)
        }
    };
    let needed = match (own, writes) {
        (true, false) => "Mail.Read",
        (true, true) => "Mail.ReadWrite",
        (false, false) => "Mail.Read.Shared",
        (false, true) => "Mail.ReadWrite.Shared",
    };
    let has = |scope: &str| scopes.iter().any(|one| one.eq_ignore_ascii_case(scope));
    // A wider permission serves as well.
    let covering = [
        "Mail.Read",
        "Mail.ReadWrite",
        "Mail.Read.Shared",
        "Mail.ReadWrite.Shared",
    ];
    let serves = covering
        .iter()
        .any(|scope| has(scope) && (!writes || scope.contains("ReadWrite")) && (own || scope.ends_with(".Shared")));
    let who = sign_in.who();
    if serves {
        return Ok(format!("{who} signed in at {:.0}", sign_in.at));
    }
    let whose = if own {
        "their own mailbox"
    } else {
        "a mailbox that is not theirs"
    };
    Err(format!(
        "{who} signed in, and this account is on {whose}, which needs `{needed}`: add it to the scope of credential `{}`, and in the Azure portal, App registrations, your app, API permissions, as a delegated permission; then click the key",
        account.credential
    ))
}

fn with_id(error: &crate::graph::GraphError) -> String {
    match &error.request_id {
        Some(id) => format!("{error} [request-id {id}]"),
        None => error.to_string(),
    }
}

fn step(what: &str, result: Result<String, String>) -> Step {
    let ok = result.is_ok();
    Step {
        what: what.to_owned(),
        ok,
        detail: result.unwrap_or_else(|problem| problem),
    }
}
