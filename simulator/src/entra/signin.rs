//! Signing in: which page comes next, what a person's click does, and the code at the end.

use super::authorize::{self, Ask, Prompt, Purpose, Refused};
use super::directory::Flow;
use super::error::{self, Refusal};
use super::grants::{Code, opaque};
use super::pages::{self, Look};
use super::respond::{Mode, back};
use super::scope::Scope;
use super::session::{cookie, remember, sessions, sign_in};
use super::token::unknown_app;
use crate::mailbox::ids::guid;
use crate::simulator::{Simulator, State};
use crate::wire::{Call, Reply, pairs};

/// How long a sign-in may take, in milliseconds.
const FLOW_LIFE_MS: i64 = 60 * 60 * 1000;

/// What happens next in a sign-in.
enum Step {
    Pick {
        fault: Option<String>,
    },
    SecondFactor,
    Consent(Vec<Scope>),
    NeedsAdmin,
    Blocked(Refusal),
    /// Nothing more to ask.
    Done,
}

/// `authorize`: checks the request, then goes as far as it can without a person.
pub(crate) fn authorize(simulator: &Simulator, call: &Call, tenant: &str) -> Reply {
    let read = authorize::read(&simulator.lock(), call, tenant);
    match read {
        Ok(ask) => begin(simulator, call, ask),
        Err(refused) => refuse(simulator, call, refused),
    }
}

/// Shows a refusal where it belongs.
pub(crate) fn refuse(simulator: &Simulator, call: &Call, refused: Refused) -> Reply {
    match refused {
        Refused::OnPage(refusal) => {
            let described = error::describe(simulator, call, &refusal);
            pages::error(&described.text, &described.trace)
        }
        Refused::Redirected {
            redirect_uri,
            mode,
            state,
            refusal,
        } => {
            let described = error::describe(simulator, call, &refusal);
            let mut parameters = vec![
                ("error", refusal.error.clone()),
                ("error_description", described.text),
                ("error_uri", format!("{}/error?code={}", call.origin, refusal.code)),
            ];
            if let Some(suberror) = refusal.suberror {
                parameters.push(("error_subcode", suberror.to_owned()));
            }
            parameters.extend(state.map(|s| ("state", s)));
            back(mode, &redirect_uri, &parameters, &described.trace)
        }
    }
}

/// Starts a sign-in in this browser.
pub(crate) fn begin(simulator: &Simulator, call: &Call, ask: Ask) -> Reply {
    let now_ms = simulator.now_ms();
    let mut guard = simulator.lock();
    let state = &mut *guard;
    let browser = match cookie(call).filter(|b| state.directory.browsers.contains_key(*b)) {
        Some(known) => known.to_owned(),
        None => opaque(&mut state.rng, 48),
    };
    state.directory.browsers.entry(browser.clone()).or_default();
    let usable: Vec<String> = sessions(state, &browser, now_ms).into_iter().map(|s| s.oid).collect();
    let hinted = authorize::hinted(&state.directory, &ask).map(str::to_owned);
    let silent = match (&hinted, usable.as_slice()) {
        (Some(oid), _) => usable.contains(oid).then(|| oid.clone()),
        (None, [only]) if ask.login_hint.is_none() => Some(only.clone()),
        _ => None,
    };
    if ask.prompt == Prompt::None && silent.is_none() {
        let refusal = if usable.is_empty() || ask.login_hint.is_some() {
            Refusal::bad(
                "login_required",
                50058,
                "A silent sign-in request was sent but no user is signed in.",
            )
        } else {
            Refusal::bad(
                "interaction_required",
                16000,
                "Either multiple user identities are available for the current request or selected account is not supported for the scenario.",
            )
        };
        drop(guard);
        return refuse(simulator, call, to_app(&ask, refusal));
    }
    let oid = match ask.prompt {
        Prompt::Login | Prompt::SelectAccount => None,
        Prompt::Auto | Prompt::None | Prompt::Consent => silent,
    };
    let id = opaque(&mut state.rng, 48);
    let flow = Flow {
        ask,
        browser: browser.clone(),
        started_ms: now_ms,
        oid,
        accepted: false,
    };
    state.directory.flows.insert(id.clone(), flow);
    drop(guard);
    let mut reply = proceed(simulator, call, &id, None);
    remember(call, &browser, &mut reply);
    reply
}

