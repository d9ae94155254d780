//! `postroom credential`: list, show, authorize, apply, remove.

use serde_json::{Value, json};
use shared::{
    credential::{ClientAuthentication, GrantType},
    manage::shown,
    manage::{needs_sign_in, same_cloud},
    ports::{TokenInfo, TokenNeed},
    records::credentials::CredentialRow,
};

use super::{
    Desk,
    arguments::{AuthorizeArguments, CredentialCommand},
    confirm::confirm,
    console, credential_edit, credential_reach,
    failure::Failure,
    output::Answer,
    table::Table,
};

pub(super) async fn run(desk: &Desk, command: CredentialCommand) -> Result<Answer, Failure> {
    match command {
        CredentialCommand::Add {
            id,
            description,
            grant,
            fields,
            secret,
        } => credential_edit::add(desk, id, description, grant, fields, &secret).await,
        CredentialCommand::Edit {
            id,
            description,
            grant,
            fields,
            secret,
        } => credential_edit::edit(desk, &id, description, grant, fields, &secret).await,
        CredentialCommand::Roll { id, secret } => credential_edit::roll(desk, &id, &secret).await,
        CredentialCommand::List => list(desk).await,
        CredentialCommand::Show { id } => show(desk, &id).await,
        CredentialCommand::Authorize(typed) => authorize(desk, &typed).await,
        CredentialCommand::Reach {
            id,
            must_read,
            must_not_read,
            forget,
        } => credential_reach::run(desk, &id, &must_read, &must_not_read, forget).await,
        CredentialCommand::Apply { id, accounts } => apply(desk, &id, &accounts).await,
        CredentialCommand::Remove { id, yes } => remove(desk, &id, yes).await,
    }
}

/// The accounts a credential is applied on.
pub(super) async fn users_of(desk: &Desk, id: &str) -> Result<Vec<String>, Failure> {
    let accounts = desk.accounts.all().await?;
    Ok(accounts
        .iter()
        .filter(|row| row.account.credential.as_str() == id)
        .map(|row| row.account.id.to_string())
        .collect())
}

async fn list(desk: &Desk) -> Result<Answer, Failure> {
    let mut all = Vec::new();
    let mut table = Table::new(&["id", "grant type", "token", "accounts", "description"], 4);
    for row in desk.credentials.all().await? {
        let users = users_of(desk, row.credential.id.as_str()).await?;
        table.row(&[
            row.credential.id.to_string(),
            row.credential.grant_type.to_string(),
            token_state(desk, &row),
            users.len().to_string(),
            row.credential.description.clone(),
        ]);
        all.push(shown::credential(&row, &users));
    }
    let text = if table.is_empty() {
        "No credentials yet. `postroom credential add --help` shows how to make one.".to_owned()
    } else {
        table.text()
    };
    Ok(Answer::new(Value::Array(all), text))
}

fn token_state(desk: &Desk, row: &CredentialRow) -> String {
    if row.needs_sign_in {
        return "needs sign-in".into();
    }
    match (&row.problem, &row.token) {
        (Some(_), _) => "refused".into(),
        (None, None) => "none yet".into(),
        (None, Some(token)) if token.expires_at <= desk.now() => "expired, renewed when needed".into(),
        (None, Some(token)) => format!("until {}", desk.output.time(token.expires_at)),
    }
}

async fn show(desk: &Desk, id: &str) -> Result<Answer, Failure> {
    let row = desk.credential(id).await?;
    let users = users_of(desk, id).await?;
    let secret = desk.opened.ports.vault.version(&row.credential.client_secret).await?;
    let mut value = shown::credential(&row, &users);
    if let Value::Object(fields) = &mut value {
        let shown = json!({"set": secret.is_some(), "version": secret});
        fields.insert("client_secret".into(), shown);
    }
    let credential = &row.credential;
    let none = || "-".to_owned();
    let mut lines = vec![
        ("Credential", credential.id.to_string()),
        ("Description", credential.description.clone()),
        ("Grant type", credential.grant_type.to_string()),
    ];
    if let Some(url) = &credential.authorization_url {
        lines.push(("Authorization URL", url.to_string()));
    }
    lines.extend([
        ("Access token URL", credential.token_url.to_string()),
        ("Client id", credential.client_id.clone()),
        ("Proves itself by", credential.authentication.words()),
    ]);
    if credential.authentication.has_secret() {
        let said = secret.map_or_else(
            || format!("missing; set one with `postroom credential edit {id} --client-secret-stdin`"),
            |version| format!("set, version {}", version.0),
        );
        let until = row.expires_at().map_or_else(
            || "; when it expires is not known (`credential edit` takes --secret-expires with a secret)".to_owned(),
            |at| format!("; expires {}", desk.output.exact_time(at)),
        );
        let name = if credential.authentication == ClientAuthentication::Secret {
            "Client secret"
        } else {
            "Certificate"
        };
        lines.push((name, format!("{said}{until}")));
    }
    if credential.next_secret.is_some() {
        let state = row.next_refused.as_ref().map_or_else(
            || "waits for the next request for a token; the old one stays until it has worked".to_owned(),
            |refused| format!("does not work, the old one is used: {}", refused.what),
        );
        lines.push(("Next secret", state));
    }
    lines.extend([
        ("Scope", credential.scope.clone()),
        ("Graph URL", credential.graph_url.to_string()),
        ("Made", desk.output.exact_time(credential.created_at)),
        ("Access token", token_state(desk, &row)),
    ]);
    if let Some(sign_in) = &row.sign_in {
        lines.push((
            "Signed in",
            format!("{} ({})", sign_in.who(), desk.output.exact_time(sign_in.at)),
        ));
        if sign_in.asked != credential.asked_scope() {
            let what = "the scope was changed since; click the key (`credential authorize`) to ask for the new one";
            lines.push(("  remark", what.into()));
        }
    }
    if let Some(token) = &row.token {
        lines.push(("  permissions", permissions(&token.roles, &token.scopes)));
        lines.push(("  tenant", token.tenant.clone().unwrap_or_else(none)));
    }
    if let Some(reach) = &row.reach {
        lines.push((
            "Reach",
            format!("{} ({})", reach.summary(), desk.output.exact_time(reach.at)),
        ));
    }
    if let Some(problem) = &row.problem {
        lines.push(("Problem", problem.clone()));
    }
    lines.push((
        "Accounts",
        if users.is_empty() {
            "none yet".into()
        } else {
            users.join(", ")
        },
    ));
    Ok(Answer::new(value, fields_text(&lines)))
}

