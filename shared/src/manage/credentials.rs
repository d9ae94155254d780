//! Credentials made, changed and removed. The vault first, then the record: a crash in between leaves a secret that
//! nothing names, never half a credential.

use crate::{
    account::Mailbox,
    credential::{Checked, Credential, CredentialForm, GrantType, Settings, client_secret_warning},
    field::FieldError,
    ports::SecretName,
    records::{RecordError, credentials::CredentialRow},
    secret::Secret,
};

use super::{Manage, ManageError};

impl Manage {
    /// Checks a form, without storing anything; what the admin should know.
    pub async fn check_new_credential(&self, form: &CredentialForm) -> Result<Checked, ManageError> {
        let checked = form.check(&self.trusted)?;
        let all = self.credentials.all().await?;
        if all.iter().any(|row| row.credential.id == checked.settings.id) {
            return Err(RecordError::Taken {
                what: "credential",
                id: checked.settings.id.to_string(),
            }
            .into());
        }
        Ok(checked)
    }

    /// Makes a credential; what the admin should know.
    pub async fn add_credential(
        &self,
        form: &CredentialForm,
        secret: &Secret,
    ) -> Result<(Credential, Vec<String>), ManageError> {
        let Checked { settings, mut warnings } = self.check_new_credential(form).await?;
        check_secret(secret)?;
        warnings.extend(client_secret_warning(secret).map(str::to_owned));
        let (client, access) = (self.new_name("client"), self.new_name("access"));
        let credential = settings.into_credential(client, access, self.ports.clock.now());
        self.ports.vault.put(&credential.client_secret, secret, None).await?;
        if let Err(error) = self.credentials.add(&credential).await {
            self.take_back(&credential.client_secret).await;
            return Err(error.into());
        }
        self.note(&format!("added credential `{}`", credential.id)).await?;
        Ok((credential, warnings))
    }

    /// Changes the credential that was looked at; a secret only if one is given. What the admin should know.
    pub async fn edit_credential(
        &self,
        row: &CredentialRow,
        form: &CredentialForm,
        secret: Option<&Secret>,
    ) -> Result<Vec<String>, ManageError> {
        let old = &row.credential;
        let Checked { settings, mut warnings } = form.check(&self.trusted)?;
        self.refuse_for_accounts(row, &settings).await?;
        if let Some(secret) = secret {
            check_secret(secret)?;
            warnings.extend(client_secret_warning(secret).map(str::to_owned));
        } else if settings.client_id != old.client_id {
            warnings
                .push("the client id changed and the client secret did not; another app has another secret".to_owned());
        }
        let mut credential = Credential {
            id: old.id.clone(),
            ..settings.into_credential(old.client_secret.clone(), old.access_token.clone(), old.created_at)
        };
        if let Some(secret) = secret {
            // Under a new name, so that record and secret change in one step and tokens got with the old one no longer fit.
            credential.client_secret = self.new_name("client");
            self.ports.vault.put(&credential.client_secret, secret, None).await?;
        }
        if let Err(error) = self.credentials.edit(&credential, row.revision).await {
            if secret.is_some() {
                self.take_back(&credential.client_secret).await;
            }
            return Err(error.into());
        }
        if secret.is_some() {
            self.take_back(&old.client_secret).await;
        }
        if let Some(sign_in) = &row.sign_in
            && credential.grant_type == GrantType::AuthorizationCode
            && sign_in.asked != credential.asked_scope()
        {
            warnings.push("the scope differs from what was asked for when somebody signed in; click the key to ask for the new one".to_owned());
        }
        let changed = if secret.is_some() { " and its client secret" } else { "" };
        self.note(&format!("changed credential `{}`{changed}", old.id)).await?;
        Ok(warnings)
    }

    /// Refuses to remove a credential that is applied somewhere.
    pub async fn check_remove_credential(&self, row: &CredentialRow) -> Result<(), ManageError> {
        let id = &row.credential.id;
        let users: Vec<String> = self
            .accounts
            .all()
            .await?
            .iter()
            .filter(|account| account.account.credential == *id)
            .map(|account| account.account.id.to_string())
            .collect();
        if users.is_empty() {
            return Ok(());
        }
        Err(ManageError::Refused(format!(
            "credential `{id}` is applied on {} account{} ({}); apply another credential there first, or remove the account",
            users.len(),
            if users.len() == 1 { "" } else { "s" },
            users.join(", ")
        )))
    }

    /// Removes a credential and its secrets, the grant included: only an admin ever deletes one.
    pub async fn remove_credential(&self, row: &CredentialRow) -> Result<(), ManageError> {
        self.check_remove_credential(row).await?;
        let credential = &row.credential;
        // The record first: a secret without a record harms nobody, a record without its secret would be half a credential.
        self.credentials.remove(credential.id.as_str(), row.revision).await?;
        for name in [&credential.client_secret, &credential.access_token, &credential.grant()] {
            self.ports.vault.remove(name).await?;
        }
        self.note(&format!("removed credential `{}`", credential.id)).await?;
        Ok(())
    }

    async fn refuse_for_accounts(&self, row: &CredentialRow, settings: &Settings) -> Result<(), ManageError> {
        let old = &row.credential;
        let accounts = self.accounts.all().await?;
        for account in accounts.iter().filter(|account| account.account.credential == old.id) {
            let name = &account.account.id;
            if account.account.mailbox == Mailbox::Me && settings.grant_type == GrantType::ClientCredentials {
                return Err(ManageError::Refused(format!(
                    "account `{name}` imports the mailbox of the person who signed in, and nobody signs in with client credentials; apply another credential there first"
                )));
            }
            if settings.graph_url.host_str() != old.graph_url.host_str() {
                return Err(ManageError::Refused(format!(
                    "account `{name}` was imported from {}; a credential for another cloud must be a new one",
                    old.graph_url.host_str().unwrap_or_default()
                )));
            }
        }
        Ok(())
    }

    fn new_name(&self, kind: &str) -> SecretName {
        SecretName(format!("{kind}/{}", self.ports.rng.hex(16)))
    }

    /// A secret that no record names harms nobody: failing to remove it must not hide why there is no record.
    async fn take_back(&self, name: &SecretName) {
        if let Err(error) = self.ports.vault.remove(name).await {
            tracing::warn!(%error, "a secret that nothing names stays in the vault");
        }
    }
}

fn check_secret(secret: &Secret) -> Result<(), FieldError> {
    const FIELD: &str = "client secret";
    let text = secret.expose();
    if text.is_empty() {
        return Err(FieldError::new(
            FIELD,
            "it is missing; copy its Value from Certificates & secrets of the app registration",
        ));
    }
    if text.len() > 16 * 1024 || text.chars().any(char::is_control) {
        return Err(FieldError::new(
            FIELD,
            "it is too long, or holds a character that no secret has; copy its Value again",
        ));
    }
    Ok(())
}
