//! `/applications(appId='…')`: the registration of an app, as far as its secrets go.
//!
//! Microsoft Graph, "Get application" (application permissions), "passwordCredential resource type": the text of a secret is
//! never shown, its first three characters are.

use super::GraphError;
use crate::clock::graph_time;
use crate::entra::access_token::Bearer;
use crate::faults::RequestKind;
use crate::faults::answer::whole_answer;
use crate::faults::board::Target;
use crate::mailbox::ids::guid;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, json};
use http::Method;
use serde_json::{Value, json as value};

/// Permissions that show every registration of the tenant.
const ALL: [&str; 3] = [
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
];
/// Two years: the longest that the portal offers.
const LONGEST_MS: i64 = 730 * 86_400_000;

/// The client id in a path like this one; `None` if it is another.
pub(crate) fn named(path: &str) -> Option<&str> {
    path.strip_prefix("/v1.0/applications(appId='")?.strip_suffix("')")
}

pub(crate) fn answer(
    simulator: &Simulator,
    call: &Call,
    client_id: &str,
    bearer: &Bearer,
) -> Result<Reply, GraphError> {
    if call.method != Method::GET {
        return Err(GraphError::method());
    }
    let has =
        |wanted: &[&str]| bearer.person.is_none() && bearer.roles.iter().any(|role| wanted.contains(&role.as_str()));
    let own = bearer.app.eq_ignore_ascii_case(client_id);
    let may = has(&ALL) || (own && has(&["Application.ReadWrite.OwnedBy"]));
    if !may {
        return Err(GraphError::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        ));
    }
    let fault = {
        let mut guard = simulator.lock();
        let state = &mut *guard;
        let fault = state.faults.meet(Target {
            kind: RequestKind::Other,
            mailbox: None,
            message: None,
        });
        state.stats.faults_met += u64::from(fault.is_some());
        fault
    };
    if let Some(reply) = fault.as_ref().and_then(|fault| whole_answer(simulator, call, fault)) {
        return Ok(reply);
    }
    let now = simulator.now_ms();
    let mut guard = simulator.lock();
    let state = &mut *guard;
    let Some(app) = state
        .apps
        .iter()
        .find(|app| app.client_id.eq_ignore_ascii_case(client_id))
    else {
        return Err(GraphError::new(
            404,
            "Request_ResourceNotFound",
            "Resource does not exist or one of its queried reference-property objects are not present.",
        ));
    };
    let secrets: Vec<Value> = app
        .secrets
        .iter()
        .map(|secret| {
            let ends = if secret.expired {
                now.min(secret.ends_ms.unwrap_or(now))
            } else {
                secret.ends_ms.unwrap_or(now + LONGEST_MS)
            };
            value!({
                "customKeyIdentifier": null, "displayName": "postroom", "endDateTime": graph_time(ends),
                "hint": secret.text.chars().take(3).collect::<String>(), "keyId": guid(&mut state.rng),
                "secretText": null, "startDateTime": graph_time(ends - LONGEST_MS),
            })
        })
        .collect();
    let body = value!({
        "@odata.context": format!("{}/v1.0/$metadata#applications(passwordCredentials)/$entity", call.origin),
        "passwordCredentials": secrets,
    });
    Ok(json(200, &body))
}
