//! The token endpoint: who asks and for what, checked in Entra's order, refused in Entra's words.

use super::access_token::{self, GRAPH, GRAPH_APP_ID, Issue};
use super::authorize::may_use;
use super::error::{self, Refusal};
use super::redeem::{self, Request};
use super::{App, federation};
use crate::faults::answer::whole_answer;
use crate::faults::board::Target;
use crate::faults::{Fault, RequestKind};
use crate::mailbox::ids::guid;
use crate::options::Options;
use crate::simulator::{Simulator, State};
use crate::wire::{Call, Reply, pairs, percent_decode, plain_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rand::Rng as _;
use serde_json::{Value, json};

pub(crate) async fn answer(simulator: &Simulator, call: &Call, tenant: &str) -> Reply {
    let begun = tokio::time::Instant::now();
    let (fault, latency) = {
        let mut state = simulator.lock();
        state.stats.request(RequestKind::Token);
        let target = Target {
            kind: RequestKind::Token,
            mailbox: None,
            message: None,
        };
        let fault = state.faults.meet(target);
        state.stats.faults_met += u64::from(fault.is_some());
        (fault, state.options.latency)
    };
    simulator.clock().wait(begun, latency.network + latency.service).await;
    let mut reply = match fault {
        Some(Fault::Entra {
            status,
            error,
            code,
            message,
        }) => error::answer(
            simulator,
            call,
            &Refusal {
                status,
                ..Refusal::bad(&error, code, message)
            },
        ),
        Some(fault) => match whole_answer(simulator, call, &fault) {
            Some(reply) => reply,
            None => crate::faults::answer::spoil(grant(simulator, call, tenant).await, &fault).await,
        },
        None => grant(simulator, call, tenant).await,
    };
    error::dress(simulator, &mut reply);
    reply
}

async fn grant(simulator: &Simulator, call: &Call, tenant: &str) -> Reply {
    let keys = foreign_keys(simulator, call).await;
    match issue(simulator, call, tenant, keys.as_deref()) {
        Ok(reply) => reply,
        Err(refusal) => error::answer(simulator, call, &refusal),
    }
}

/// The keys of the issuer of a federated token, if the app trusts that issuer.
async fn foreign_keys(simulator: &Simulator, call: &Call) -> Option<Vec<Value>> {
    let form = pairs(&call.body);
    let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let (client_id, assertion) = (field("client_id")?, field("client_assertion")?);
    let issuer = {
        let state = simulator.lock();
        let app = state
            .apps
            .iter()
            .find(|a| a.client_id.eq_ignore_ascii_case(client_id))?;
        federation::issuer_of(app, assertion)?
    };
    federation::keys_of(&issuer).await
}

/// What the tenant in a URL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenant {
    /// This one, by id or domain.
    Home,
    /// The other one there is: nothing is installed in it.
    Other,
    /// `common` or `organizations`.
    Alias,
    /// `consumers`.
    Consumers,
}

pub(crate) fn tenant_of(options: &Options, tenant: &str) -> Result<Tenant, Refusal> {
    if tenant.eq_ignore_ascii_case(&options.tenant_id) || tenant.eq_ignore_ascii_case(&options.tenant_domain) {
        return Ok(Tenant::Home);
    }
    if tenant.eq_ignore_ascii_case(&options.other_tenant_id) {
        return Ok(Tenant::Other);
    }
    match tenant.to_ascii_lowercase().as_str() {
        "common" | "organizations" => Ok(Tenant::Alias),
        "consumers" => Ok(Tenant::Consumers),
        _ => Err(Refusal::bad(
            "invalid_request",
            90002,
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
            ),
        )),
    }
}

/// The app is not there, or not in that tenant.
pub(crate) fn unknown_app(client_id: &str) -> Refusal {
    Refusal::bad(
        "unauthorized_client",
        700_016,
        format!(
            "Application with identifier '{client_id}' was not found in the directory 'Harbour Homes'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
        ),
    )
}

