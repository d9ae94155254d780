//! `/me` and `/users/{id}`: who a person is. Needs `User.Read`, and shows a person nobody but themselves.

use super::GraphError;
use super::route::{Act, Root, Route};
use crate::entra::access_token::Bearer;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, json};
use serde_json::{Map, Value};

/// The address of the person behind a route, if the bearer may see who it is.
pub(crate) fn answer(simulator: &Simulator, call: &Call, route: &Route, bearer: &Bearer) -> Result<Reply, GraphError> {
    let refused = || {
        GraphError::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    };
    if route.act == Act::WrongMethod {
        return Err(GraphError::method());
    }
    let Some(person) = &bearer.person else {
        return Err(match route.root {
            Root::Me => GraphError::bad("/me request is only valid with delegated authentication flow."),
            Root::User(_) => refused(),
        });
    };
    let state = simulator.lock();
    let user = state.directory.user(&person.oid).ok_or_else(refused)?;
    let own = match &route.root {
        Root::Me => true,
        Root::User(name) => name.eq_ignore_ascii_case(&user.oid) || name.eq_ignore_ascii_case(&user.address),
    };
    if !own || !person.scopes.iter().any(|s| s == "User.Read") {
        return Err(refused());
    }
    let mail = if user.mailbox {
        user.address.clone().into()
    } else {
        Value::Null
    };
    let all = [
        ("businessPhones", Value::Array(Vec::new())),
        ("displayName", user.display_name.clone().into()),
        ("givenName", first(&user.display_name).into()),
        ("jobTitle", Value::Null),
        ("mail", mail),
        ("mobilePhone", Value::Null),
        ("officeLocation", Value::Null),
        ("preferredLanguage", Value::Null),
        ("surname", last(&user.display_name).into()),
        ("userPrincipalName", user.address.clone().into()),
        ("id", user.oid.clone().into()),
    ];
    let selected: Vec<&str> = call
        .parameter("$select")
        .into_iter()
        .flat_map(|s| s.split(','))
        .map(str::trim)
        .collect();
    if let Some(unknown) = selected.iter().find(|s| !all.iter().any(|(name, _)| name == *s)) {
        return Err(GraphError::bad(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{unknown}' on type 'microsoft.graph.user'."
        )));
    }
    let shown = all
        .into_iter()
        .filter(|(name, _)| selected.is_empty() || selected.contains(name));
    let mut body = Map::new();
    let narrowed = if selected.is_empty() {
        String::new()
    } else {
        format!("({})", selected.join(","))
    };
    let context = format!("{}/v1.0/$metadata#users{narrowed}/$entity", call.origin);
    body.insert("@odata.context".to_owned(), context.into());
    body.extend(shown.map(|(name, value)| (name.to_owned(), value)));
    Ok(json(200, &Value::Object(body)))
}

fn first(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

fn last(name: &str) -> &str {
    name.rsplit(' ').next().unwrap_or_default()
}
