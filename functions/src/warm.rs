//! Connections made in init, where a function has the machine's full speed and pays the least for a handshake.

use shared::ports::{Key, Store};

/// A read that finds nothing: the connection to the table is made, and the role's right to read it is seen early.
pub(crate) async fn table(store: &dyn Store) {
    if let Err(error) = store.get(&Key::new("serve", "warm")).await {
        // The first event meets the same and answers it as it should be answered.
        tracing::warn!(%error, "the table could not be read while the sandbox was set up");
    }
}
