//! The admin consent endpoint: an admin consents for the whole tenant (Microsoft identity platform, "admin consent").

use super::App;
use super::authorize::{Ask, Prompt, Purpose, Refused, parameters, tenant_name, trusted};
use super::error::Refusal;
use super::respond::Mode;
use super::scope::{self, Resource, Scope};
use super::signin;
use super::token::{Tenant, tenant_of};
use crate::simulator::{Simulator, State};
use crate::wire::{Call, Reply};

/// Answers `{tenant}/v2.0/adminconsent`, and `{tenant}/adminconsent` where no scope is given.
pub(crate) fn answer(simulator: &Simulator, call: &Call, tenant: &str, needs_scope: bool) -> Reply {
    let read = read(&simulator.lock(), call, tenant, needs_scope);
    match read {
        Ok(ask) => signin::begin(simulator, call, ask),
        Err(refused) => signin::refuse(simulator, call, refused),
    }
}

fn read(state: &State, call: &Call, tenant: &str, needs_scope: bool) -> Result<Ask, Refused> {
    let given = parameters(call);
    let field = |name: &str| {
        let found = given.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        found.filter(|v| !v.is_empty())
    };
    if tenant.eq_ignore_ascii_case("common") && tenant_of(&state.options, tenant) == Ok(Tenant::Alias) {
        let text = "The admin consent endpoint is not supported over /common. Use a tenant or /organizations.";
        return Err(Refused::OnPage(Refusal::bad("invalid_request", 9_001_023, text)));
    }
    let (app, redirect_uri) = trusted(state, tenant, &given).map_err(Refused::OnPage)?;
    let refused = |refusal| Refused::Redirected {
        redirect_uri: redirect_uri.clone(),
        mode: Mode::Query,
        state: field("state"),
        refusal,
    };
    let text = match field("scope") {
        Some(text) => text,
        None if needs_scope => {
            return Err(refused(Refusal::bad(
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'scope'.",
            )));
        }
        None => "https://graph.microsoft.com/.default".to_owned(),
    };
    let scopes = scope::read(&text, &call.origin).map_err(&refused)?;
    Ok(Ask {
        app: app.client_id,
        tenant: tenant_name(&state.options, tenant),
        redirect_uri: redirect_uri.clone(),
        mode: Mode::Query,
        state: field("state"),
        scopes,
        prompt: Prompt::SelectAccount,
        login_hint: None,
        purpose: Purpose::AdminConsent { scope: text },
    })
}

/// Records the consent. `/.default` grants everything the registration lists: delegated permissions and roles.
pub(crate) fn grant(app: &mut App, scopes: &[Scope]) {
    for scope in scopes {
        if !scope.is_default() {
            app.tenant_scopes.insert(scope.clone());
        } else if scope.resource == Resource::Graph {
            app.tenant_scopes
                .extend(app.permissions.iter().map(|name| Scope::graph(name)));
            app.roles.clone_from(&app.requested_roles);
        }
    }
}
