//! The front page: says what this is and lists the URLs.

use crate::simulator::Simulator;
use std::fmt::Write as _;

pub(crate) fn front(simulator: &Simulator, origin: &str) -> String {
    let registration = simulator.registration();
    let tenant = &registration.tenant_id;
    let mut rows = String::new();
    {
        let state = simulator.lock();
        for mailbox in &state.mailboxes {
            let alive = mailbox.items.iter().filter(|i| i.alive).count();
            let _ = write!(
                rows,
                "<tr><td>{}</td><td>{}</td><td>{alive} messages</td></tr>",
                escape(&mailbox.address),
                mailbox.guid
            );
        }
    }
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Postroom simulator</title>\
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem}}code{{background:#eee;padding:.1em .3em}}td{{padding:.2em 1em .2em 0}}</style></head>\
<body><h1>Postroom simulator</h1><p>This is a simulated Microsoft 365 tenant: sign-in, a token endpoint, Graph mail and a control. Nothing here is real, and nothing here is Microsoft's.</p>\
<h2>Sign in</h2><table><tr><td>Tenant id</td><td><code>{tenant}</code></td></tr><tr><td>Client id</td><td><code>{client}</code></td></tr>\
<tr><td>Client secret</td><td><code>{secret}</code></td></tr><tr><td>Scope</td><td><code>https://graph.microsoft.com/.default</code></td></tr></table>\
<h2>URLs</h2><ul><li><code>{origin}/{tenant}/oauth2/v2.0/authorize</code></li><li><code>POST {origin}/{tenant}/oauth2/v2.0/token</code></li><li><a href=\"/{tenant}/v2.0/.well-known/openid-configuration\">{origin}/{tenant}/v2.0/.well-known/openid-configuration</a></li>\
<li><a href=\"/{tenant}/discovery/v2.0/keys\">{origin}/{tenant}/discovery/v2.0/keys</a></li><li><code>{origin}/v1.0</code> (Graph base URL)</li></ul>\
<h2>Mailboxes</h2><table>{rows}</table>\
<h2>Control</h2><ul><li><a href=\"/_control/stats\">{origin}/_control/stats</a></li><li><a href=\"/_control/truth\">{origin}/_control/truth</a></li><li><a href=\"/_control/faults\">{origin}/_control/faults</a></li></ul></body></html>",
        client = registration.client_id,
        secret = escape(&registration.client_secret),
    )
}

/// Text inside HTML, attribute values included.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