/// A click on one of the pages: `POST /{tenant}/login`.
pub(crate) fn click(simulator: &Simulator, call: &Call) -> Reply {
    let form = pairs(&call.body);
    let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let id = field("flow").unwrap_or_default();
    let now_ms = simulator.now_ms();
    let mut guard = simulator.lock();
    let state = &mut *guard;
    let lost = |code, text: &str| Refused::OnPage(Refusal::bad("invalid_request", code, text));
    let Some(flow) = state.directory.flows.get(id).cloned() else {
        drop(guard);
        return refuse(
            simulator,
            call,
            lost(50089, "Authentication failed due to flow token expired."),
        );
    };
    if now_ms.saturating_sub(flow.started_ms) > FLOW_LIFE_MS {
        state.directory.flows.remove(id);
        drop(guard);
        return refuse(
            simulator,
            call,
            lost(50089, "Authentication failed due to flow token expired."),
        );
    }
    // A form filled in another browser is not this person's.
    if cookie(call) != Some(flow.browser.as_str()) {
        drop(guard);
        let text = "Invalid request: the request did not come from the browser that began to sign in. Make sure that cookies are allowed.";
        return refuse(simulator, call, lost(165_000, text));
    }
    let mut fault = None;
    match field("act").unwrap_or_default() {
        "account" | "address" => {
            let named = field("account").or_else(|| field("address")).unwrap_or_default().trim();
            match state.directory.user(named).map(|u| u.oid.clone()) {
                Some(oid) => {
                    sign_in(state, &flow, &oid, now_ms);
                    set_flow(state, id, |f| f.oid = Some(oid));
                }
                None => {
                    fault = Some(format!(
                        "This user name may be incorrect: {named} is not in this directory (AADSTS50034)."
                    ));
                }
            }
        }
        "other" => set_flow(state, id, |f| {
            f.oid = None;
            f.accepted = false;
            f.ask.prompt = Prompt::SelectAccount;
        }),
        "approve" => {
            let accounts = state.directory.browsers.entry(flow.browser.clone()).or_default();
            for account in accounts.iter_mut().filter(|a| Some(&a.oid) == flow.oid.as_ref()) {
                (account.mfa, account.at_ms) = (true, now_ms);
            }
        }
        "accept" => set_flow(state, id, |f| f.accepted = true),
        "cancel" => {
            state.directory.flows.remove(id);
            drop(guard);
            return refuse(simulator, call, declined(&flow.ask));
        }
        _ => fault = Some("Choose an account.".to_owned()),
    }
    drop(guard);
    proceed(simulator, call, id, fault)
}

/// Ends this browser's session: `GET /{tenant}/oauth2/v2.0/logout`.
pub(crate) fn sign_out(simulator: &Simulator, call: &Call) -> Reply {
    if let Some(browser) = cookie(call) {
        simulator.lock().directory.browsers.remove(browser);
    }
    pages::notice(
        "You signed out of your account",
        "It's a good idea to close all browser windows.",
    )
}

fn set_flow(state: &mut State, id: &str, change: impl FnOnce(&mut Flow)) {
    if let Some(flow) = state.directory.flows.get_mut(id) {
        change(flow);
    }
}

