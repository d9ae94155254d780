//! The authorization request: its parameters, checked in Entra's order, and where each refusal is shown.

use super::error::Refusal;
use super::grants::Challenge;
use super::respond::Mode;
use super::scope::{self, Scope};
use super::token::{Tenant, tenant_of, unknown_app};
use super::{App, directory::Directory};
use crate::options::Options;
use crate::simulator::State;
use crate::wire::{Call, pairs};
use http::Method;

/// What a sign-in is for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// An authorization code for the person.
    Code {
        nonce: Option<String>,
        challenge: Option<Challenge>,
    },
    /// Consent of an admin for the whole tenant.
    AdminConsent { scope: String },
}

/// `prompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Not given: as silent as can be.
    Auto,
    None,
    Login,
    Consent,
    SelectAccount,
}

/// A request that passed all checks.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) app: String,
    /// The tenant's id, or the alias (`common`, `organizations`) it was asked under.
    pub(crate) tenant: String,
    pub(crate) redirect_uri: String,
    pub(crate) mode: Mode,
    pub(crate) state: Option<String>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) prompt: Prompt,
    pub(crate) login_hint: Option<String>,
    pub(crate) purpose: Purpose,
}

/// Where a refusal goes.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// Stays on Entra's page: there is no redirect URI to be trusted.
    OnPage(Refusal),
    /// Goes back to the app.
    Redirected {
        redirect_uri: String,
        mode: Mode,
        state: Option<String>,
        refusal: Refusal,
    },
}

/// The parameters of a request: of the query, or of the form of a POST.
pub(crate) fn parameters(call: &Call) -> Vec<(String, String)> {
    if call.method == Method::POST {
        return pairs(&call.body);
    }
    call.query.clone()
}

fn field<'a>(given: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let value = given.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    value.filter(|v| !v.is_empty())
}

fn missing(name: &str) -> Refusal {
    Refusal::bad(
        "invalid_request",
        900_144,
        format!("The request body must contain the following parameter: '{name}'."),
    )
}

fn malformed(why: &str) -> Refusal {
    Refusal::bad(
        "invalid_request",
        9_002_313,
        format!("Invalid request. Request is malformed or invalid: {why}"),
    )
}

