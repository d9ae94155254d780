//! The door of the console: where people sign in, come back, and are told why not.
//!
//! The order of the checks on the way back is the callback's: shape, cookie, one write that consumes, and only then is
//! anything believed or anybody asked.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use maud::{Markup, html};
use url::Url;

use crate::{
    oauth::{Entrance, TokenError, TokenErrorKind, Visitor, proof, random, sha256_hex},
    origin::Origin,
    records::{
        api_keys::Scope,
        audit::Audit,
        authorizations::{Authorizations, Consumed},
        sessions::{Door, Holder, Sessions},
    },
};

use super::{Web, answer::Answer, authorize::FLOW_SECONDS, cookie, form::Fields, guard::FormTargets, page};

/// Where the issuer sends browsers back to.
const BACK: &str = "/sign-in/callback";

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/sign-in", get(look).post(begin))
        .route("/sign-in/callback", get(back))
}

/// The redirect URI to register with the app for the console, below a public URL.
pub(super) fn redirect_uri(public_url: &Url) -> Url {
    let mut url = public_url.clone();
    url.set_path(BACK);
    url
}

/// How somebody gets in here: a button, a one-time link, or what is to be set first.
pub(super) fn door(web: &Web, status: StatusCode) -> Response {
    let body = html! {
        @if status == StatusCode::UNAUTHORIZED { p { "This browser has no session, or it is over." } }
        @match &web.sign_in {
            Ok(Some(_)) => {
                form method="post" action="/sign-in" { button.main type="submit" id="sign-in" { "Sign in" } }
            }
            Ok(None) if !web.one_time_links => (unset(web)),
            Ok(None) => {}
            Err(error) => { p.problem { "Nobody can sign in: " (page::words(&error.to_string())) "." } (unset(web)) }
        }
        @if web.one_time_links {
            p { "On the machine where Postroom runs, " code { "postroom console" } " prints a link that opens the console once." }
        }
    };
    let title = if status == StatusCode::UNAUTHORIZED && web.entrance().is_none() {
        "Please open the console anew"
    } else {
        "Sign in"
    };
    let mut response = page::plain(status, title, &body);
    if let Some(entrance) = web.entrance() {
        let issuer = Url::parse(&entrance.settings().issuer).ok();
        let target = issuer.as_ref().and_then(Origin::of);
        response
            .extensions_mut()
            .insert(FormTargets(target.into_iter().collect()));
    }
    response
}

fn unset(web: &Web) -> Markup {
    html! {
        p { "The sign-in to these pages is to be set up by whoever deploys Postroom. Programs use " code { "/api/v1" } " meanwhile." }
        ol {
            li { "Register an app with your OpenID provider (Entra ID: App registrations, New registration) with this redirect URI (Web): " code { (redirect_uri(&web.public_url)) } }
            li { "Set the parameters " code { "SignInIssuer" } " and " code { "SignInClientId" } ", and " code { "SignInFirstAdmin" } " for the first operator." }
            li { "Store the app's client secret under the name the guide gives, unless it is a public client." }
        }
        p { "The guide is docs/aws.md, " em { "Sign-in to the console" } "." }
    }
}

async fn look(State(web): State<Web>) -> Response {
    door(&web, StatusCode::OK)
}

/// Sends the browser to the issuer.
async fn begin(State(web): State<Web>, _fields: Fields) -> Response {
    let Some(entrance) = web.entrance() else {
        return door(&web, StatusCode::CONFLICT);
    };
    let begun = match entrance.begin(&web.ports, &redirect_uri(&web.public_url)).await {
        Ok(begun) => begun,
        Err(error) => return refused(&error),
    };
    // Browsers hold our `form-action` against redirects; the page names the issuer's own origin and knows no other.
    let issuer = Url::parse(&entrance.settings().issuer).ok();
    let mut response = if issuer.as_ref().and_then(Origin::of) == Origin::of(&begun.location) {
        Redirect::to(begun.location.as_str()).into_response()
    } else {
        let host = begun.location.host_str().unwrap_or_default();
        let body = html! { p { a.button.main id="continue" href=(begun.location) { "Continue to " (host) } } };
        page::plain(StatusCode::OK, "Sign in", &body)
    };
    let name = cookie::flow_name(&web, &begun.key);
    cookie::set(&web, response.headers_mut(), &name, &begun.cookie, FLOW_SECONDS);
    response
}

fn nothing_to_finish() -> Response {
    let body = html! {
        p { "This answer belongs to no sign-in that was begun in this browser within the last ten minutes. Nobody was let in." }
        (again())
    };
    page::plain(StatusCode::BAD_REQUEST, "Nothing to finish here", &body)
}

fn again() -> Markup {
    html! { p { a href="/sign-in" { "Sign in again" } } }
}

fn not_in(status: StatusCode, what: &Markup) -> Response {
    page::plain(status, "Not signed in", &html! { (what) (again()) })
}

