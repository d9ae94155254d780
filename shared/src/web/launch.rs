//! One-time links: how a browser gets a session, or begins to sign in, without a password.
//!
//! Opening the link uses nothing up (link scanners and prefetches do that); pressing the button does.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use maud::html;

use crate::{
    credential::GrantType,
    oauth::random,
    ports::Ports,
    records::{
        RecordError,
        api_keys::Scope,
        authorizations::Errand,
        credentials::Credentials,
        sessions::{Door, Holder, Sessions},
    },
    secret::Secret,
};

pub use crate::records::sessions::Purpose;

use super::{
    Web,
    authorize::{self, Beginner, reads},
    cookie,
    form::Fields,
    guard::FormTargets,
    page,
};

/// Makes one-time links.
#[derive(Clone)]
pub struct Launches {
    ports: Ports,
    sessions: Sessions,
}

impl Launches {
    /// Over these ports.
    pub fn new(ports: &Ports) -> Self {
        Self {
            ports: ports.clone(),
            sessions: Sessions::new(Arc::clone(&ports.store)),
        }
    }

    /// The path of a new link below the public URL. Whoever has it can use it, once.
    pub async fn make(&self, purpose: &Purpose) -> Result<Secret, RecordError> {
        let token = random(&*self.ports.rng);
        self.sessions.launch(&token, purpose, self.ports.clock.now()).await?;
        Ok(Secret::new(format!("/launch/{}", token.expose())))
    }
}

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/launch/{token}", get(look))
        .route("/launch", post(take))
}

fn used() -> Response {
    let body = html! {
        p { "This link was used, or is older than ten minutes." }
        p { "A new one comes from " code { "postroom console" } " or " code { "postroom credential authorize ID" } "." }
    };
    page::plain(StatusCode::GONE, "This link is over", &body)
}

/// Our own tokens only: what is put into the page again is nothing a stranger could choose.
fn token_of(text: &str) -> Option<Secret> {
    let ours = text.len() == 43
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    ours.then(|| Secret::new(text))
}

async fn look(State(web): State<Web>, Path(token): Path<String>) -> Response {
    let Some(token) = token_of(&token) else {
        return used();
    };
    let sessions = Sessions::new(Arc::clone(&web.ports.store));
    let purpose = match sessions.look(&token, web.ports.clock.now()).await {
        Ok(Some(purpose)) => purpose,
        Ok(None) => return used(),
        Err(error) => return page::trouble(&error.to_string()),
    };
    let button = |text: &str| {
        html! {
            form method="post" action="/launch" {
                input type="hidden" name="token" value=(token.expose());
                button.main type="submit" id="continue" { (text) }
            }
        }
    };
    match purpose {
        Purpose::Console => {
            let body = html! { p { "This browser may then use the console until you sign out, at most twelve hours." } (button("Open the console")) };
            page::plain(StatusCode::OK, "Open the console", &body)
        }
        Purpose::Authorize { credential, rebind } => {
            let row = match Credentials::new(Arc::clone(&web.ports.store)).get(&credential).await {
                Ok(row) => row,
                Err(error) => return page::trouble(&error.to_string()),
            };
            let reads = match reads(&web, &row).await {
                Ok(reads) => reads,
                Err(error) => return page::trouble(&error.to_string()),
            };
            let body = html! {
                p { "Somebody is to sign in with Microsoft for the credential " strong { (row.credential.id) } "." }
                (authorize::who(&row, &reads))
                @if rebind { p.warning { "Another person may take over with this sign-in." } }
                (button("Continue to Microsoft"))
            };
            let mut response = page::plain(StatusCode::OK, "Sign in with Microsoft", &body);
            let targets = crate::oauth::entra_origin(&row.credential).into_iter().collect();
            response.extensions_mut().insert(FormTargets(targets));
            response
        }
    }
}

async fn take(State(web): State<Web>, fields: Fields) -> Response {
    let Some(token) = token_of(fields.text("token")) else {
        return used();
    };
    let sessions = Sessions::new(Arc::clone(&web.ports.store));
    let now = web.ports.clock.now();
    match sessions.take(&token, now).await {
        Ok(Some(Purpose::Console)) => {
            // A session of its own, never one a stranger could have set before (fixation).
            let value = random(&*web.ports.rng);
            let holder = Holder {
                door: Door::Link,
                scope: Scope::Operator,
                who: None,
                subject: None,
            };
            if let Err(error) = sessions.begin(&value, &holder, now).await {
                return page::trouble(&error.to_string());
            }
            let mut response = Redirect::to("/credentials").into_response();
            let name = cookie::session_name(&web);
            // The records decide earlier.
            let seconds = u32::try_from(holder.door.absolute().as_secs()).unwrap_or(u32::MAX);
            cookie::set(&web, response.headers_mut(), &name, &value, seconds);
            response
        }
        Ok(Some(Purpose::Authorize { credential, rebind })) => {
            let row = match Credentials::new(Arc::clone(&web.ports.store)).get(&credential).await {
                Ok(row) if row.credential.grant_type == GrantType::AuthorizationCode => row,
                Ok(_) => return page::trouble("nobody signs in for client credentials"),
                Err(error) => return page::trouble(&error.to_string()),
            };
            authorize::send_on(&web, &row, Errand::SignIn, rebind, Beginner::Launch(token)).await
        }
        Ok(None) => used(),
        Err(error) => page::trouble(&error.to_string()),
    }
}
