//! Forms: who may post, once, from where; sessions and one-time links.

use std::time::Duration;

use axum::body::Body;
use futures::future::join_all;
use shared::{records::sessions::Purpose, web::Launches};

use super::site::{Browser, PUBLIC, Site};

/// A post with these headers.
async fn post(site: &Site, browser: &Browser, headers: &[(&str, &str)], body: &str) -> u16 {
    let mut request = http::Request::post("/accounts/desk/pause")
        .header("host", "localhost:8400")
        .header("cookie", browser.line());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.raw(request.body(Body::from(body.to_owned())).expect("a request"))
        .await
        .status
}

#[tokio::test(start_paused = true)]
async fn only_our_own_pages_may_post() {
    let site = Site::new(1);
    site.world.usual(|_| {}).await;
    let (browser, csrf) = site.console().await;
    let (other, other_csrf) = site.console().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = format!("csrf={csrf}");
    let none = Browser::default();
    let big = format!("csrf={csrf}&x={}", "y".repeat(70_000));
    let many: Vec<String> = (0..101).map(|at| format!("f{at}=1")).collect();
    let many = format!("csrf={csrf}&{}", many.join("&"));
    let before = site.world.row("desk").await.revision;
    for (what, browser, headers, body, status) in [
        ("no session", &none, vec![form, ("origin", PUBLIC)], body.as_str(), 401),
        ("no token", &browser, vec![form, ("origin", PUBLIC)], "", 403),
        ("a wrong token", &browser, vec![form, ("origin", PUBLIC)], "csrf=x", 403),
        (
            "another session's token",
            &browser,
            vec![form, ("origin", PUBLIC)],
            &format!("csrf={other_csrf}"),
            403,
        ),
        (
            "our token in another session",
            &other,
            vec![form, ("origin", PUBLIC)],
            &body,
            403,
        ),
        (
            "a foreign origin",
            &browser,
            vec![form, ("origin", "https://evil.example")],
            &body,
            403,
        ),
        (
            "the same host, another port",
            &browser,
            vec![form, ("origin", "http://localhost:9")],
            &body,
            403,
        ),
        ("a null origin", &browser, vec![form, ("origin", "null")], &body, 403),
        ("no origin", &browser, vec![form], &body, 403),
        (
            "no origin, cross-site",
            &browser,
            vec![form, ("sec-fetch-site", "cross-site")],
            &body,
            403,
        ),
        (
            "no form",
            &browser,
            vec![("content-type", "text/plain"), ("origin", PUBLIC)],
            &body,
            415,
        ),
        ("too large", &browser, vec![form, ("origin", PUBLIC)], &big, 413),
        ("too many fields", &browser, vec![form, ("origin", PUBLIC)], &many, 400),
        (
            "a field twice",
            &browser,
            vec![form, ("origin", PUBLIC)],
            &format!("{body}&a=1&a=2"),
            400,
        ),
    ] {
        assert_eq!(post(&site, browser, &headers, body).await, status, "{what}");
    }
    let mut reader = browser.clone();
    assert_eq!(
        site.get(&mut reader, "/accounts/desk/pause").await.status,
        405,
        "GET changes nothing"
    );
    assert_eq!(site.world.row("desk").await.revision, before, "something was changed");
    assert_eq!(post(&site, &browser, &[form, ("origin", PUBLIC)], &body).await, 303);
    for origin in [None, Some("null")] {
        // As a browser sends our own forms: our pages send no referrer, so the origin is hidden.
        let mut headers = vec![form, ("sec-fetch-site", "same-origin")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(post(&site, &browser, &headers, &body).await, 303);
        for site_is in ["cross-site", "same-site", "none"] {
            headers[1] = ("sec-fetch-site", site_is);
            assert_eq!(post(&site, &browser, &headers, &body).await, 403, "{site_is}");
        }
    }
    assert!(!site.world.row("desk").await.account.enabled);
}

#[tokio::test(start_paused = true)]
async fn a_link_opens_the_console_once_and_looking_at_it_uses_nothing_up() {
    let site = Site::new(2);
    let launches = Launches::new(&site.world.ports());
    let path = launches.make(&Purpose::Console).await.expect("a link");
    let token = path.expose().rsplit('/').next().expect("a token").to_owned();
    for _ in 0..5 {
        assert_eq!(site.get(&mut Browser::default(), path.expose()).await.status, 200);
    }
    let all = (0..64).map(|_| {
        let (site, token) = (&site, token.as_str());
        async move {
            site.post(&mut Browser::default(), "/launch", &[("token", token)])
                .await
                .status
        }
    });
    let statuses = join_all(all).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 303).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(site.get(&mut Browser::default(), path.expose()).await.status, 410);
    let late = launches.make(&Purpose::Console).await.expect("a link");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(site.get(&mut Browser::default(), late.expose()).await.status, 410);
    let token = late.expose().rsplit('/').next().expect("a token");
    assert_eq!(
        site.post(&mut Browser::default(), "/launch", &[("token", token)])
            .await
            .status,
        410
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_end_when_nobody_is_there_after_half_a_day_and_by_a_click() {
    let site = Site::new(3);
    let (mut browser, csrf) = site.console().await;
    tokio::time::sleep(Duration::from_secs(2 * 3600 - 1)).await;
    assert_eq!(site.get(&mut browser, "/health").await.status, 200);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(site.get(&mut browser, "/health").await.status, 401, "idle");
    assert_eq!(
        site.post(&mut browser, "/sign-out", &[("csrf", &csrf)]).await.status,
        401
    );
    let (mut browser, csrf) = site.console().await;
    for _ in 0..11 {
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(site.get(&mut browser, "/health").await.status, 200);
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(site.get(&mut browser, "/health").await.status, 401, "absolute");
    let (mut second, other) = site.console().await;
    assert_ne!(csrf, other);
    assert_eq!(
        site.post(&mut second, "/sign-out", &[("csrf", &other)]).await.status,
        200
    );
    assert_eq!(site.get(&mut second, "/health").await.status, 401, "signed out");
}
