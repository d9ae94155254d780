//! Pages: what they show, what they refuse, and that drawing them calls nobody.

use std::sync::atomic::Ordering;

use axum::body::Body;
use simulator::{Delivery, Fault, FaultSpec, RequestKind};
use tests::world::{DESK, ORIGIN};

use super::{
    routes::{ROUTES, filled},
    site::{BEN, Browser, Site},
};

/// Headers every answer carries.
pub(crate) const HEADERS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; form-action 'self'",
    ),
];

/// Pages that need a session.
pub(crate) const PAGES: [&str; 17] = [
    "/credentials",
    "/credentials/new",
    "/credentials/app",
    "/credentials/app/edit",
    "/credentials/app/remove",
    "/accounts",
    "/accounts/new",
    "/accounts/desk",
    "/accounts/desk/remove",
    "/runs",
    "/runs?account=desk",
    "/messages",
    "/messages?search=x",
    "/owed",
    "/health",
    "/errors",
    "/errors?code=AADSTS7000222",
];

#[tokio::test(start_paused = true)]
async fn every_page_needs_a_session_shows_something_and_calls_nobody() {
    let site = Site::new(1);
    site.world.fill(3);
    site.world.usual(|_| {}).await;
    site.world.run("desk").await;
    let (mut browser, _) = site.console().await;
    let (asked, wire) = (site.tokens.asked.load(Ordering::SeqCst), site.world.wire.count());
    for path in PAGES {
        assert_eq!(site.get(&mut Browser::default(), path).await.status, 401, "{path}");
        let seen = site.get(&mut browser, path).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.text);
        assert!(seen.text.contains("<h1>") && seen.text.contains("<nav"), "{path}");
        assert!(
            !seen.text.contains("<script") && !seen.text.contains(" style=") && !seen.text.contains(" onclick"),
            "{path}"
        );
    }
    assert_eq!(
        (site.tokens.asked.load(Ordering::SeqCst), site.world.wire.count()),
        (asked, wire)
    );
}