fn next(state: &State, flow: &Flow, now_ms: i64, fault: Option<String>) -> Result<Step, Refusal> {
    let directory = &state.directory;
    let Some(user) = flow.oid.as_deref().and_then(|oid| directory.user(oid)) else {
        return Ok(Step::Pick { fault });
    };
    if user.disabled {
        return Ok(Step::Blocked(Refusal::bad(
            "invalid_grant",
            50057,
            "The user account is disabled.",
        )));
    }
    let session = sessions(state, &flow.browser, now_ms)
        .into_iter()
        .find(|s| s.oid == user.oid);
    let Some(session) = session else {
        return Ok(Step::Pick { fault });
    };
    if directory.access.block {
        return Ok(Step::Blocked(super::redeem::blocked()));
    }
    if directory.access.require_mfa && !session.mfa {
        return Ok(Step::SecondFactor);
    }
    let app = state.apps.iter().find(|a| a.client_id == flow.ask.app);
    let app = app.ok_or_else(|| unknown_app(&flow.ask.app))?;
    let everything = || -> Vec<Scope> {
        let have = directory.consented(app, &user.oid);
        let all = flow.ask.scopes.iter();
        all.flat_map(|s| super::directory::expand(app, s, &have)).collect()
    };
    if let Purpose::AdminConsent { .. } = flow.ask.purpose {
        return Ok(match (user.admin, flow.accepted) {
            (false, _) => Step::NeedsAdmin,
            (true, false) => Step::Consent(everything()),
            (true, true) => Step::Done,
        });
    }
    let missing = directory.missing(app, &user.oid, &flow.ask.scopes);
    if flow.accepted || (missing.is_empty() && flow.ask.prompt != Prompt::Consent) {
        return Ok(Step::Done);
    }
    if directory.admin_consent_required && !user.admin && !missing.is_empty() {
        return Ok(Step::NeedsAdmin);
    }
    Ok(Step::Consent(everything()))
}

/// Goes on to the next page, or back to the app.
fn proceed(simulator: &Simulator, call: &Call, id: &str, fault: Option<String>) -> Reply {
    let now_ms = simulator.now_ms();
    let mut guard = simulator.lock();
    let state = &mut *guard;
    let Some(flow) = state.directory.flows.get(id).cloned() else {
        drop(guard);
        let refusal = Refusal::bad(
            "invalid_request",
            50089,
            "Authentication failed due to flow token expired.",
        );
        return refuse(simulator, call, Refused::OnPage(refusal));
    };
    let step = match next(state, &flow, now_ms, fault) {
        Ok(step) => step,
        Err(refusal) => {
            drop(guard);
            return refuse(simulator, call, Refused::OnPage(refusal));
        }
    };
    if flow.ask.prompt == Prompt::None
        && let Some(refusal) = not_silent(&step)
    {
        state.directory.flows.remove(id);
        drop(guard);
        return refuse(simulator, call, to_app(&flow.ask, refusal));
    }
    let look = Look {
        flow: id,
        tenant: &state.options.tenant_id,
        redirect_uri: &flow.ask.redirect_uri,
    };
    match step {
        Step::Pick { fault } => {
            let signed_in = if flow.ask.prompt == Prompt::Login {
                Vec::new()
            } else {
                sessions(state, &flow.browser, now_ms)
            };
            let hint = flow.ask.login_hint.as_deref().unwrap_or_default();
            pages::pick(&look, &state.directory.users, &signed_in, hint, fault.as_deref())
        }
        Step::SecondFactor => pages::second_factor(&look, &name(state, &flow)),
        Step::Consent(scopes) => {
            let whole = matches!(flow.ask.purpose, Purpose::AdminConsent { .. });
            pages::consent(&look, &flow.ask.app, &name(state, &flow), &scopes, whole)
        }
        Step::NeedsAdmin => pages::needs_admin(&look, &flow.ask.app, &name(state, &flow)),
        Step::Blocked(refusal) => {
            drop(guard);
            refuse(simulator, call, Refused::OnPage(refusal))
        }
        Step::Done => {
            let parameters = finish(state, id, &flow, now_ms);
            let nonce = guid(&mut state.rng);
            drop(guard);
            back(flow.ask.mode, &flow.ask.redirect_uri, &parameters, &nonce)
        }
    }
}

