//! The form of a credential: every field with the place in the Azure portal where its value is.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};

use crate::{
    credential::{ClientCertificate, ClientInput, Credential, CredentialForm, GrantType, KmsCertificate, expiry},
    field::FieldError,
    manage::Manage,
    secret::Secret,
    web::{
        Web,
        form::{Fields, Posted},
        page::{self, Place},
        session::{Operator, Session},
    },
};

use super::{
    credentials::find,
    parts::{Field, Wrong, csrf},
};

const CLIENT_CREDENTIALS: &str = "client_credentials";
const AUTHORIZATION_CODE: &str = "authorization_code";

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/credentials/new", get(blank).post(add))
        .route("/credentials/{id}/edit", get(edit).post(save))
}

fn typed(fields: &Fields, id: &str) -> CredentialForm {
    let grant_type = match fields.text("grant_type") {
        CLIENT_CREDENTIALS => Some(GrantType::ClientCredentials),
        AUTHORIZATION_CODE => Some(GrantType::AuthorizationCode),
        _ => None,
    };
    CredentialForm {
        id: id.to_owned(),
        description: fields.text("description").to_owned(),
        grant_type,
        authorization_url: fields.given("authorization_url").map(str::to_owned),
        token_url: fields.text("token_url").to_owned(),
        client_id: fields.text("client_id").to_owned(),
        scope: fields.text("scope").to_owned(),
        graph_url: fields.given("graph_url").map(str::to_owned),
    }
}

/// How the app proves itself, if anything was typed about it: one way, not several.
async fn proof(fields: &Fields, platform_tokens: bool) -> Result<Option<ClientInput>, FieldError> {
    let expires_at = expiry("secret expiry", fields.text("secret_expires"))?;
    let of_platform = platform_tokens && fields.ticked("federated_aws");
    let given = (
        fields.given("client_secret"),
        fields.given("certificate"),
        fields.given("federated_token_file"),
    );
    match given {
        (None, Some(text), None) if platform_tokens && fields.given("kms_key").is_some() && !of_platform => {
            let certificate = KmsCertificate::from_pem(text, fields.text("kms_key"))?;
            Ok(Some(ClientInput::KmsKey(Box::new(certificate))))
        }
        _ if platform_tokens && fields.given("kms_key").is_some() => Err(FieldError::new(
            "KMS key",
            "it goes with its certificate, and with no other way of proving the app",
        )),
        (_, None, _) if fields.given("certificate_password").is_some() => Err(FieldError::new(
            "certificate password",
            "it goes with a PKCS#12 file in the field of the certificate",
        )),
        (None, None, None) if expires_at.is_some() => Err(FieldError::new(
            "secret expiry",
            "it goes with a new client secret; give both",
        )),
        (None, None, None) => Ok(of_platform.then_some(ClientInput::FederatedAws)),
        _ if of_platform => Err(FieldError::new(
            "client secret",
            "a federated token of AWS needs no client secret, certificate or file; give the one or the other",
        )),
        (Some(secret), None, None) => Ok(Some(ClientInput::Secret {
            secret: Secret::new(secret),
            expires_at,
        })),
        (None, Some(text), None) => {
            let password = fields.given("certificate_password").map(Secret::new);
            let certificate = ClientCertificate::from_text(&Secret::new(text), password.as_ref()).await?;
            Ok(Some(ClientInput::Certificate(Box::new(certificate))))
        }
        (None, None, Some(path)) => Ok(Some(ClientInput::FederatedFile(path.to_owned()))),
        _ => Err(FieldError::new(
            "client secret",
            "give a client secret, a certificate or a federated token file, not several of them",
        )),
    }
}

fn form_of(credential: &Credential) -> CredentialForm {
    CredentialForm {
        id: credential.id.to_string(),
        description: credential.description.clone(),
        grant_type: Some(credential.grant_type),
        authorization_url: credential.authorization_url.as_ref().map(ToString::to_string),
        token_url: credential.token_url.to_string(),
        client_id: credential.client_id.clone(),
        scope: credential.scope.clone(),
        graph_url: Some(credential.graph_url.to_string()),
    }
}

