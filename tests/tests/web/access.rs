//! Who may what: every route and method of pages and API, with each kind of caller, and what it answers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::body::Body;
use serde_json::json;
use shared::{
    config::SignInSettings,
    records::api_keys::{ApiKeys, Scope},
};

use super::{
    api, routes,
    sign_in::{serve, settings, signing_in},
    site::{ADA, BEN, Browser, Site},
};

/// Nobody; a session or key that is over; one for something else; a viewer; an operator.
const CALLERS: [&str; 5] = ["nobody", "expired", "other audience", "viewer", "operator"];

/// Open to everybody, answered alike.
const fn all(status: u16) -> [u16; 5] {
    [status; 5]
}

/// For whoever may look.
const fn look(status: u16) -> [u16; 5] {
    [401, 401, 401, status, status]
}

/// For operators.
const fn operate(status: u16) -> [u16; 5] {
    [401, 401, 401, 403, status]
}

/// Method, route, the path that is asked, what each caller is answered. The order matters: what ends something stands last.
const TABLE: [(&str, &str, &str, [u16; 5]); 66] = [
    ("GET", "/", "/", all(303)),
    ("GET", "/style.css", "/style.css", all(200)),
    ("GET", "/healthz", "/healthz", all(200)),
    ("GET", "/sign-in", "/sign-in", all(200)),
    ("POST", "/sign-in", "/sign-in", all(303)),
    ("GET", "/sign-in/callback", "/sign-in/callback?state=x&code=y", all(400)),
    ("GET", "/authorizations/{key}", "/authorizations/none", all(404)),
    // Another function answers it, and nobody makes one-time links.
    ("GET", "/OAuth2Callback", "/OAuth2Callback", all(404)),
    ("GET", "/launch/{token}", "/launch/none", all(404)),
    ("POST", "/launch", "/launch", all(404)),
    ("GET", "/health", "/health", look(200)),
    ("GET", "/credentials", "/credentials", look(200)),
    ("GET", "/credentials/new", "/credentials/new", operate(200)),
    ("POST", "/credentials/new", "/credentials/new", operate(422)),
    ("GET", "/credentials/{id}", "/credentials/app", look(200)),
    ("GET", "/credentials/{id}/edit", "/credentials/app/edit", operate(200)),
    ("POST", "/credentials/{id}/edit", "/credentials/app/edit", operate(422)),
    (
        "POST",
        "/credentials/{id}/authorize",
        "/credentials/app/authorize",
        operate(200),
    ),
    (
        "POST",
        "/credentials/{id}/consent",
        "/credentials/app/consent",
        operate(303),
    ),
    (
        "POST",
        "/credentials/{id}/reach",
        "/credentials/app/reach",
        operate(303),
    ),
    (
        "GET",
        "/credentials/{id}/remove",
        "/credentials/app/remove",
        operate(200),
    ),
    (
        "POST",
        "/credentials/{id}/remove",
        "/credentials/app/remove",
        operate(409),
    ),
    ("GET", "/accounts", "/accounts", look(200)),
    ("GET", "/accounts/new", "/accounts/new", operate(200)),
    ("POST", "/accounts/new", "/accounts/new", operate(422)),
    ("GET", "/accounts/{id}", "/accounts/desk", look(200)),
    ("POST", "/accounts/{id}/check", "/accounts/desk/check", operate(200)),
    ("POST", "/accounts/{id}/import", "/accounts/desk/import", operate(303)),
    ("POST", "/accounts/{id}/pause", "/accounts/desk/pause", operate(303)),
    ("POST", "/accounts/{id}/resume", "/accounts/desk/resume", operate(303)),
    ("GET", "/accounts/{id}/remove", "/accounts/desk/remove", operate(200)),
    ("GET", "/errors", "/errors", look(200)),
    ("POST", "/redirect-uri/check", "/redirect-uri/check", operate(200)),
    ("GET", "/runs", "/runs", look(200)),
    ("GET", "/messages", "/messages", look(200)),
    ("GET", "/messages/{mailbox}/{key}", "/messages/none/none", look(404)),
    ("GET", "/owed", "/owed", look(200)),
    (
        "POST",
        "/owed/{account}/{key}/retry",
        "/owed/desk/none/retry",
        operate(404),
    ),
    ("GET", "/api/v1/health", "/api/v1/health", look(200)),
    ("GET", "/api/v1/credentials", "/api/v1/credentials", look(200)),
    ("POST", "/api/v1/credentials", "/api/v1/credentials", operate(422)),
    ("GET", "/api/v1/credentials/{id}", "/api/v1/credentials/app", look(200)),
    (
        "POST",
        "/api/v1/credentials/{id}/token",
        "/api/v1/credentials/app/token",
        operate(200),
    ),
    (
        "GET",
        "/api/v1/credentials/{id}/reach",
        "/api/v1/credentials/app/reach",
        look(200),
    ),
    (
        "PUT",
        "/api/v1/credentials/{id}/reach",
        "/api/v1/credentials/app/reach",
        operate(200),
    ),
    (
        "POST",
        "/api/v1/credentials/{id}/reach",
        "/api/v1/credentials/app/reach",
        operate(200),
    ),
    ("GET", "/api/v1/warnings", "/api/v1/warnings", look(200)),
    (
        "POST",
        "/api/v1/redirect-uri/check",
        "/api/v1/redirect-uri/check",
        operate(200),
    ),
    ("GET", "/api/v1/accounts", "/api/v1/accounts", look(200)),
    ("POST", "/api/v1/accounts", "/api/v1/accounts", operate(422)),
    ("GET", "/api/v1/accounts/{id}", "/api/v1/accounts/desk", look(200)),
    ("PATCH", "/api/v1/accounts/{id}", "/api/v1/accounts/desk", operate(200)),
    (
        "POST",
        "/api/v1/accounts/{id}/check",
        "/api/v1/accounts/desk/check",
        operate(200),
    ),
    (
        "POST",
        "/api/v1/accounts/{id}/import",
        "/api/v1/accounts/desk/import",
        operate(202),
    ),
    (
        "POST",
        "/api/v1/accounts/{id}/pause",
        "/api/v1/accounts/desk/pause",
        operate(200),
    ),
    (
        "POST",
        "/api/v1/accounts/{id}/resume",
        "/api/v1/accounts/desk/resume",
        operate(200),
    ),
    ("GET", "/api/v1/messages", "/api/v1/messages?account=desk", look(200)),
    (
        "GET",
        "/api/v1/messages/{mailbox}/{key}",
        "/api/v1/messages/none/none",
        look(404),
    ),
    ("GET", "/api/v1/{*path}", "/api/v1/nothing", look(404)),
    ("POST", "/api/v1/{*path}", "/api/v1/nothing", operate(404)),
    ("PUT", "/api/v1/{*path}", "/api/v1/nothing", operate(404)),
    ("PATCH", "/api/v1/{*path}", "/api/v1/nothing", operate(404)),
    ("DELETE", "/api/v1/{*path}", "/api/v1/nothing", operate(404)),
    // Without `confirm`: it must be said twice.
    ("DELETE", "/api/v1/accounts/{id}", "/api/v1/accounts/desk", operate(422)),
    ("POST", "/accounts/{id}/remove", "/accounts/desk/remove", operate(303)),
    ("POST", "/sign-out", "/sign-out", look(200)),
];