/// The form of a request; no parameter may occur twice (RFC 6749 3.2).
fn fields(call: &Call) -> Result<Vec<(String, String)>, Refusal> {
    let form_type = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if !form_type.starts_with("application/x-www-form-urlencoded") {
        return Err(missing("grant_type"));
    }
    let form = pairs(&call.body);
    let names: Vec<&str> = form.iter().map(|(n, _)| n.as_str()).collect();
    if let Some(twice) = names.iter().find(|n| names.iter().filter(|m| m == n).count() > 1) {
        return Err(Refusal::bad(
            "invalid_request",
            9_002_313,
            format!("Invalid request. Request is malformed or invalid: parameter '{twice}' is duplicated."),
        ));
    }
    Ok(form)
}

fn issue(simulator: &Simulator, call: &Call, tenant: &str, keys: Option<&[Value]>) -> Result<Reply, Refusal> {
    if call.method != Method::POST {
        return Err(Refusal::bad(
            "invalid_request",
            900_561,
            "The endpoint only accepts POST requests. Received a GET request.",
        ));
    }
    let form = fields(call)?;
    let field = |name: &str| {
        form.iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    };
    let grant_type = field("grant_type").ok_or_else(|| missing("grant_type"))?;
    let app_only = grant_type == "client_credentials";
    let mut state = simulator.lock();
    let kind = tenant_of(&state.options, tenant)?;
    if app_only && matches!(kind, Tenant::Alias | Tenant::Consumers) {
        return Err(Refusal::bad(
            "invalid_request",
            9_001_023,
            "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.",
        ));
    }
    let (client_id, secret) = match basic(call) {
        Some((id, secret)) => (Some(id), Some(secret)),
        None => (
            field("client_id").map(str::to_owned),
            field("client_secret").map(str::to_owned),
        ),
    };
    let client_id = client_id.ok_or_else(|| missing("client_id"))?;
    let found = state.apps.iter().find(|a| a.client_id.eq_ignore_ascii_case(&client_id));
    let app = found.cloned().ok_or_else(|| unknown_app(&client_id))?;
    let proof = Proof {
        secret: secret.as_deref(),
        assertion: field("client_assertion"),
        kind: field("client_assertion_type"),
        audiences: ["oauth2/v2.0/token", "v2.0"].map(|path| format!("{}/{tenant}/{path}", call.origin)),
        now_s: simulator.now_ms() / 1000,
        keys,
    };
    if ["authorization_code", "refresh_token"].contains(&grant_type) {
        may_use(&app, kind)?;
        same_origin_only(call)?;
        authenticate(&app, &proof)?;
        let request = Request {
            app: &app,
            tenant: kind,
            tenant_text: tenant,
            form: &form,
            origin: &call.origin,
            now_ms: simulator.now_ms(),
        };
        let given = if grant_type == "refresh_token" {
            redeem::refresh(&mut state, &request)?
        } else {
            redeem::code(&mut state, &request)?
        };
        drop(state);
        return Ok(delegated(simulator, given));
    }
    if !app_only {
        let (code, error) = (70003, "unsupported_grant_type");
        return Err(Refusal::bad(
            error,
            code,
            format!("The app requested an unsupported grant type '{grant_type}'."),
        ));
    }
    if kind == Tenant::Other {
        return Err(unknown_app(&client_id));
    }
    let audience = audience(field("scope").ok_or_else(|| missing("scope"))?, &call.origin)?;
    same_origin_only(call)?;
    authenticate(&app, &proof)?;
    let (claims, life) = of_app(simulator, &mut state, &app, &audience, &call.origin);
    drop(state);
    let token = simulator.core.key.access_token(&claims);
    Ok(plain_json(
        200,
        &json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}),
    ))
}

/// The claims of a new token of the app's own, noted as given out; and the seconds it is good for.
fn of_app(simulator: &Simulator, state: &mut State, app: &App, audience: &str, origin: &str) -> (Value, i64) {
    let life = match state.options.token_lifetime {
        Some(seconds) => i64::from(seconds),
        None => state.rng.random_range(3600..=5399),
    };
    let uti = guid(&mut state.rng);
    let claims = access_token::app_only(
        state,
        &Issue {
            origin,
            app: &app.client_id,
            audience,
            uti: &uti,
            now_s: simulator.now_ms() / 1000,
            life_s: life,
        },
    );
    state.issued.push((uti, app.client_id.clone()));
    state.stats.tokens_issued += 1;
    (claims, life)
}

