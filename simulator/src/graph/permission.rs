//! Who may do what in which mailbox: roles of an app of its own, scopes of a person, shared mailboxes.

use super::GraphError;
use super::route::{Act, Root, Route};
use crate::entra::access_token::{Bearer, Person};
use crate::simulator::{Simulator, State};

/// How much of a message may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Whole,
    /// Without text and attachments: `Mail.ReadBasic` in its forms.
    Basic,
}

/// What `Mail.ReadBasic` never shows (Microsoft Graph permissions reference).
const HIDDEN: [&str; 6] = [
    "body",
    "bodyPreview",
    "uniqueBody",
    "attachments",
    "extensions",
    "internetMessageHeaders",
];

/// The mailbox of a route, if the bearer may do there what the route does.
pub(crate) fn mailbox(simulator: &Simulator, route: &Route, bearer: &Bearer) -> Result<(usize, Sight), GraphError> {
    let state = simulator.lock();
    let (at, sight) = match &bearer.person {
        Some(person) => delegated(&state, route, person)?,
        None => app_only(&state, route, bearer, simulator.now_ms())?,
    };
    let mailbox = state.mailboxes.get(at).ok_or_else(GraphError::item_not_found)?;
    if !mailbox.enabled {
        return Err(no_mailbox());
    }
    // The policy limits what apps do on their own, not what people do through them.
    if bearer.person.is_none() && !mailbox.in_policy {
        return Err(GraphError::new(
            403,
            "ErrorAccessDenied",
            "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
        ));
    }
    Ok((at, sight))
}

fn no_mailbox() -> GraphError {
    GraphError::new(
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )
}

fn invalid_user(name: &str) -> GraphError {
    GraphError::new(
        404,
        "ErrorInvalidUser",
        format!("The requested user '{name}' is invalid."),
    )
}

fn app_only(state: &State, route: &Route, bearer: &Bearer, now_ms: i64) -> Result<(usize, Sight), GraphError> {
    let Root::User(name) = &route.root else {
        return Err(GraphError::bad(
            "/me request is only valid with delegated authentication flow.",
        ));
    };
    let named = state.mailbox_named(name);
    let address = named
        .and_then(|at| state.mailboxes.get(at))
        .map(|mailbox| mailbox.address.as_str());
    let app = state.apps.iter().find(|app| app.client_id == bearer.app);
    // A union: what Entra granted counts for every mailbox, whatever Exchange says.
    let has = |role: &str| {
        bearer.roles.iter().any(|r| r == role)
            || matches!((app, address), (Some(app), Some(address)) if app.exchange_grants(role, address, now_ms))
    };
    let basic = has("Mail.ReadBasic") || has("Mail.ReadBasic.All");
    let sight = allowed(route, has("Mail.ReadWrite"), has("Mail.Read"), basic)?;
    let at = named.ok_or_else(|| invalid_user(name))?;
    Ok((at, sight))
}

/// A person's own mailbox, or one they were given access to: for that the scope must be a `.Shared` one.
fn delegated(state: &State, route: &Route, person: &Person) -> Result<(usize, Sight), GraphError> {
    let user = state.directory.user(&person.oid).ok_or_else(GraphError::denied)?;
    let named = match &route.root {
        Root::Me => user.oid.as_str(),
        Root::User(name) => name.as_str(),
    };
    let own = named.eq_ignore_ascii_case(&user.oid) || named.eq_ignore_ascii_case(&user.address);
    let has = |scope: &str| {
        let shared = format!("{scope}.Shared");
        person.scopes.iter().any(|s| *s == shared || (own && s == scope))
    };
    let sight = allowed(route, has("Mail.ReadWrite"), has("Mail.Read"), has("Mail.ReadBasic"))?;
    let at = state.mailbox_named(named);
    if own {
        return at.map(|at| (at, sight)).ok_or_else(no_mailbox);
    }
    let at = at.ok_or_else(|| invalid_user(named))?;
    let address = state.mailboxes.get(at).map(|m| m.address.as_str()).unwrap_or_default();
    if !user.shared.iter().any(|m| m.eq_ignore_ascii_case(address)) {
        return Err(GraphError::denied());
    }
    Ok((at, sight))
}

fn allowed(route: &Route, write: bool, read: bool, basic: bool) -> Result<Sight, GraphError> {
    if write || (read && !route.writes()) {
        return Ok(Sight::Whole);
    }
    let needs_whole = matches!(
        route.act,
        Act::Value | Act::ListAttachments | Act::GetAttachment | Act::AttachmentValue
    );
    if basic && !route.writes() && !needs_whole {
        return Ok(Sight::Basic);
    }
    Err(GraphError::denied())
}

/// Takes out of an answer what `Mail.ReadBasic` does not show.
pub(crate) fn dim(json: &mut serde_json::Value) {
    if let Some(items) = json.get_mut("value").and_then(serde_json::Value::as_array_mut) {
        items.iter_mut().for_each(dim);
    }
    if let Some(map) = json.as_object_mut() {
        map.retain(|name, _| !HIDDEN.contains(&name.as_str()));
    }
}
