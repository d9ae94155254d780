//! The key: sends a browser to Microsoft's login, or asks for a token at once.

use axum::Router;

use super::Web;

pub(super) fn routes() -> Router<Web> {
    Router::new()
}