/// Somebody with what they hold for pages and for the API.
#[derive(Clone, Default)]
struct Caller {
    browser: Browser,
    csrf: String,
    bearer: Option<String>,
}

async fn key(site: &Site, scope: Scope, days: u32) -> String {
    let ports = site.world.ports();
    let keys = ApiKeys::new(Arc::clone(&ports.store));
    let made = keys.make("test", scope, days, &*ports.rng, ports.clock.now()).await;
    made.expect("a key").1.expose().to_owned()
}

async fn caller(site: &Site, who: &str, scope: Scope) -> Caller {
    let mut browser = site.signed_in(who).await;
    Caller {
        csrf: site.csrf(&mut browser).await,
        browser,
        bearer: Some(key(site, scope, 1).await),
    }
}

async fn ask(site: &Site, caller: &Caller, method: &str, path: &str) -> u16 {
    let is_api = path.starts_with("/api/");
    let mut request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "post.contoso.example")
        .header("origin", super::sign_in::PUBLIC)
        // Pages and API are both given everything the caller has: neither may look at what is the other's.
        .header("cookie", caller.browser.line());
    if let Some(bearer) = &caller.bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    let (kind, body) = if is_api {
        ("application/json", json!({}).to_string())
    } else {
        ("application/x-www-form-urlencoded", format!("csrf={}", caller.csrf))
    };
    let request = request.header("content-type", kind).body(Body::from(body));
    site.raw(request.expect("a request")).await.status
}

