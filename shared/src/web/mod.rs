//! The web room: one router for the callback and the console, served on one machine and by Lambda alike.
//!
//! Pages are drawn on the server and need no JavaScript. Drawing a page calls nobody: it reads the store.

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

use std::{ops::Deref, sync::Arc};

use axum::Router;
use url::Url;

use crate::{
    archive::Archive,
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
    /// Where messages lie.
    pub archive: Archive,
    /// Where credentials may point to.
    pub trusted: TrustedOrigins,
    /// How a browser reaches this console: scheme, host and port. The redirect URI begins with it; no header does.
    pub public_url: Url,
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
    /// The redirect URI to register with the app, and the only one ever sent.
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

/// All routes.
pub fn router(options: WebOptions) -> Router {
    let web = Web(Arc::new(options));
    let routes = Router::new()
        .merge(callback::routes())
        .merge(authorize::routes())
        .merge(launch::routes())
        .merge(health::routes())
        .merge(console::routes());
    guard::around(routes, &web).with_state(web)
}