fn draw(web: &Web, session: &Session, form: &CredentialForm, is_new: bool, wrong: &Wrong) -> Markup {
    let field = |name, known_as, label, hint, kind, value, example| {
        Field {
            name,
            known_as,
            label,
            hint,
            kind,
            value,
            example,
        }
        .draw(wrong)
    };
    let chosen = |grant| (form.grant_type == Some(grant)).then_some("checked");
    html! {
        (wrong.summary())
        form method="post" {
            (csrf(session))
            @if is_new {
                (field("id", "id", "Id", "A short name of yours: a-z, 0-9 and -. It stands in commands and addresses.", "text", &form.id, "contoso"))
            }
            (field("description", "description", "Description", "For people.", "text", &form.description, "Contoso, work orders"))
            fieldset {
                legend { "Grant type" }
                label.choice { input type="radio" name="grant_type" value=(CLIENT_CREDENTIALS) checked[chosen(GrantType::ClientCredentials).is_some()]; " Client credentials: the app itself reads mailboxes (application permissions)" }
                label.choice { input type="radio" name="grant_type" value=(AUTHORIZATION_CODE) checked[chosen(GrantType::AuthorizationCode).is_some()]; " Authorization code: a person signs in, and their rights count (delegated permissions)" }
            }
            (field("authorization_url", "authorization URL", "Authorization URL", "Authorization code only. Azure portal: App registrations, your app, Overview, Endpoints: OAuth 2.0 authorization endpoint (v2). It may carry a query such as ?prompt=select_account.", "text", form.authorization_url.as_deref().unwrap_or_default(), "https://login.microsoftonline.com/your-tenant-id/oauth2/v2.0/authorize"))
            (field("token_url", "access token URL", "Access token URL", "The same place: OAuth 2.0 token endpoint (v2).", "text", &form.token_url, "https://login.microsoftonline.com/your-tenant-id/oauth2/v2.0/token"))
            (field("client_id", "client id", "Client id", "App registrations, your app, Overview: Application (client) ID.", "text", &form.client_id, "00000000-0000-0000-0000-000000000000"))
            (field("client_secret", "client secret", "Client secret", if is_new { "App registrations, your app, Certificates & secrets: the Value of a client secret, not its Secret ID. The portal shows it once." } else { "Leave it empty to keep the one there is. Otherwise the Value of a new client secret (Certificates & secrets)." }, "password", "", ""))
            (field("secret_expires", "secret expiry", "The client secret expires (optional)", "As the portal shows it, such as 2027-01-31. Postroom warns 60, 30, 14, 7 and 1 days before.", "text", "", "2027-01-31"))
            @if !is_new {
                label.choice { input type="checkbox" name="roll" value="yes"; " Keep the old client secret until the new one has worked" }
            }
            div.field {
                label for="certificate" { "Certificate, instead of a client secret" }
                p.hint id="certificate-hint" { "One PEM text with BEGIN CERTIFICATE and BEGIN PRIVATE KEY (RSA), or a PKCS#12 file (.pfx, .p12) in base64 (`base64 FILE`; on Windows `certutil -encode FILE.pfx out.txt`). The certificate alone is uploaded under Certificates & secrets, Certificates. The key goes to the vault and is never shown." }
                @let said = wrong.here("certificate");
                textarea id="certificate" name="certificate" rows="3" autocomplete="off" spellcheck="false"
                    aria-describedby=(if said.is_some() { "certificate-hint certificate-wrong" } else { "certificate-hint" }) aria-invalid=[said.map(|_| "true")] {}
                @if let Some(reason) = said { p.wrong id="certificate-wrong" { (page::words(reason)) } }
            }
            (field("certificate_password", "certificate password", "Password of the PKCS#12 file", "Only for that; it opens the file here and is not kept.", "password", "", ""))
            @if web.platform_tokens {
                (field("kms_key", "KMS key", "Key in AWS KMS, instead of a key of your own", "The ARN of an RSA key for signing. The certificate above comes without a private key then: KMS signs, and gives the key to nobody. The stack must be allowed to use it (parameter SigningKeyArn); one key serves all credentials.", "text", "", "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"))
                label.choice { input type="checkbox" name="federated_aws" value="yes"; " A token that AWS makes for Postroom, instead of any secret: the app trusts it under Certificates & secrets, Federated credentials (docs/client-authentication.md)" }
            } @else { (field("federated_token_file", "federated token file", "Federated token file, instead of any secret", "The whole path of a file that somebody else writes and renews: Kubernetes, a CI runner, SPIFFE. The app trusts its issuer under Certificates & secrets, Federated credentials.", "text", "", "/var/run/secrets/azure/tokens/azure-identity-token")) }
            (field("scope", "scope", "Scope", "Client credentials: https://graph.microsoft.com/.default. Authorization code: permissions as under API permissions, for example Mail.ReadWrite offline_access; openid and profile are added.", "text", &form.scope, "Mail.ReadWrite offline_access"))
            (field("graph_url", "Graph URL", "Graph URL (optional)", "Follows from the login host. Only needed for the US Government L5 cloud and for tests.", "text", form.graph_url.as_deref().unwrap_or_default(), "https://graph.microsoft.com/v1.0"))
            div.field {
                label for="redirect_uri" { "Redirect URI, to copy" }
                p.hint id="redirect_uri-hint" { "Authorization code only. App registrations, your app, Authentication, Add a platform, Web: register exactly this, with its upper and lower case." }
                input id="redirect_uri" type="text" readonly value=(web.redirect_uri()) aria-describedby="redirect_uri-hint";
            }
            div.bar {
                button.main type="submit" { "Save" }
                a.button href="/credentials" { "Cancel" }
            }
        }
    }
}

