//! `account check`: what works and what does not, one step after another, each with its cause (P26).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
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
            Ok(credential) => credential.credential,
            Err(error) => {
                steps.push(step("credential", Err(error.to_string())));
                return Ok(steps);
            }
        };
        steps.push(step(
            "credential",
            Ok(format!("`{}`, {}", credential.id, credential.grant_type)),
        ));
        match self
            .tokens
            .access_token(credential.id.as_str(), TokenNeed::Usable)
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
        if let crate::account::AfterImport::Move(folder) = &row.account.after_import {
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