#[tokio::test(start_paused = true)]
async fn every_answer_carries_the_headers() {
    let site = Site::new(2);
    site.world.usual(|_| {}).await;
    let (mut browser, csrf) = site.console().await;
    let mut seen = Vec::new();
    let others = ["/nothing", "/credentials/none", "/oauth2callback", "/OAuth2Callback/"];
    let routes = ROUTES.iter().map(|route| filled(route, "x"));
    for path in PAGES.into_iter().chain(others).map(str::to_owned).chain(routes) {
        seen.push((path.clone(), site.get(&mut browser, &path).await));
        seen.push((path.clone(), site.get(&mut Browser::default(), &path).await));
        seen.push((path.clone(), site.post(&mut browser, &path, &[("csrf", "wrong")]).await));
        seen.push((path.clone(), site.post(&mut Browser::default(), &path, &[]).await));
    }
    seen.push((
        "long".into(),
        site.get(&mut browser, &format!("/x?{}", "y".repeat(9_000))).await,
    ));
    seen.push((
        "form".into(),
        site.post(&mut browser, "/credentials/new", &[("csrf", &csrf), ("id", "NOT GOOD")])
            .await,
    ));
    for host in [
        "evil.example",
        "127.0.0.1:8400",
        "localhost:9",
        "localhost:8400.evil.example",
        "",
    ] {
        let request = http::Request::get("/credentials").header("host", host);
        seen.push((
            host.into(),
            site.raw(request.body(Body::empty()).expect("a request")).await,
        ));
    }
    let statuses: std::collections::BTreeSet<u16> = seen.iter().map(|(_, seen)| seen.status).collect();
    for status in [200, 303, 307, 400, 401, 403, 404, 405, 410, 414, 421, 422] {
        assert!(statuses.contains(&status), "no answer with {status}: {statuses:?}");
    }
    for (what, seen) in &seen {
        for (name, value) in HEADERS {
            assert!(
                seen.header(name).starts_with(value),
                "{what} ({}): {name} is {:?}",
                seen.status,
                seen.header(name)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_are_not_ours_are_refused_and_loopback_names_are_sent_to_the_one() {
    let site = Site::new(3);
    for (host, status) in [
        ("127.0.0.1:8400", 307),
        ("[::1]:8400", 307),
        ("localhost", 307),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ] {
        let request = http::Request::get("/credentials?a=b").header("host", host);
        let seen = site.raw(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(seen.status, status, "{host}");
        if status == 307 {
            assert_eq!(seen.header("location"), "http://localhost:8400/credentials?a=b");
        }
    }
    let request = http::Request::get("/healthz").header("host", "127.0.0.1:1");
    assert_eq!(
        site.raw(request.body(Body::empty()).expect("a request")).await.status,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn a_credential_and_an_account_are_made_and_what_is_wrong_is_said_beside_the_field() {
    let site = Site::new(4);
    let (mut browser, csrf) = site.console().await;
    let registration = site.world.simulator.registration();
    let token_url = format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id);
    let graph_url = format!("{ORIGIN}/v1.0");
    let good = vec![
        ("csrf", csrf.as_str()),
        ("id", "app"),
        ("description", "Work orders"),
        ("grant_type", "client_credentials"),
        ("token_url", &token_url),
        ("client_id", &registration.client_id),
        ("client_secret", &registration.client_secret),
        ("scope", "https://graph.microsoft.com/.default"),
        ("graph_url", &graph_url),
    ];
    for (name, value, told) in [
        ("id", "Not Good", "a-z"),
        ("grant_type", "", "choose"),
        ("token_url", "https://evil.example/token", "access token URL"),
        ("client_id", "", "client id"),
        ("client_secret", "", "Certificates"),
        ("scope", "Mail.Read", "client credentials take exactly"),
    ] {
        let mut fields = good.clone();
        fields.retain(|(field, _)| *field != name);
        fields.push((name, value));
        let seen = site.post(&mut browser, "/credentials/new", &fields).await;
        assert!(
            seen.status == 422 && seen.text.contains(told),
            "{name}: {} {}",
            seen.status,
            seen.text
        );
        assert!(seen.text.contains("Work orders"), "what was typed stays");
        assert!(
            !seen.text.contains(&registration.client_secret),
            "the secret does not come back"
        );
    }
    let seen = site.post(&mut browser, "/credentials/new", &good).await;
    assert_eq!(
        (seen.status, seen.header("location")),
        (303, "/credentials/app"),
        "{}",
        seen.text
    );
    assert_eq!(
        site.post(&mut browser, "/credentials/new", &good).await.status,
        422,
        "there is one already"
    );
    let seen = site
        .post(&mut browser, "/credentials/app/authorize", &[("csrf", &csrf)])
        .await;
    assert!(
        seen.status == 200 && seen.text.contains("Mail.ReadWrite"),
        "{}",
        seen.text
    );
    an_account_is_made_and_both_are_removed(&site, browser, &csrf).await;
}

async fn an_account_is_made_and_both_are_removed(site: &Site, mut browser: Browser, csrf: &str) {
    let account = vec![
        ("csrf", csrf),
        ("id", "desk"),
        ("mailbox", DESK),
        ("credential", "app"),
        ("folders", "inbox"),
        ("start", "everything"),
        ("after_import", "none"),
        ("every", "5m"),
    ];
    let mut wrong = account.clone();
    wrong.retain(|(field, _)| *field != "mailbox");
    wrong.push(("mailbox", "me"));
    let seen = site.post(&mut browser, "/accounts/new", &wrong).await;
    assert!(
        seen.status == 422 && seen.text.contains("nobody signs in"),
        "{}",
        seen.text
    );
    let seen = site.post(&mut browser, "/accounts/new", &account).await;
    assert_eq!(
        (seen.status, seen.header("location")),
        (303, "/accounts/desk"),
        "{}",
        seen.text
    );
    assert_eq!(
        site.post(&mut browser, "/accounts/desk/import", &[("csrf", csrf)])
            .await
            .status,
        303
    );
    assert!(site.world.row("desk").await.asked_at.is_some());
    let seen = site
        .post(&mut browser, "/credentials/app/remove", &[("csrf", csrf)])
        .await;
    assert!(
        seen.status == 409 && seen.text.contains("desk"),
        "it is applied: {}",
        seen.text
    );
    assert_eq!(
        site.post(&mut browser, "/accounts/desk/remove", &[("csrf", csrf)])
            .await
            .status,
        303
    );
    assert_eq!(
        site.post(&mut browser, "/credentials/app/remove", &[("csrf", csrf)])
            .await
            .status,
        303
    );
    assert_eq!(site.get(&mut browser, "/credentials/app").await.status, 404);
    assert!(site.world.memory.vault.names().is_empty(), "no secret is left behind");
}

#[tokio::test(start_paused = true)]
async fn lists_page_to_their_end_without_a_message_twice() {
    let site = Site::new(5);
    site.world.fill(130);
    site.world.usual(|_| {}).await;
    site.world.settle("desk", 2).await;
    let (mut browser, _) = site.console().await;
    let (mut path, mut all) = ("/messages".to_owned(), Vec::new());
    for _ in 0..10 {
        let seen = site.get(&mut browser, &path).await;
        all.extend(
            seen.text
                .split("href=\"/messages/")
                .skip(1)
                .map(|rest| rest.split('"').next().expect("a link").to_owned()),
        );
        let Some(next) = seen.text.split("rel=\"next\" href=\"").nth(1) else {
            break;
        };
        path = next.split('"').next().expect("a link").replace("&amp;", "&");
    }
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (130, 130));
    let seen = site.get(&mut browser, &format!("/messages/{}", all[7])).await;
    assert!(seen.status == 200 && seen.text.contains("Story"), "{}", seen.text);
    assert_eq!(site.get(&mut browser, "/messages/nothing/here").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_shown_and_tried_again() {
    let site = Site::new(6);
    site.world.fill(2);
    site.world.usual(|_| {}).await;
    site.world.owe(1).await;
    let (mut browser, csrf) = site.console().await;
    let seen = site.get(&mut browser, "/owed").await;
    let retry = seen
        .text
        .split("action=\"/owed/desk/")
        .nth(1)
        .expect("a button")
        .split('"')
        .next()
        .expect("a path")
        .to_owned();
    assert_eq!(
        site.post(&mut browser, &format!("/owed/desk/{retry}"), &[("csrf", &csrf)])
            .await
            .status,
        303
    );
    site.world.settle("desk", 1).await;
    assert!(site.get(&mut browser, "/owed").await.text.contains("Nothing is owed"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_app_is_one_line_on_the_health_page() {
    let site = Site::new(7);
    site.world.usual(|_| {}).await;
    let fault = Fault::Entra {
        status: 401,
        error: "invalid_client".into(),
        code: 7_000_222,
        message: "Expired.".into(),
    };
    site.world.simulator.arm(FaultSpec::once(RequestKind::Token, fault));
    site.world.run("desk").await;
    let (mut browser, _) = site.console().await;
    let seen = site.get(&mut browser, "/health").await;
    assert!(
        seen.text.contains("Microsoft refuses the app") && seen.text.contains("7000222"),
        "{}",
        seen.text
    );
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_shown_as_text_whatever_it_holds() {
    let site = Site::new(8);
    let nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let mail = format!(
        "From: {nasty} <a@b.example>\r\nSubject: {nasty}\r\nMessage-ID: <{nasty}@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\n{nasty}\r\n--b\r\nContent-Type: text/html; name=\"x.html\"\r\nContent-Disposition: attachment; filename=\"<script>alert(3)</script>.html\"\r\n\r\n{nasty}\r\n--b--\r\n"
    );
    site.world
        .simulator
        .deliver(DESK, Delivery::inbox(mail.as_str()))
        .expect("delivered");
    site.world.usual(|_| {}).await;
    site.world.settle("desk", 2).await;
    let (mut browser, _) = site.console().await;
    let list = site.get(&mut browser, "/messages").await;
    let link = list
        .text
        .split("href=\"/messages/")
        .nth(1)
        .expect("a message")
        .split('"')
        .next()
        .expect("a link")
        .to_owned();
    let one = site.get(&mut browser, &format!("/messages/{link}")).await;
    for seen in [list, one] {
        assert!(
            !seen.text.contains("<script") && !seen.text.contains("<img"),
            "{}",
            seen.text
        );
        assert!(seen.text.contains("&lt;script&gt;"), "{}", seen.text);
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_reads_too_much_is_told_on_every_page_of_credentials_with_what_limits_it() {
    let site = Site::new(21);
    site.world.usual(|_| {}).await;
    site.world.simulator.add_mailbox(BEN);
    let (mut browser, csrf) = site.console().await;
    let save = async |browser: &mut Browser, must_read: &str, must_not_read: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("must_read", must_read),
            ("must_not_read", must_not_read),
        ];
        site.post(browser, "/credentials/app/reach", &fields).await
    };
    let wrong = save(&mut browser, "desk", "").await;
    assert!(
        wrong.status == 422 && wrong.text.contains("id=\"must_read-wrong\""),
        "{}",
        wrong.text
    );
    let saved = save(&mut browser, &format!("{DESK}\r\n\r\n"), BEN).await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (303, "/credentials/app"),
        "{}",
        saved.text
    );
    for path in ["/credentials", "/credentials/app", "/health"] {
        let page = site.get(&mut browser, path).await;
        assert!(
            page.text.contains("can read every mailbox of the tenant"),
            "{path}: {}",
            page.text
        );
    }
    let page = site.get(&mut browser, "/credentials/app").await;
    assert!(page.text.contains("reads 1 of 1 allowed, 1 of 1 forbidden") && page.text.contains("New-ManagementScope"));
    let forgotten = save(&mut browser, "", "").await;
    assert_eq!(forgotten.status, 303);
    let page = site.get(&mut browser, "/health").await;
    assert!(page.text.contains("All is well"), "{}", page.text);
    // Nobody but an app of its own has a reach.
    site.world.add_delegated("person", "Mail.Read offline_access").await;
    let page = site.get(&mut browser, "/credentials/person").await;
    assert!(!page.text.contains("What the app reaches"), "{}", page.text);
}
