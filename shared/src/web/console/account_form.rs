//! The form of a new account.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};

use crate::{
    manage::{AccountForm, Manage},
    records::credentials::Credentials,
    web::{
        Web,
        form::{Fields, Posted},
        page::{self, Place},
        session::{Operator, Session},
    },
};

use super::parts::{Field, Wrong, csrf};

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/accounts/new", get(blank).post(add))
}

fn typed(fields: &Fields) -> AccountForm {
    let folders = fields.text("folders").split(',').map(str::trim);
    AccountForm {
        id: fields.text("id").to_owned(),
        description: fields.text("description").to_owned(),
        mailbox: fields.text("mailbox").to_owned(),
        credential: fields.text("credential").to_owned(),
        folders: folders.filter(|one| !one.is_empty()).map(str::to_owned).collect(),
        subfolders: fields.ticked("subfolders"),
        start: fields.text("start").to_owned(),
        after_import: fields.given("after_import").map(str::to_owned),
        every: fields.given("every").map(str::to_owned),
        max_message: fields.given("max_message").map(str::to_owned),
        enabled: true,
    }
}

async fn draw(web: &Web, session: &Session, form: &AccountForm, wrong: &Wrong) -> Result<Markup, Response> {
    let credentials = Credentials::new(Arc::clone(&web.ports.store)).all().await;
    let credentials = credentials.map_err(|error| page::trouble(&error.to_string()))?;
    let field = |name, known_as, label, hint, value, example| {
        Field {
            name,
            known_as,
            label,
            hint,
            kind: "text",
            value,
            example,
        }
        .draw(wrong)
    };
    let folders = form.folders.join(", ");
    Ok(html! {
        (wrong.summary())
        @if credentials.is_empty() { p.warning { "There is no credential yet. " a href="/credentials/new" { "Make one first" } "." } }
        form method="post" {
            (csrf(session))
            (field("id", "id", "Id", "A short name of yours: a-z, 0-9 and -.", &form.id, "orders"))
            (field("description", "description", "Description", "For people.", &form.description, ""))
            div.field {
                label for="credential" { "Credential" }
                p.hint { "With which Postroom gets in." }
                select id="credential" name="credential" {
                    @for row in &credentials {
                        @let id = row.credential.id.as_str();
                        option value=(id) selected[id == form.credential] { (id) " (" (row.credential.grant_type) ")" }
                    }
                }
            }
            (field("mailbox", "mailbox", "Mailbox", "An address. Or `me`: the mailbox of the person who signed in (authorization code only). A shared mailbox needs a scope that ends in .Shared.", &form.mailbox, "orders@contoso.example"))
            (field("folders", "folder", "Folders", "Names or paths, with commas between: inbox, Inbox/Orders.", &folders, "inbox"))
            label.choice { input type="checkbox" name="subfolders" value="yes" checked[form.subfolders]; " With their subfolders" }
            (field("start", "start", "Start", "`now`: what comes from now on. `everything`. Or a day such as 2026-01-31 (UTC).", &form.start, "now"))
            (field("after_import", "after import", "After import", "`none`, `mark-read`, `move:FOLDER` or `delete`. Happens only after bytes and record are safe.", form.after_import.as_deref().unwrap_or("none"), "none"))
            (field("every", "every", "Every", "How often: 1m, 5m, 1h.", form.every.as_deref().unwrap_or("5m"), "5m"))
            (field("max_message", "max message", "Largest message", "1MB to 2GB. A larger one is set aside and shown under Owed.", form.max_message.as_deref().unwrap_or("200MB"), "200MB"))
            div.bar {
                button.main type="submit" { "Save" }
                a.button href="/accounts" { "Cancel" }
            }
        }
    })
}

async fn blank(State(web): State<Web>, Operator(session): Operator) -> Result<Response, Response> {
    let form = AccountForm {
        start: "now".to_owned(),
        folders: vec!["inbox".to_owned()],
        ..AccountForm::default()
    };
    let body = draw(&web, &session, &form, &Wrong::default()).await?;
    Ok(page::console(StatusCode::OK, Place::Accounts, "New account", &body))
}

async fn add(State(web): State<Web>, posted: Posted) -> Result<Response, Response> {
    let form = typed(&posted.fields);
    let manage = Manage::new(&web.ports, &web.trusted, &posted.session.by());
    match manage.add_account(&form).await {
        Ok(row) => Ok(Redirect::to(&format!("/accounts/{}", row.account.id)).into_response()),
        Err(error) => {
            let body = draw(&web, &posted.session, &form, &Wrong::of(&error)?).await?;
            Ok(page::console(
                StatusCode::UNPROCESSABLE_ENTITY,
                Place::Accounts,
                "New account",
                &body,
            ))
        }
    }
}