fn name(state: &State, flow: &Flow) -> String {
    let user = flow.oid.as_deref().and_then(|oid| state.directory.user(oid));
    user.map(|u| u.address.clone()).unwrap_or_default()
}

/// Records the consent and gives the code.
fn finish(state: &mut State, id: &str, flow: &Flow, now_ms: i64) -> Vec<(&'static str, String)> {
    state.directory.flows.remove(id);
    let oid = flow.oid.clone().unwrap_or_default();
    let mut parameters = Vec::new();
    let Some(app) = state.apps.iter().position(|a| a.client_id == flow.ask.app) else {
        return parameters;
    };
    match &flow.ask.purpose {
        Purpose::AdminConsent { scope } => {
            if let Some(app) = state.apps.get_mut(app) {
                super::admin_consent::grant(app, &flow.ask.scopes);
            }
            parameters.push(("admin_consent", "True".to_owned()));
            parameters.push(("tenant", state.options.tenant_id.clone()));
            parameters.push(("scope", scope.clone()));
        }
        Purpose::Code { nonce, challenge } => {
            let session = sessions(state, &flow.browser, now_ms)
                .into_iter()
                .find(|s| s.oid == oid);
            if let Some(app) = state.apps.get(app) {
                let missing = state.directory.missing(app, &oid, &flow.ask.scopes);
                state.directory.consent(app, &oid, missing);
            }
            let code = Code {
                app: flow.ask.app.clone(),
                oid,
                redirect_uri: flow.ask.redirect_uri.clone(),
                tenant: flow.ask.tenant.clone(),
                scopes: flow.ask.scopes.clone(),
                nonce: nonce.clone(),
                challenge: challenge.clone(),
                signed_in_ms: session.as_ref().map_or(now_ms, |s| s.at_ms),
                mfa: session.is_some_and(|s| s.mfa),
                issued_ms: now_ms,
                redeemed: false,
                revoked: false,
            };
            parameters.push(("code", state.directory.grants.add_code(&mut state.rng, code)));
            parameters.push(("session_state", guid(&mut state.rng)));
        }
    }
    parameters.extend(flow.ask.state.clone().map(|s| ("state", s)));
    parameters
}

/// What `prompt=none` answers instead of a page.
fn not_silent(step: &Step) -> Option<Refusal> {
    let needed = |code, text: &str| Some(Refusal::bad("interaction_required", code, text));
    match step {
        Step::Done => None,
        Step::Pick { .. } => Some(Refusal::bad(
            "login_required",
            50058,
            "A silent sign-in request was sent but no user is signed in.",
        )),
        Step::SecondFactor => Some(super::redeem::second_factor_needed()),
        Step::Consent(_) | Step::NeedsAdmin => needed(
            65001,
            "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and resource.",
        ),
        Step::Blocked(refusal) => Some(refusal.clone()),
    }
}

fn to_app(ask: &Ask, refusal: Refusal) -> Refused {
    Refused::Redirected {
        redirect_uri: ask.redirect_uri.clone(),
        mode: ask.mode,
        state: ask.state.clone(),
        refusal,
    }
}

/// Cancel. An admin's refusal says `admin_consent=True` all the same (Microsoft identity platform, "admin consent").
fn declined(ask: &Ask) -> Refused {
    let text = "User declined to consent to access the app.";
    match ask.purpose {
        Purpose::Code { .. } => to_app(ask, Refusal::bad("access_denied", 65004, text)),
        Purpose::AdminConsent { .. } => {
            let sign = if ask.redirect_uri.contains('?') { '&' } else { '?' };
            Refused::Redirected {
                redirect_uri: format!("{}{sign}admin_consent=True", ask.redirect_uri),
                mode: Mode::Query,
                state: ask.state.clone(),
                refusal: Refusal::bad("consent_required", 65004, text),
            }
        }
    }
}