/// Why the issuer's word was not taken, or could not be had.
fn refused(error: &TokenError) -> Response {
    tracing::warn!(%error, codes = ?error.codes, trace = error.trace.as_deref().unwrap_or("-"), "nobody was let into the console");
    let status = match error.kind {
        TokenErrorKind::Transient { .. } | TokenErrorKind::Storage => StatusCode::SERVICE_UNAVAILABLE,
        TokenErrorKind::Client | TokenErrorKind::Settings | TokenErrorKind::Unforeseen => StatusCode::BAD_GATEWAY,
        TokenErrorKind::SignIn | TokenErrorKind::Refused => StatusCode::FORBIDDEN,
    };
    not_in(status, &html! { p.problem { (page::words(&error.what)) "." } })
}

async fn back(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(entrance) = web.entrance() else {
        return door(&web, StatusCode::CONFLICT);
    };
    let Some(answer) = Answer::read(uri.query().unwrap_or_default()) else {
        return nothing_to_finish();
    };
    let key = sha256_hex(&answer.state);
    let Some(flow) = cookie::read(&headers, &cookie::flow_name(&web, &key)) else {
        return nothing_to_finish();
    };
    let entries = Authorizations::entries(Arc::clone(&web.ports.store));
    let by = web.ports.rng.hex(16);
    let consumed = entries
        .consume(&key, &sha256_hex(flow.expose()), &by, web.ports.clock.now())
        .await;
    let row = match consumed {
        Ok(Consumed::Now(row)) => row,
        Ok(Consumed::Not(_)) => return nothing_to_finish(),
        Err(error) => return page::trouble(&error.to_string()),
    };
    if let Some(error) = &answer.error {
        return declined(error, &answer.description);
    }
    let Some(code) = &answer.code else {
        return not_in(
            StatusCode::BAD_REQUEST,
            &html! { p.problem { "The answer carries neither a code nor an error." } },
        );
    };
    let proof = proof(&answer.state, &flow, &row.pending.salt);
    let redirect_uri = redirect_uri(&web.public_url);
    let redeemed = entrance
        .redeem(&web.ports, code, answer.issuer.as_deref(), &proof, &redirect_uri)
        .await;
    match redeemed {
        Ok(visitor) => match visitor.scope {
            Some(scope) => let_in(&web, entrance, &visitor, scope, &headers).await,
            None => nothing_allowed(entrance, &visitor),
        },
        Err(error) => refused(&error),
    }
}

/// Our own words for an error; nothing of the answer is repeated but a known number.
fn declined(error: &str, description: &str) -> Response {
    let numbers = TokenError::numbers_in(description);
    let known = TokenError::words_for(&numbers);
    let what = match error {
        "access_denied" => "the person who signed in, or an admin, declined",
        "server_error" | "temporarily_unavailable" => "the issuer has trouble at the moment; try again in a minute",
        _ => "the issuer refused",
    };
    let body = html! {
        p.problem {
            "Not signed in: " (what)
            @if let Some(words) = known { ": " (page::words(&words)) }
            @if let Some(number) = numbers.first() { " (AADSTS" (number) ")" }
            "."
        }
    };
    not_in(StatusCode::FORBIDDEN, &body)
}

fn nothing_allowed(entrance: &Entrance, visitor: &Visitor) -> Response {
    let settings = entrance.settings();
    tracing::warn!(
        subject = visitor.subject,
        "somebody signed in to the console who may do nothing there"
    );
    let body = html! {
        p.problem { "You are " strong { (visitor.who) } ", and nobody gave you a role in Postroom." }
        @if visitor.left_out {
            p { "You are in so many groups that your token names none of them. Roles of the app (claim " code { "roles" } ") have no such limit." }
        }
        p {
            "Ask an administrator for one of these values in the claim " code { (settings.claim) } ": "
            @for value in settings.operators.iter().chain(&settings.viewers) { code { (value) } " " }
            "(Entra ID: Enterprise applications, the app, Users and groups)."
        }
        p.quiet { "Your id there: " code #subject { (visitor.subject) } }
    };
    not_in(StatusCode::FORBIDDEN, &body)
}

/// A session of its own, never one that was there before (fixation); the browser's former one ends.
async fn let_in(web: &Web, entrance: &Entrance, visitor: &Visitor, scope: Scope, headers: &HeaderMap) -> Response {
    let now = web.ports.clock.now();
    let sessions = Sessions::new(Arc::clone(&web.ports.store));
    let name = cookie::session_name(web);
    let door = Door::SignIn {
        settings: entrance.digest().to_owned(),
    };
    let seconds = u32::try_from(door.absolute().as_secs()).unwrap_or(u32::MAX);
    let holder = Holder {
        door,
        scope,
        who: Some(visitor.who.clone()),
        subject: Some(visitor.subject.clone()),
    };
    let value = random(&*web.ports.rng);
    let audit = Audit::new(Arc::clone(&web.ports.store), Arc::clone(&web.ports.rng));
    let word = if scope == Scope::Operator {
        "an operator"
    } else {
        "a viewer"
    };
    let done = async {
        sessions.begin(&value, &holder, now).await?;
        if let Some(former) = cookie::read(headers, &name) {
            sessions.end(&Sessions::key(&former)).await?;
        }
        audit.note(now, &holder.by(), &format!("signed in as {word}")).await
    };
    if let Err(error) = done.await {
        return page::trouble(&error.to_string());
    }
    let mut response = Redirect::to("/credentials").into_response();
    cookie::set(web, response.headers_mut(), &name, &value, seconds);
    response
}
