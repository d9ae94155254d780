//! The way back to the app: parameters in the query, in the fragment, or in a form the browser posts.

use super::pages;
use crate::wire::{Reply, empty, set};
use url::form_urlencoded::Serializer;

/// `response_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// Sends the browser to `redirect_uri` with these parameters. `script_nonce` lets the form post itself.
pub(crate) fn back(mode: Mode, redirect_uri: &str, parameters: &[(&str, String)], script_nonce: &str) -> Reply {
    let encoded = Serializer::new(String::new()).extend_pairs(parameters).finish();
    let target = match mode {
        Mode::Query => {
            // What the registered URI already carries stays: the parameters are added to its query.
            let sign = if redirect_uri.contains('?') { '&' } else { '?' };
            format!("{redirect_uri}{sign}{encoded}")
        }
        Mode::Fragment => format!("{redirect_uri}#{encoded}"),
        Mode::FormPost => return pages::form_post(redirect_uri, parameters, script_nonce),
    };
    let mut reply = empty(302);
    set(&mut reply, "location", &target);
    set(&mut reply, "referrer-policy", "no-referrer");
    reply
}