/// Signs what was given.
fn delegated(simulator: &Simulator, given: redeem::Given) -> Reply {
    let mut answer = given.answer;
    answer["access_token"] = simulator.core.key.access_token(&given.access).into();
    if let Some(claims) = given.id {
        answer["id_token"] = simulator.core.key.sign(&claims).into();
    }
    plain_json(200, &answer)
}

/// A secret has no business in a browser.
fn same_origin_only(call: &Call) -> Result<(), Refusal> {
    if !call.headers.contains_key("origin") {
        return Ok(());
    }
    Err(Refusal::bad(
        "invalid_request",
        9_002_326,
        "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.",
    ))
}

pub(crate) fn missing(name: &str) -> Refusal {
    Refusal::bad(
        "invalid_request",
        900_144,
        format!("The request body must contain the following parameter: '{name}'."),
    )
}

/// Id and secret from HTTP Basic (RFC 6749 2.3.1: both are form-encoded first).
fn basic(call: &Call) -> Option<(String, String)> {
    let encoded = call.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    Some((decode(id), decode(secret)))
}

/// How the app says who it is.
struct Proof<'a> {
    secret: Option<&'a str>,
    assertion: Option<&'a str>,
    kind: Option<&'a str>,
    /// What an assertion may be meant for: the token endpoint, and the issuer.
    audiences: [String; 2],
    now_s: i64,
    /// The keys of the other issuer that an assertion names.
    keys: Option<&'a [Value]>,
}

fn authenticate(app: &App, proof: &Proof<'_>) -> Result<(), Refusal> {
    if let (None, Some(assertion)) = (proof.secret, proof.assertion) {
        super::assertion::check_kind(proof.kind)?;
        if federation::is_foreign(assertion) {
            return federation::check(app, assertion, proof.keys, proof.now_s);
        }
        return super::assertion::check(app, assertion, &proof.audiences, proof.now_s);
    }
    let given = proof.secret.ok_or_else(|| {
        Refusal::client(
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )
    })?;
    match app.secrets.iter().find(|s| s.text == given) {
        Some(secret) if !secret.expired && secret.ends_ms.is_none_or(|ends| ends / 1000 > proof.now_s) => Ok(()),
        Some(_) => Err(Refusal::client(
            7_000_222,
            format!(
                "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for your app.",
                app.client_id
            ),
        )),
        None => Err(Refusal::client(
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
                app.client_id
            ),
        )),
    }
}

/// Exactly one resource with `/.default` (Microsoft identity platform, "client credentials flow").
fn audience(scope: &str, origin: &str) -> Result<String, Refusal> {
    let scopes: Vec<&str> = scope.split_whitespace().collect();
    let refused = || {
        Refusal::bad(
            "invalid_scope",
            1_002_012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            ),
        )
    };
    let [one] = scopes.as_slice() else {
        let several = scopes.len() > 1 && scopes.iter().all(|s| s.ends_with("/.default"));
        return Err(if several {
            Refusal::bad(
                "invalid_scope",
                700_022,
                format!(
                    "The provided value for the input parameter scope '{scope}' is not valid because it contains more than one resource."
                ),
            )
        } else if scopes.is_empty() {
            Refusal::bad(
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid.",
            )
        } else {
            refused()
        });
    };
    let resource = one.strip_suffix("/.default").ok_or_else(refused)?.trim_end_matches('/');
    match resource {
        GRAPH | GRAPH_APP_ID => Ok(GRAPH.to_owned()),
        _ if resource == origin => Ok(GRAPH.to_owned()),
        "https://outlook.office365.com" | "https://outlook.office.com" => Ok(resource.to_owned()),
        _ => Err(Refusal::bad(
            "invalid_resource",
            500_011,
            format!(
                "The resource principal named {resource} was not found in the tenant named Harbour Homes. This can happen if the application has not been installed by the administrator of the tenant."
            ),
        )),
    }
}