/// Tenant, app and redirect URI: what must be right before anything is sent anywhere.
pub(crate) fn trusted(state: &State, tenant: &str, given: &[(String, String)]) -> Result<(App, String), Refusal> {
    let tenant = tenant_of(&state.options, tenant)?;
    let client_id = field(given, "client_id").ok_or_else(|| missing("client_id"))?;
    let app = state.apps.iter().find(|a| a.client_id.eq_ignore_ascii_case(client_id));
    let app = app
        .filter(|_| tenant != Tenant::Other)
        .ok_or_else(|| unknown_app(client_id))?;
    may_use(app, tenant)?;
    let redirect_uri = field(given, "redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    // Byte for byte: another case, a slash more or another port is another URI.
    if !app.redirect_uris.iter().any(|r| r == redirect_uri) {
        return Err(Refusal::bad(
            "invalid_request",
            50011,
            format!(
                "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the application '{}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal.",
                app.client_id
            ),
        ));
    }
    Ok((app.clone(), redirect_uri.to_owned()))
}

/// A single-tenant app is refused below `common` and its kind.
pub(crate) fn may_use(app: &App, tenant: Tenant) -> Result<(), Refusal> {
    match tenant {
        Tenant::Consumers => Err(Refusal::bad(
            "invalid_request",
            9_002_346,
            format!(
                "Application '{}' is configured for use by Azure Active Directory users only. Please do not use the /consumers endpoint to serve this request.",
                app.client_id
            ),
        )),
        Tenant::Alias if !app.multi_tenant => Err(Refusal::bad(
            "invalid_request",
            50194,
            format!(
                "Application '{}' is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps. Use a tenant-specific endpoint or configure the application to be multi-tenant.",
                app.client_id
            ),
        )),
        _ => Ok(()),
    }
}

/// How codes remember the tenant they were asked under.
pub(crate) fn tenant_name(options: &Options, tenant: &str) -> String {
    match tenant_of(options, tenant) {
        Ok(Tenant::Home) => options.tenant_id.clone(),
        _ => tenant.to_ascii_lowercase(),
    }
}

/// Reads and checks a request for a code.
pub(crate) fn read(state: &State, call: &Call, tenant: &str) -> Result<Ask, Refused> {
    let given = parameters(call);
    let (app, redirect_uri) = trusted(state, tenant, &given).map_err(Refused::OnPage)?;
    let mode = match field(&given, "response_mode") {
        None | Some("query") => Ok(Mode::Query),
        Some("fragment") => Ok(Mode::Fragment),
        Some("form_post") => Ok(Mode::FormPost),
        Some(other) => Err(Refusal::bad(
            "invalid_request",
            70007,
            format!("'{other}' is not a supported value of 'response_mode' when requesting a code."),
        )),
    };
    let refused = |refusal: Refusal| Refused::Redirected {
        redirect_uri: redirect_uri.clone(),
        mode: mode.as_ref().copied().unwrap_or(Mode::Query),
        state: field(&given, "state").map(str::to_owned),
        refusal,
    };
    let rest = judge(&given, &call.origin).map_err(&refused)?;
    Ok(Ask {
        app: app.client_id.clone(),
        tenant: tenant_name(&state.options, tenant),
        redirect_uri: redirect_uri.clone(),
        mode: mode.clone().map_err(&refused)?,
        state: field(&given, "state").map(str::to_owned),
        scopes: rest.scopes,
        prompt: rest.prompt,
        login_hint: field(&given, "login_hint").map(str::to_owned),
        purpose: Purpose::Code {
            nonce: field(&given, "nonce").map(str::to_owned),
            challenge: rest.challenge,
        },
    })
}

struct Judged {
    scopes: Vec<Scope>,
    prompt: Prompt,
    challenge: Option<Challenge>,
}

/// Everything that is told to the app when it is wrong.
fn judge(given: &[(String, String)], origin: &str) -> Result<Judged, Refusal> {
    let twice = given
        .iter()
        .find(|(n, _)| given.iter().filter(|(m, _)| m == n).count() > 1);
    if let Some((name, _)) = twice {
        return Err(malformed(&format!("parameter '{name}' is duplicated.")));
    }
    match field(given, "response_type").ok_or_else(|| missing("response_type"))? {
        "code" => {}
        mixed @ ("id_token" | "token" | "code id_token" | "id_token code" | "id_token token") => {
            return Err(Refusal::bad(
                "unsupported_response_type",
                700_054,
                format!("response_type '{mixed}' is not enabled for the application."),
            ));
        }
        other => {
            return Err(Refusal::bad(
                "unsupported_response_type",
                70005,
                format!("response_type '{other}' is not supported."),
            ));
        }
    }
    let scopes = scope::read(field(given, "scope").ok_or_else(|| missing("scope"))?, origin)?;
    let prompt = match field(given, "prompt") {
        None => Prompt::Auto,
        Some("none") => Prompt::None,
        Some("login") => Prompt::Login,
        Some("consent") => Prompt::Consent,
        Some("select_account") => Prompt::SelectAccount,
        Some(other) => {
            return Err(Refusal::bad(
                "invalid_request",
                90023,
                format!("Unsupported 'prompt' value: '{other}'."),
            ));
        }
    };
    let is_object = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok_and(|v| v.is_object());
    if field(given, "claims").is_some_and(|c| !is_object(c)) {
        return Err(malformed("the parameter 'claims' is no JSON object."));
    }
    Ok(Judged {
        scopes,
        prompt,
        challenge: challenge(given)?,
    })
}

/// RFC 7636 4.2 and 4.3: 43 to 128 characters; without a method it is `plain`.
fn challenge(given: &[(String, String)]) -> Result<Option<Challenge>, Refusal> {
    let s256 = match field(given, "code_challenge_method") {
        None | Some("plain") => false,
        Some("S256") => true,
        Some(_) => {
            return Err(malformed(
                "the parameter 'code_challenge_method' must be 'S256' or 'plain'.",
            ));
        }
    };
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    match field(given, "code_challenge") {
        None if !s256 => Ok(None),
        Some(text) if (43..=128).contains(&text.len()) && text.chars().all(unreserved) => Ok(Some(Challenge {
            text: text.to_owned(),
            s256,
        })),
        _ => Err(Refusal::bad(
            "invalid_request",
            50147,
            "The size of the 'code_challenge' parameter is not valid.",
        )),
    }
}

/// A refusal that came about otherwise: to the app if its redirect URI can be trusted.
pub(crate) fn aimed(call: &Call, redirect_uri: Option<String>, refusal: Refusal) -> Refused {
    match redirect_uri {
        None => Refused::OnPage(refusal),
        Some(redirect_uri) => Refused::Redirected {
            redirect_uri,
            mode: Mode::Query,
            state: field(&parameters(call), "state").map(str::to_owned),
            refusal,
        },
    }
}

/// A person named by `login_hint` may be none of this tenant: then the hint only fills the field.
pub(crate) fn hinted<'a>(directory: &'a Directory, ask: &Ask) -> Option<&'a str> {
    let hint = ask.login_hint.as_deref()?;
    directory.user(hint).map(|u| u.oid.as_str())
}
