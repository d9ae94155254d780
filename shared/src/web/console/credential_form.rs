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
    credential::{Credential, CredentialForm, GrantType},
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
    let secret = Secret::new(posted.fields.text("client_secret"));
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    match manage.add_credential(&form, &secret).await {
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
    let secret = posted.fields.given("client_secret").map(Secret::new);
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    match manage.edit_credential(&row, &form, secret.as_ref()).await {
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
