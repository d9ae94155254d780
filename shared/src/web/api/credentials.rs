//! Credentials: listed, read, made, asked for a token.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    credential::{ClientCertificate, ClientInput, CredentialForm, GrantType, KmsCertificate},
    field::FieldError,
    manage::{Manage, ManageError, shown},
    ports::TokenNeed,
    reach::Expected,
    records::{
        accounts::Accounts,
        credentials::{CredentialRow, Credentials},
    },
    secret::Secret,
    web::Web,
};

use super::{
    Paging,
    caller::Caller,
    listed,
    problem::{Asked, Body, Problem},
};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/credentials", get(list).post(add))
        .route("/api/v1/credentials/{id}", get(show))
        .route("/api/v1/credentials/{id}/token", post(token))
        .route("/api/v1/credentials/{id}/reach", get(reach).put(expect).post(try_reach))
}

/// A new credential as sent. Has no `Debug`: it carries a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    id: String,
    #[serde(default)]
    description: String,
    grant_type: GrantType,
    authorization_url: Option<String>,
    token_url: String,
    client_id: String,
    client_secret: Option<String>,
    /// PEM with its key, or a PKCS#12 file in base64.
    certificate: Option<String>,
    /// Of the PKCS#12 file.
    certificate_password: Option<String>,
    /// The ARN of the certificate's key, if AWS KMS keeps it.
    kms_key: Option<String>,
    federated: Option<Federated>,
    scope: String,
    graph_url: Option<String>,
}

/// Who makes the federated token.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Federated {
    Aws,
}

impl Sent {
    /// How the app proves itself: in one way.
    async fn proof(&self, platform_tokens: bool) -> Result<ClientInput, ManageError> {
        let wrong = |reason: &str| ManageError::from(FieldError::new("client secret", reason));
        let password = self.certificate_password.as_deref().map(Secret::new);
        if password.is_some() && (self.certificate.is_none() || self.kms_key.is_some()) {
            let why = "it goes with a PKCS#12 file as `certificate`";
            return Err(FieldError::new("certificate password", why).into());
        }
        match (&self.client_secret, &self.certificate, self.federated, &self.kms_key) {
            (Some(secret), None, None, None) => Ok(ClientInput::secret(Secret::new(secret.as_str()))),
            (None, Some(text), None, None) => {
                let certificate = ClientCertificate::from_text(&Secret::new(text.as_str()), password.as_ref()).await?;
                Ok(ClientInput::Certificate(Box::new(certificate)))
            }
            (None, Some(text), None, Some(key)) if platform_tokens => {
                Ok(ClientInput::KmsKey(Box::new(KmsCertificate::from_pem(text, key)?)))
            }
            (None, None, Some(Federated::Aws), None) if platform_tokens => Ok(ClientInput::FederatedAws),
            (None, None, Some(Federated::Aws), None) => Err(wrong("federated tokens of AWS are made on AWS only")),
            (None, Some(_), None, Some(_)) => Err(wrong("a key in AWS KMS signs on AWS only")),
            _ => Err(wrong(
                "give one of `client_secret`, `certificate` (with `kms_key`, if AWS KMS keeps its key) and `\"federated\": \"aws\"`",
            )),
        }
    }
}

/// Mailboxes that an app must read, and must not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mailboxes {
    #[serde(default)]
    must_read: Vec<String>,
    #[serde(default)]
    must_not_read: Vec<String>,
}

async fn told(web: &Web, rows: &[CredentialRow]) -> Result<Vec<Value>, Problem> {
    let accounts = Accounts::new(Arc::clone(&web.ports.store)).all().await?;
    let users = |row: &CredentialRow| {
        let of = accounts
            .iter()
            .filter(|one| one.account.credential == row.credential.id);
        of.map(|one| one.account.id.to_string()).collect::<Vec<_>>()
    };
    Ok(rows.iter().map(|row| shown::credential(row, &users(row))).collect())
}

async fn list(_caller: Caller, State(web): State<Web>, Asked(paging): Asked<Paging>) -> Result<Json<Value>, Problem> {
    let credentials = Credentials::new(Arc::clone(&web.ports.store));
    let shelf = credentials.page(paging.limit()?, paging.after()).await?;
    Ok(listed(&told(&web, &shelf.records).await?, shelf.next.as_ref()))
}

async fn show(_caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let row = Credentials::new(Arc::clone(&web.ports.store)).get(&id).await?;
    Ok(Json(told(&web, std::slice::from_ref(&row)).await?.remove(0)))
}

async fn add(
    caller: Caller,
    State(web): State<Web>,
    Body(sent): Body<Sent>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let input = sent.proof(web.platform_tokens).await?;
    let form = CredentialForm {
        id: sent.id,
        description: sent.description,
        grant_type: Some(sent.grant_type),
        authorization_url: sent.authorization_url,
        token_url: sent.token_url,
        client_id: sent.client_id,
        scope: sent.scope,
        graph_url: sent.graph_url,
    };
    let manage = Manage::new(&web.ports, &web.trusted, &caller.by());
    let (credential, warnings) = manage.add_credential_with(&form, &input).await?;
    let row = Credentials::new(Arc::clone(&web.ports.store))
        .get(credential.id.as_str())
        .await?;
    let mut told = shown::credential(&row, &[]);
    told["warnings"] = warnings.into();
    Ok((StatusCode::CREATED, Json(told)))
}

/// Asks Microsoft for a new token; tells what it may do, never the token.
async fn token(caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    // An unknown one is said to be so here, and not by whoever asks Microsoft.
    Credentials::new(Arc::clone(&web.ports.store)).get(&id).await?;
    let info = web.tokens.access_token(&id, TokenNeed::New).await?;
    let manage = Manage::new(&web.ports, &web.trusted, &caller.by());
    manage.note(&format!("asked for a token of credential `{id}`")).await?;
    Ok(Json(json!({
        "expires_at": info.expires_at, "roles": info.roles, "scopes": info.scopes, "tenant": info.tenant,
    })))
}

async fn of_reach(web: &Web, id: &str) -> Result<Json<Value>, Problem> {
    let row = Credentials::new(Arc::clone(&web.ports.store)).get(id).await?;
    Ok(Json(
        json!({"credential": row.credential.id, "reach": shown::reach(&row)}),
    ))
}

async fn reach(_caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    of_reach(&web, &id).await
}

/// Names the mailboxes anew; nothing is tried yet.
async fn expect(
    caller: Caller,
    State(web): State<Web>,
    Path(id): Path<String>,
    Body(sent): Body<Mailboxes>,
) -> Result<Json<Value>, Problem> {
    let row = Credentials::new(Arc::clone(&web.ports.store)).get(&id).await?;
    let expected = Expected::parse(&sent.must_read, &sent.must_not_read).map_err(ManageError::from)?;
    let manage = Manage::new(&web.ports, &web.trusted, &caller.by());
    manage.expect_reach(&row, &expected).await?;
    of_reach(&web, &id).await
}

/// Tries them, with a token of this moment.
async fn try_reach(_caller: Caller, State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Credentials::new(Arc::clone(&web.ports.store)).get(&id).await?;
    web.checks.reach(&id).await?;
    of_reach(&web, &id).await
}
