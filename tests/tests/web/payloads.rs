//! Hostile text in every parameter of every route: nothing runs, nothing leads elsewhere.

use super::{
    pages::PAGES,
    routes::{NAMES, ROUTES, filled},
    site::{Browser, Site},
};

/// More than 300: each beginning with each end.
pub(crate) fn payloads() -> Vec<String> {
    let heads = [
        "",
        "//",
        "///",
        "\\\\",
        "/\\",
        "https:",
        "javascript:",
        "data:text/html,",
        "%2f%2f",
        "%0d%0aLocation:%20",
        "\r\nSet-Cookie: a=b",
        "http://localhost:8400@",
        ".",
        "/%09/",
        "\u{202e}",
    ];
    let tails = [
        "evil.example",
        "evil.example/%2f..",
        "<script>alert(1)</script>",
        "\"><svg onload=alert(1)>",
        "' onmouseover='alert(1)",
        "</title><script>x</script>",
        "{{7*7}}",
        "${7*7}",
        "<img src=x onerror=alert(1)>",
        "<iframe src=//evil.example>",
        "javascript:alert(1)",
        "\u{0}",
        "%00",
        "<!--",
        "]]>",
        "&#60;script&#62;",
        "<meta http-equiv=refresh content=0;url=//evil.example>",
        "<base href=//evil.example>",
        "<form action=//evil.example>",
        "<style>*{}</style>",
        "';--",
    ];
    heads
        .iter()
        .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
        .collect()
}

/// Beside what pages read: what they might be thought to read.
const PARAMETERS: [&str; 4] = ["return_to", "next", "redirect_uri", "url"];

#[tokio::test(start_paused = true)]
async fn nothing_escapes_and_nothing_leads_elsewhere() {
    let site = Site::new(1);
    site.world.fill(1);
    site.world.usual(|_| {}).await;
    site.world.settle("desk", 2).await;
    let (mut browser, csrf) = site.console().await;
    let all = payloads();
    assert!(all.len() > 300, "{}", all.len());
    let paths: Vec<&str> = PAGES
        .into_iter()
        .chain([
            "/",
            "/OAuth2Callback",
            "/launch/x",
            "/authorizations/x",
            "/nothing",
            "/healthz",
        ])
        .collect();
    let mut looked = 0;
    for (at, payload) in all.iter().enumerate() {
        let encoded: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        for path in &paths {
            let query: Vec<String> = NAMES
                .iter()
                .chain(&PARAMETERS)
                .map(|name| format!("{name}={encoded}"))
                .collect();
            let path = format!("{}?{}", path.split('?').next().expect("a path"), query.join("&"));
            check(&site.get(&mut browser, &path).await, payload, &path);
            looked += 1;
        }
        let inside = encoded.replace('+', "%20");
        for route in ROUTES.iter().filter(|route| route.contains('{')) {
            let path = filled(route, &inside);
            check(&site.get(&mut browser, &path).await, payload, &path);
        }
        if at % 7 == 0 {
            let fields: Vec<(&str, &str)> = NAMES
                .into_iter()
                .filter(|name| !["csrf", "grant_type"].contains(name))
                .map(|name| (name, payload.as_str()))
                .chain([("csrf", csrf.as_str()), ("grant_type", "authorization_code")])
                .collect();
            let routes = ROUTES.iter().filter(|route| **route != "/sign-out");
            let paths = routes.map(|route| filled(route, &inside));
            for path in paths.chain(["/credentials/app/edit".to_owned()]) {
                check(&site.post(&mut browser, &path, &fields).await, payload, &path);
            }
            // The token itself is hostile, too.
            let fields: Vec<(&str, &str)> = NAMES.into_iter().map(|name| (name, payload.as_str())).collect();
            check(
                &site.post(&mut browser, "/sign-out", &fields).await,
                payload,
                "/sign-out",
            );
        }
    }
    println!("{} payloads, {looked} addresses", all.len());
    let mut stranger = Browser::default();
    check(
        &site.get(&mut stranger, "/OAuth2Callback?error=%3Cscript%3E").await,
        "<script>",
        "without a session",
    );
}

pub(crate) fn check(seen: &super::site::Seen, payload: &str, path: &str) {
    let location = seen.header("location");
    let inside =
        location.is_empty() || (location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'));
    assert!(inside, "{path} leads to {location}");
    assert!(
        seen.headers.get_all("set-cookie").iter().count() == 0,
        "{path} set a cookie"
    );
    let active = [
        "<script",
        "<svg on",
        "<img",
        "<iframe",
        "<base",
        "<style",
        "onload=alert(1)>",
        "http-equiv=refresh",
    ];
    let text = seen.text.to_lowercase();
    for one in active {
        assert!(!text.contains(one), "{path}: {payload} came through as {one}");
    }
    if payload.contains('<') || payload.contains('"') {
        assert!(!seen.text.contains(payload), "{path}: {payload} came through as it was");
    }
}
