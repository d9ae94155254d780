//! Credentials made, changed and removed. The vault first, then the record: a crash in between leaves a secret that
//! nothing names, never half a credential.

use jiff::Timestamp;

use crate::{
    account::Mailbox,
    credential::{
        Checked, ClientAuthentication, ClientInput, Credential, CredentialForm, GrantType, NextSecret, Settings,
        client_secret_warning,
    },
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
        self.add_credential_with(form, &ClientInput::secret(secret.clone()))
            .await
    }

    /// Makes a credential whose app proves itself in any way; what the admin should know.
    pub async fn add_credential_with(
        &self,
        form: &CredentialForm,
        input: &ClientInput,
    ) -> Result<(Credential, Vec<String>), ManageError> {
        let Checked { settings, mut warnings } = self.check_new_credential(form).await?;
        let (authentication, secret, secret_expires_at) = input.split()?;
        let (client, access) = (self.new_name("client"), self.new_name("access"));
        let now = self.ports.clock.now();
        warnings.extend(remarks(input, now));
        let credential = Credential {
            authentication,
            secret_expires_at,
            ..settings.into_credential(client, access, now)
        };
        if let Some(secret) = &secret {
            self.ports.vault.put(&credential.client_secret, secret, None).await?;
        }
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
        let input = secret.map(|secret| ClientInput::secret(secret.clone()));
        self.edit_credential_with(row, form, input.as_ref()).await
    }

    /// Changes the credential that was looked at; how the app proves itself only if that is given. What the admin should
    /// know.
    pub async fn edit_credential_with(
        &self,
        row: &CredentialRow,
        form: &CredentialForm,
        input: Option<&ClientInput>,
    ) -> Result<Vec<String>, ManageError> {
        let old = &row.credential;
        let Checked { settings, mut warnings } = form.check(&self.trusted)?;
        self.refuse_for_accounts(row, &settings).await?;
        if let Some(input) = input {
            warnings.extend(remarks(input, self.ports.clock.now()));
        } else if settings.client_id != old.client_id && old.authentication.has_secret() {
            warnings
                .push("the client id changed and the client secret did not; another app has another secret".to_owned());
        }
        let mut credential = Credential {
            id: old.id.clone(),
            authentication: old.authentication.clone(),
            secret_expires_at: old.secret_expires_at,
            next_secret: old.next_secret.clone(),
            ..settings.into_credential(old.client_secret.clone(), old.access_token.clone(), old.created_at)
        };
        let mut put = None;
        if let Some(input) = input {
            let (authentication, secret, expires_at) = input.split()?;
            credential.authentication = authentication;
            credential.secret_expires_at = expires_at;
            credential.next_secret = None;
            // Under a new name, so that record and secret change in one step and tokens got with the old one no longer fit.
            credential.client_secret = self.new_name("client");
            if let Some(secret) = secret {
                self.ports.vault.put(&credential.client_secret, &secret, None).await?;
                put = Some(credential.client_secret.clone());
            }
        }
        self.replace(row, &credential, put.as_ref()).await?;
        if let Some(sign_in) = &row.sign_in
            && credential.grant_type == GrantType::AuthorizationCode
            && sign_in.asked != credential.asked_scope()
        {
            warnings.push("the scope differs from what was asked for when somebody signed in; click the key to ask for the new one".to_owned());
        }
        let changed = match input {
            Some(ClientInput::Secret { .. }) => " and its client secret",
            Some(_) => " and how its app proves itself",
            None => "",
        };
        self.note(&format!("changed credential `{}`{changed}", old.id)).await?;
        Ok(warnings)
    }

    /// Changes the settings first, then rolls the client secret.
    pub async fn edit_and_roll(
        &self,
        row: &CredentialRow,
        form: &CredentialForm,
        secret: &Secret,
        expires_at: Option<Timestamp>,
    ) -> Result<Vec<String>, ManageError> {
        let mut warnings = self.edit_credential_with(row, form, None).await?;
        let row = self.credentials.get(row.credential.id.as_str()).await?;
        warnings.extend(self.roll_client_secret(&row, secret, expires_at).await?);
        Ok(warnings)
    }

    /// Puts a client secret beside the one there is. It is tried with the next request for a token; until it has worked the
    /// old one stays, and goes on working. What the admin should know.
    pub async fn roll_client_secret(
        &self,
        row: &CredentialRow,
        secret: &Secret,
        expires_at: Option<Timestamp>,
    ) -> Result<Vec<String>, ManageError> {
        let old = &row.credential;
        if old.authentication != ClientAuthentication::Secret {
            return Err(ManageError::Refused(format!(
                "credential `{}` proves itself by {}, not by a client secret; `credential edit` changes that",
                old.id,
                old.authentication.words()
            )));
        }
        let input = ClientInput::Secret {
            secret: secret.clone(),
            expires_at,
        };
        input.split()?;
        let name = self.new_name("client");
        self.ports.vault.put(&name, secret, None).await?;
        let credential = Credential {
            next_secret: Some(NextSecret {
                name: name.clone(),
                expires_at,
            }),
            ..old.clone()
        };
        self.replace(row, &credential, Some(&name)).await?;
        self.note(&format!("gave credential `{}` its next client secret", old.id))
            .await?;
        Ok(remarks(&input, self.ports.clock.now()))
    }

    /// Writes a credential over the one that was looked at. A secret that was put for it is taken back if that fails; the
    /// secrets that nothing names any more go afterwards.
    async fn replace(
        &self,
        row: &CredentialRow,
        credential: &Credential,
        put: Option<&SecretName>,
    ) -> Result<(), ManageError> {
        let mut credential = credential.clone();
        credential.retired_secrets = Vec::new();
        if let Err(error) = self.credentials.edit(&credential, row.revision).await {
            if let Some(put) = put {
                self.take_back(put).await;
            }
            return Err(error.into());
        }
        let kept = client_secrets(&credential);
        for name in client_secrets(&row.credential) {
            if !kept.contains(&name) {
                self.take_back(name).await;
            }
        }
        Ok(())
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
        let mut names = client_secrets(credential);
        let grant = credential.grant();
        names.extend([&credential.access_token, &grant]);
        for name in names {
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

/// Every name under which something of the app's own may lie in the vault.
fn client_secrets(credential: &Credential) -> Vec<&SecretName> {
    let next = credential.next_secret.iter().map(|next| &next.name);
    std::iter::once(&credential.client_secret)
        .chain(next)
        .chain(&credential.retired_secrets)
        .collect()
}

/// What an admin should know of what they gave.
fn remarks(input: &ClientInput, now: Timestamp) -> Vec<String> {
    let mut remarks = Vec::new();
    let (what, expires_at) = match input {
        ClientInput::Secret { secret, expires_at } => {
            remarks.extend(client_secret_warning(secret).map(str::to_owned));
            ("client secret", *expires_at)
        }
        ClientInput::Certificate(certificate) => ("certificate", Some(certificate.facts.expires_at)),
        ClientInput::KmsKey(certificate) => ("certificate", Some(certificate.facts.expires_at)),
        ClientInput::FederatedFile(_) | ClientInput::FederatedAws => return remarks,
    };
    if expires_at.is_some_and(|at| at <= now) {
        remarks.push(format!("the {what} has expired already"));
    }
    remarks
}
