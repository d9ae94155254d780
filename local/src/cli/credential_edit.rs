//! `postroom credential add` and `edit`: what was typed becomes a checked credential with its secret in the vault.

use serde_json::Value;
use shared::{
    config::Cloud,
    credential::{ClientInput, Credential, CredentialForm, GrantType},
    manage::shown,
};

use super::{
    Desk,
    arguments::{CredentialFields, Grant, SecretArguments},
    credential::users_of,
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
    // Before anybody is asked for a secret.
    let checked = desk.manage().check_new_credential(&form).await?;
    let id = checked.settings.id.to_string();
    let input = secret_input::required(secret)?;
    let (credential, warnings) = desk.manage().add_credential_with(&form, &input).await?;
    complain(desk, &warnings);
    let next = match credential.grant_type {
        GrantType::ClientCredentials => {
            format!("Next: `postroom credential authorize {id}` asks Microsoft for an access token.")
        }
        GrantType::AuthorizationCode => format!(
            "Register the redirect URI (Azure portal, App registrations, your app, Authentication, Web): {}\nNext: `postroom credential authorize {id}`, or the key in the console, lets somebody sign in.",
            crate::serve::DEFAULT_REDIRECT_URI
        ),
    };
    let row = desk.credential(&id).await?;
    let kept = if credential.authentication.has_secret() {
        "its secret lies in the vault"
    } else {
        "it needs no secret"
    };
    let value = with_warnings(shown::credential(&row, &[]), &warnings);
    Ok(Answer::new(
        value,
        format!("Credential `{id}` is made; {kept}.\n{next}"),
    ))
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
    let input = secret_input::given(secret)?;
    let form = form(&row.credential, description, grant, fields);
    let warnings = desk.manage().edit_credential_with(&row, &form, input.as_ref()).await?;
    complain(desk, &warnings);
    let changed = match input {
        Some(ClientInput::Secret { .. }) => " and its client secret",
        Some(_) => " and how its app proves itself",
        None => "",
    };
    let row = desk.credential(id).await?;
    let value = with_warnings(shown::credential(&row, &users_of(desk, id).await?), &warnings);
    let text = format!("Credential `{id}`{changed} is changed. `postroom credential authorize {id}` tries it.");
    Ok(Answer::new(value, text))
}

/// A new client secret beside the old one.
pub(super) async fn roll(desk: &Desk, id: &str, secret: &SecretArguments) -> Result<Answer, Failure> {
    let row = desk.credential(id).await?;
    let ClientInput::Secret { secret, expires_at } = secret_input::required(secret)? else {
        return Err(Failure::usage(
            "only client secrets roll over; `credential edit` changes to a certificate or a federated token",
        ));
    };
    let warnings = desk.manage().roll_client_secret(&row, &secret, expires_at).await?;
    complain(desk, &warnings);
    let row = desk.credential(id).await?;
    let value = with_warnings(shown::credential(&row, &users_of(desk, id).await?), &warnings);
    let text = format!(
        "Credential `{id}` has its next client secret. It is tried with the next request for a token; until it has worked the old one stays.\n`postroom credential authorize {id}` tries it now."
    );
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

fn complain(desk: &Desk, warnings: &[String]) {
    for warning in warnings {
        desk.output.complain("warning", warning);
    }
}

fn with_warnings(mut value: Value, warnings: &[String]) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("warnings".into(), warnings.into());
    }
    value
}
