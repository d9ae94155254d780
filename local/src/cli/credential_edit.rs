//! `postroom credential add` and `edit`: what was typed becomes a checked credential with its secret in the vault.

use serde_json::Value;
use shared::{
    account::Mailbox,
    config::Cloud,
    credential::{Checked, Credential, CredentialForm, GrantType, Settings},
    ports::SecretName,
    records::credentials::CredentialRow,
    secret::Secret,
};

use super::{
    Desk,
    arguments::{CredentialFields, Grant, SecretArguments},
    credential::{credential_json, users_of},
    failure::Failure,
    output::Answer,
    secret_input,
};

impl From<Grant> for GrantType {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::ClientCredentials => Self::ClientCredentials,
            Grant::AuthorizationCode => Self::AuthorizationCode,
        }
    }
}

pub(super) async fn add(
    desk: &Desk,
    id: String,
    description: String,
    grant: Grant,
    fields: CredentialFields,
    secret: &SecretArguments,
) -> Result<Answer, Failure> {
    let form = CredentialForm {
        id,
        description,
        grant_type: Some(grant.into()),
        authorization_url: fields.authorization_url,
        token_url: fields.token_url.unwrap_or_default(),
        client_id: fields.client_id.unwrap_or_default(),
        scope: fields.scope.unwrap_or_default(),
        graph_url: fields.graph_url,
    };
    let Checked { settings, warnings } = form.check(&desk.config.trusted)?;
    let id = settings.id.to_string();
    let taken = desk
        .credentials
        .all()
        .await?
        .iter()
        .any(|row| row.credential.id == settings.id);
    if taken {
        return Err(shared::records::RecordError::Taken { what: "credential", id }.into());
    }
    let secret = secret_input::required(secret)?;
    let warnings = told(desk, warnings, Some(&secret));
    let credential = store(desk, settings, &secret).await?;
    desk.note(&format!("added credential `{id}`")).await?;
    let next = match credential.grant_type {
        GrantType::ClientCredentials => {
            format!("Next: `postroom credential authorize {id}` asks Microsoft for an access token.")
        }
        GrantType::AuthorizationCode => {
            "It is stored. Signing in (authorization code) comes with the next version; client credentials work now."
                .into()
        }
    };
    let row = desk.credential(&id).await?;
    let value = with_warnings(credential_json(&row, &[]), &warnings);
    Ok(Answer::new(
        value,
        format!("Credential `{id}` is made; its secret lies in the vault.\n{next}"),
    ))
}

/// The vault first, then the record: a crash in between leaves a secret that nothing names, never half a credential.
pub(crate) async fn store(desk: &Desk, settings: Settings, secret: &Secret) -> Result<Credential, Failure> {
    let ports = &desk.opened.ports;
    let credential = Credential {
        id: settings.id,
        description: settings.description,
        grant_type: settings.grant_type,
        authorization_url: settings.authorization_url,
        token_url: settings.token_url,
        client_id: settings.client_id,
        scope: settings.scope,
        graph_url: settings.graph_url,
        client_secret: new_name(desk, "client"),
        access_token: new_name(desk, "access"),
        created_at: desk.now(),
    };
    ports.vault.put(&credential.client_secret, secret, None).await?;
    match desk.credentials.add(&credential).await {
        Ok(()) => Ok(credential),
        Err(error) => {
            take_back(desk, &credential.client_secret).await;
            Err(error.into())
        }
    }
}

fn new_name(desk: &Desk, kind: &str) -> SecretName {
    SecretName(format!("{kind}/{}", desk.opened.ports.rng.hex(16)))
}

/// A secret that no record names harms nobody: failing to remove it must not hide why there is no record.
async fn take_back(desk: &Desk, name: &SecretName) {
    if let Err(error) = desk.opened.ports.vault.remove(name).await {
        tracing::warn!(%error, "a secret that nothing names stays in the vault");
    }
}