/// Names and values under each other.
pub(super) fn fields_text(lines: &[(&str, String)]) -> String {
    let wide = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines
        .iter()
        .map(|(name, value)| format!("{name:wide$}  {}\n", super::output::clean(value)))
        .collect()
}

fn permissions(roles: &[String], scopes: &[String]) -> String {
    let all: Vec<&str> = roles.iter().chain(scopes).map(String::as_str).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

/// The key: a token at once, or somebody signs in.
async fn authorize(desk: &Desk, typed: &AuthorizeArguments) -> Result<Answer, Failure> {
    match desk.credential(&typed.id).await?.credential.grant_type {
        GrantType::ClientCredentials => request(desk, &typed.id).await,
        GrantType::AuthorizationCode => console::authorize(desk, typed).await,
    }
}

/// Client credentials: asks for a token at once.
pub(crate) async fn request(desk: &Desk, id: &str) -> Result<Answer, Failure> {
    let asked = desk.tokens.access_token(id, TokenNeed::New).await;
    let outcome = match &asked {
        Ok(_) => "an access token came back",
        Err(_) => "no access token came back",
    };
    desk.note(&format!("authorized credential `{id}`: {outcome}")).await?;
    Ok(told(desk, id, &asked?))
}

fn told(desk: &Desk, id: &str, token: &TokenInfo) -> Answer {
    let mut warnings = Vec::new();
    if token.roles.is_empty() && token.scopes.is_empty() {
        warnings.push(
            "the token carries no permission: in the Azure portal, app registration, API permissions, add Microsoft Graph, \
             Application permissions, Mail.ReadWrite, and press Grant admin consent. (Permissions given by Exchange RBAC for \
             Applications do not show in the token: `postroom account check` tells.)"
                .to_owned(),
        );
    } else if !token.roles.is_empty() && !token.roles.iter().any(|role| role.starts_with("Mail.Read")) {
        warnings.push(format!(
            "none of the permissions ({}) reads mail: grant Mail.ReadWrite, or Mail.Read if nothing is done after import",
            token.roles.join(", ")
        ));
    }
    let value = json!({
        "credential": id,
        "roles": token.roles,
        "scopes": token.scopes,
        "tenant": token.tenant,
        "expires_at": token.expires_at,
        "warnings": warnings,
    });
    let mut text = format!(
        "{} Microsoft gave an access token for credential `{id}`.\n",
        desk.output.good("OK")
    );
    text.push_str(&fields_text(&[
        ("  Permissions", permissions(&token.roles, &token.scopes)),
        (
            "  Tenant",
            token.tenant.clone().unwrap_or_else(|| "the token does not say".into()),
        ),
        (
            "  Good until",
            format!("{}; renewed by itself", desk.output.exact_time(token.expires_at)),
        ),
    ]));
    for warning in &warnings {
        desk.output.complain("warning", warning);
    }
    Answer::new(value, text)
}

async fn apply(desk: &Desk, id: &str, accounts: &[String]) -> Result<Answer, Failure> {
    let credential = desk.credential(id).await?.credential;
    // All are looked at before the first is changed.
    let mut rows = Vec::new();
    for account in accounts {
        let row = desk.accounts.get(account).await?;
        needs_sign_in(&row.account, &credential)?;
        let mut changed = row.account.clone();
        changed.credential = credential.id.clone();
        same_cloud(&row, &changed, &credential)?;
        rows.push((row, changed));
    }
    for (row, changed) in &rows {
        desk.accounts.edit(changed, row).await?;
        desk.note(&format!("applied credential `{id}` on account `{}`", changed.id))
            .await?;
    }
    let text = format!("Credential `{id}` is applied on {}.", accounts.join(", "));
    Ok(Answer::new(json!({"credential": id, "accounts": accounts}), text))
}

async fn remove(desk: &Desk, id: &str, yes: bool) -> Result<Answer, Failure> {
    let row = desk.credential(id).await?;
    let manage = desk.manage();
    manage.check_remove_credential(&row).await?;
    confirm(&format!("Remove credential `{id}` and its secrets?"), yes)?;
    manage.remove_credential(&row).await?;
    let text = format!("Credential `{id}` and its secrets are removed. The app registration in Entra ID is as it was.");
    Ok(Answer::new(json!({"removed": id}), text))
}