async fn callers(site: &mut Site) -> [Caller; 5] {
    let expired = caller(site, ADA, Scope::Operator).await;
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
    // Somebody let in by another app of the same issuer; for the API, a session's cookie in place of a key.
    let right = settings(site);
    let others = SignInSettings {
        operators: vec!["Postroom.Operator".into(), "Others".into()],
        ..right.clone()
    };
    serve(site, Ok(Some(others)));
    let mut other = caller(site, ADA, Scope::Operator).await;
    other.bearer = other.browser.0.values().next().cloned();
    serve(site, Ok(Some(right)));
    let viewer = caller(site, BEN, Scope::Viewer).await;
    let operator = caller(site, ADA, Scope::Operator).await;
    [Caller::default(), expired, other, viewer, operator]
}

#[tokio::test(start_paused = true)]
async fn every_route_answers_every_caller_as_the_table_says() {
    let mut site = signing_in(11).await;
    let callers = callers(&mut site).await;
    site.world.fill(2);
    site.world.usual(|_| {}).await;
    site.world.run("desk").await;
    let mut wrong: Vec<String> = Vec::new();
    for (method, _, path, wanted) in TABLE {
        for ((name, caller), wanted) in CALLERS.iter().zip(&callers).zip(wanted) {
            let found = ask(&site, caller, method, path).await;
            if found != wanted {
                wrong.push(format!("{method} {path} as {name}: {found}, the table says {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_table_knows_every_route_and_every_method() {
    let known: BTreeSet<&str> = TABLE.iter().map(|(_, route, ..)| *route).collect();
    let there: BTreeSet<&str> = routes::ROUTES.into_iter().chain(api::ROUTES).collect();
    assert_eq!(known, there, "a route needs a row for each of its methods");
    let mut site = signing_in(12).await;
    let [.., operator] = callers(&mut site).await;
    for (_, route, path, _) in TABLE {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let row = TABLE.iter().any(|(one, other, ..)| (*one, *other) == (method, route));
            if !row {
                let found = ask(&site, &operator, method, path).await;
                assert!(
                    [404, 405].contains(&found),
                    "{method} {path} answers {found} and has no row"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_is_shown_no_button_but_the_way_out() {
    let mut site = signing_in(13).await;
    site.world.fill(3);
    site.world.usual(|_| {}).await;
    site.world.owe(1).await;
    let [.., viewer, operator] = callers(&mut site).await;
    for (method, route, path, wanted) in TABLE {
        if method != "GET" || wanted != look(200) || route.starts_with("/api/") {
            continue;
        }
        let buttons = async |caller: &Caller| {
            let seen = site.get(&mut caller.browser.clone(), path).await;
            let posts = seen.text.matches("method=\"post\"").count();
            let leads = ["/new\"", "/edit\"", "/remove\""].map(|end| seen.text.matches(end).count());
            (posts, leads.iter().sum::<usize>())
        };
        let way_out = usize::from(path == "/health");
        assert_eq!(buttons(&viewer).await, (way_out, 0), "{path}");
        if ["/credentials", "/credentials/app", "/accounts/desk", "/owed"].contains(&path) {
            assert!(buttons(&operator).await.0 > 0, "{path}: an operator has some");
        }
    }
}
