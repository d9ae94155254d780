//! The web room: one router for the callback and the console, served on one machine and by Lambda alike.
//!
//! Pages are drawn on the server and need no JavaScript. Drawing a page calls nobody: it reads the store.

mod answer;
mod api;
mod authorize;
mod callback;
mod console;
mod cookie;
mod form;
mod guard;
mod health;
mod launch;
mod page;
mod result;
mod session;
mod sign_in;

use std::{ops::Deref, sync::Arc};

use axum::Router;
use url::Url;

use crate::{
    archive::Archive,
    config::ConfigError,
    import::checks::Checks,
    oauth::Entrance,
    origin::TrustedOrigins,
    ports::{Ports, Tokens},
};

pub use launch::{Launches, Purpose};

/// What the pages are given.
pub struct WebOptions {
    /// The world outside.
    pub ports: Ports,
    /// Where codes are handed to; the pages touch no secret but the client secret an admin types.
    pub tokens: Arc<dyn Tokens>,
    /// Who tries accounts and credentials against Microsoft, where an admin asks.
    pub checks: Arc<dyn Checks>,
    /// Whether the platform makes federated tokens for its functions: AWS does.
    pub platform_tokens: bool,
    /// Where messages lie, if these pages may read them.
    pub archive: Option<Archive>,
    /// Where credentials may point to.
    pub trusted: TrustedOrigins,
    /// How a browser reaches this console: scheme, host and port. The redirect URI begins with it; no header does.
    pub public_url: Url,
    /// How people sign in to the pages; an error is told on them.
    pub sign_in: Result<Option<Entrance>, ConfigError>,
    /// Whether one-time links open them, too: on one machine, whose command line makes them.
    pub one_time_links: bool,
    /// Further names under which it answers, without port: loopback names on one machine.
    pub other_hosts: Vec<String>,
}

/// What every page works with; a clone is a second handle.
#[derive(Clone)]
pub(crate) struct Web(Arc<WebOptions>);

impl Deref for Web {
    type Target = WebOptions;
    fn deref(&self) -> &WebOptions {
        &self.0
    }
}

impl WebOptions {
    /// How people sign in, if that is set up.
    pub(crate) fn entrance(&self) -> Option<&Entrance> {
        self.sign_in.as_ref().ok()?.as_ref()
    }

    /// The redirect URI to register with the app of a credential, and the only one ever sent.
    pub fn redirect_uri(&self) -> Url {
        redirect_uri(&self.public_url)
    }
}

/// The redirect URI below a public URL. Its path is compared by case at Microsoft's side and at ours.
pub fn redirect_uri(public_url: &Url) -> Url {
    let mut url = public_url.clone();
    url.set_path("/OAuth2Callback");
    url
}

/// The redirect URI of the console's own sign-in below a public URL.
pub fn sign_in_uri(public_url: &Url) -> Url {
    sign_in::redirect_uri(public_url)
}

/// All pages, for one machine; who may use them has a session.
pub fn router(options: WebOptions) -> Router {
    guarded(options, pages().merge(callback::routes()).merge(launch::routes()))
}

/// Pages and API for a function of their own: the callback has another, and nobody makes one-time links.
pub fn console_router(options: WebOptions) -> Router {
    guarded(options, pages().merge(api::routes()))
}

fn pages() -> Router<Web> {
    Router::new()
        .merge(sign_in::routes())
        .merge(result::routes())
        .merge(authorize::routes())
        .merge(health::routes())
        .merge(console::routes())
}

/// `/OAuth2Callback` and how it ended, and nothing else: what a function may answer that holds no right on secrets.
pub fn callback_router(options: WebOptions) -> Router {
    guarded(options, Router::new().merge(callback::routes()).merge(result::routes()))
}

fn guarded(options: WebOptions, routes: Router<Web>) -> Router {
    let web = Web(Arc::new(options));
    guard::around(routes, &web).with_state(web)
}