async fn blank(State(web): State<Web>, Operator(session): Operator) -> Response {
    let form = CredentialForm {
        grant_type: Some(GrantType::AuthorizationCode),
        ..CredentialForm::default()
    };
    let body = draw(&web, &session, &form, true, &Wrong::default());
    page::console(StatusCode::OK, Place::Credentials, "New credential", &body)
}

async fn add(State(web): State<Web>, posted: Posted) -> Result<Response, Response> {
    let form = typed(&posted.fields, posted.fields.text("id"));
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    let made = match proof(&posted.fields, web.platform_tokens).await {
        Ok(input) => {
            // Without anything the refusal of an empty client secret says what is missing.
            let input = input.unwrap_or_else(|| ClientInput::secret(Secret::new("")));
            manage.add_credential_with(&form, &input).await
        }
        Err(error) => Err(error.into()),
    };
    match made {
        Ok((credential, warnings)) => Ok(saved(&credential.id.to_string(), &warnings)),
        Err(error) => {
            let body = draw(&web, &posted.session, &form, true, &Wrong::of(&error)?);
            Ok(page::console(
                StatusCode::UNPROCESSABLE_ENTITY,
                Place::Credentials,
                "New credential",
                &body,
            ))
        }
    }
}

/// On to the credential; with what the admin should know first, if there is anything.
fn saved(id: &str, warnings: &[String]) -> Response {
    let path = format!("/credentials/{id}");
    if warnings.is_empty() {
        return Redirect::to(&path).into_response();
    }
    let body = html! {
        p.good { "The credential is saved." }
        @for warning in warnings { p.warning { (page::words(warning)) } }
        p.next { a.button.main href=(path) { "To the credential" } }
    };
    page::console(StatusCode::OK, Place::Credentials, "Saved", &body)
}

async fn edit(
    State(web): State<Web>,
    Path(id): Path<String>,
    Operator(session): Operator,
) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let body = draw(&web, &session, &form_of(&row.credential), false, &Wrong::default());
    let title = format!("Edit {}", row.credential.id);
    Ok(page::console(StatusCode::OK, Place::Credentials, &title, &body))
}

async fn save(State(web): State<Web>, Path(id): Path<String>, posted: Posted) -> Result<Response, Response> {
    let row = find(&web, &id).await?;
    let form = typed(&posted.fields, row.credential.id.as_str());
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    let changed = match proof(&posted.fields, web.platform_tokens).await {
        Ok(Some(ClientInput::Secret { secret, expires_at })) if posted.fields.ticked("roll") => {
            manage.edit_and_roll(&row, &form, &secret, expires_at).await
        }
        Ok(input) => manage.edit_credential_with(&row, &form, input.as_ref()).await,
        Err(error) => Err(error.into()),
    };
    match changed {
        Ok(warnings) => Ok(saved(row.credential.id.as_str(), &warnings)),
        Err(error) => {
            let body = draw(&web, &posted.session, &form, false, &Wrong::of(&error)?);
            let title = format!("Edit {}", row.credential.id);
            Ok(page::console(
                StatusCode::UNPROCESSABLE_ENTITY,
                Place::Credentials,
                &title,
                &body,
            ))
        }
    }
}