pub(super) async fn edit(
    desk: &Desk,
    id: &str,
    description: Option<String>,
    grant: Option<Grant>,
    fields: CredentialFields,
    secret: &SecretArguments,
) -> Result<Answer, Failure> {
    let row = desk.credential(id).await?;
    let old = &row.credential;
    let Checked { settings, warnings } = form(old, description, grant, fields).check(&desk.config.trusted)?;
    let secret = secret_input::given(secret)?;
    refuse_for_accounts(desk, &row, &settings).await?;
    let mut warnings = told(desk, warnings, secret.as_ref());
    if settings.client_id != old.client_id && secret.is_none() {
        let what = "the client id changed and the client secret did not; another app has another secret (--client-secret-stdin)";
        desk.output.complain("warning", what);
        warnings.push(what.into());
    }
    let mut credential = Credential {
        description: settings.description,
        grant_type: settings.grant_type,
        authorization_url: settings.authorization_url,
        token_url: settings.token_url,
        client_id: settings.client_id,
        scope: settings.scope,
        graph_url: settings.graph_url,
        ..old.clone()
    };
    if let Some(secret) = &secret {
        // Under a new name, so that record and secret change in one step and tokens got with the old one no longer fit.
        credential.client_secret = new_name(desk, "client");
        desk.opened
            .ports
            .vault
            .put(&credential.client_secret, secret, None)
            .await?;
    }
    if let Err(error) = desk.credentials.edit(&credential, row.revision).await {
        if secret.is_some() {
            take_back(desk, &credential.client_secret).await;
        }
        return Err(error.into());
    }
    if secret.is_some() {
        take_back(desk, &old.client_secret).await;
    }
    let changed = if secret.is_some() { " and its client secret" } else { "" };
    desk.note(&format!("changed credential `{id}`{changed}")).await?;
    let row = desk.credential(id).await?;
    let value = with_warnings(credential_json(&row, &users_of(desk, id).await?), &warnings);
    let text = format!("Credential `{id}`{changed} is changed. `postroom credential authorize {id}` tries it.");
    Ok(Answer::new(value, text))
}

/// The form as it was, with what was typed put over it.
fn form(
    old: &Credential,
    description: Option<String>,
    grant: Option<Grant>,
    fields: CredentialFields,
) -> CredentialForm {
    let grant_type = grant.map_or(old.grant_type, Into::into);
    let kept_authorization = old.authorization_url.as_ref().map(ToString::to_string);
    let authorization_url = match (fields.authorization_url, grant_type) {
        (Some(typed), _) => Some(typed),
        // Nobody signs in any more: the old field goes with the old grant type.
        (None, GrantType::ClientCredentials) => None,
        (None, GrantType::AuthorizationCode) => kept_authorization,
    };
    // A Graph URL that followed from the login host goes on following it.
    let derived = Cloud::of_login(&old.token_url)
        .is_some_and(|cloud| old.graph_url.as_str() == format!("https://{}/v1.0", cloud.graph_host));
    let graph_url = fields
        .graph_url
        .or_else(|| (!derived).then(|| old.graph_url.to_string()));
    CredentialForm {
        id: old.id.to_string(),
        description: description.unwrap_or_else(|| old.description.clone()),
        grant_type: Some(grant_type),
        authorization_url,
        token_url: fields.token_url.unwrap_or_else(|| old.token_url.to_string()),
        client_id: fields.client_id.unwrap_or_else(|| old.client_id.clone()),
        scope: fields.scope.unwrap_or_else(|| old.scope.clone()),
        graph_url,
    }
}

async fn refuse_for_accounts(desk: &Desk, row: &CredentialRow, settings: &Settings) -> Result<(), Failure> {
    let old = &row.credential;
    for account in desk
        .accounts
        .all()
        .await?
        .iter()
        .filter(|row| row.account.credential == old.id)
    {
        let name = &account.account.id;
        if account.account.mailbox == Mailbox::Me && settings.grant_type == GrantType::ClientCredentials {
            return Err(Failure::refused(format!(
                "account `{name}` imports the mailbox of the person who signed in, and nobody signs in with client credentials; apply another credential there first"
            )));
        }
        if settings.graph_url.host_str() != old.graph_url.host_str() {
            return Err(Failure::refused(format!(
                "account `{name}` was imported from {}; a credential for another cloud must be a new one",
                old.graph_url.host_str().unwrap_or_default()
            )));
        }
    }
    Ok(())
}

fn told(desk: &Desk, mut warnings: Vec<String>, secret: Option<&Secret>) -> Vec<String> {
    for warning in &warnings {
        desk.output.complain("warning", warning);
    }
    warnings.extend(secret.and_then(|secret| secret_input::remark(secret, &desk.output)));
    warnings
}

fn with_warnings(mut value: Value, warnings: &[String]) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("warnings".into(), warnings.into());
    }
    value
}
