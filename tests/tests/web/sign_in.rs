//! Signing in to the console: the whole way against the simulated Microsoft, and what is not believed.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use shared::{
    config::{ConfigError, SignInSettings},
    oauth::Entrance,
    ports::{Http, SecretName},
    records::audit::Audit,
    secret::Secret,
    web::{WebOptions, console_router, sign_in_uri},
};
use tests::world::{Altered, ORIGIN, forgeries};
use url::Url;

use super::site::{ADA, BEN, Browser, Seen, Site};

pub(crate) const PUBLIC: &str = "https://post.contoso.example";
/// The app that is registered for the console.
pub(crate) const CONSOLE: &str = "c0750000-0000-4000-8000-00000000c0de";
pub(crate) const SECRET: &str = "the-secret-of-the-console-app";
pub(crate) const COOKIE: &str = "__Host-postroom-session";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The settings under which Ada operates and Ben looks.
pub(crate) fn settings(site: &Site) -> SignInSettings {
    SignInSettings {
        issuer: format!("{ORIGIN}/{}/v2.0", site.world.simulator.registration().tenant_id),
        client_id: CONSOLE.into(),
        claim: "roles".into(),
        operators: vec!["Postroom.Operator".into()],
        viewers: vec!["Postroom.Viewer".into()],
        first_admin: None,
    }
}

/// The console as a function of its own, with this sign-in.
pub(crate) fn serve(site: &mut Site, sign_in: Result<Option<SignInSettings>, ConfigError>) {
    let options = WebOptions {
        sign_in: sign_in.map(|settings| settings.map(Entrance::new)),
        one_time_links: false,
        ..site.options()
    };
    site.router = console_router(options);
}

/// The same over a wire whose answers can be changed.
fn over_altered_wire(site: &mut Site) -> Arc<Altered> {
    let altered = Altered::new(&site.world);
    let mut options = WebOptions {
        sign_in: Ok(Some(Entrance::new(settings(site)))),
        one_time_links: false,
        ..site.options()
    };
    options.ports.http = Arc::clone(&altered) as Arc<dyn Http>;
    site.router = console_router(options);
    altered
}

/// A site whose console has an app at the simulated Microsoft, a secret there, an operator (Ada) and a viewer (Ben).
pub(crate) async fn signing_in(seed: u64) -> Site {
    let mut site = Site::at(seed, PUBLIC);
    let microsoft = &site.world.simulator;
    microsoft.register_app(CONSOLE, SECRET, &[]);
    let back = sign_in_uri(&Url::parse(PUBLIC).expect("a URL"));
    microsoft
        .register_redirect_uri(CONSOLE, back.as_str())
        .expect("registered");
    for (who, role) in [(ADA, "Postroom.Operator"), (BEN, "Postroom.Viewer")] {
        microsoft.assign_app_roles(CONSOLE, who, &[role]).expect("assigned");
    }
    let vault = site.world.ports().vault;
    let name = SecretName("sign-in/console".into());
    vault.put(&name, &Secret::new(SECRET), None).await.expect("stored");
    let settings = settings(&site);
    serve(&mut site, Ok(Some(settings)));
    site
}

impl Site {
    /// The button: where the issuer's page is.
    pub(crate) async fn knock(&self, browser: &mut Browser) -> Url {
        let seen = self.post(browser, "/sign-in", &[]).await;
        assert_eq!(seen.status, 303, "{}", seen.text);
        Url::parse(seen.header("location")).expect("a URL")
    }

    /// The button and the issuer's pages: the address the browser is sent back to.
    async fn as_far_as_the_code(&self, browser: &mut Browser, who: &str) -> String {
        let to = self.knock(browser).await;
        let back = self.world.click_through(to.as_str(), who).await;
        let path = back.strip_prefix(PUBLIC);
        path.unwrap_or_else(|| panic!("sent elsewhere: {back}")).to_owned()
    }

    /// The whole way in.
    pub(crate) async fn signs_in(&self, browser: &mut Browser, who: &str) -> Seen {
        let back = self.as_far_as_the_code(browser, who).await;
        self.get(browser, &back).await
    }

    /// A browser in which somebody has signed in.
    pub(crate) async fn signed_in(&self, who: &str) -> Browser {
        let mut browser = Browser::default();
        let seen = self.signs_in(&mut browser, who).await;
        assert_eq!(
            (seen.status, seen.header("location")),
            (303, "/credentials"),
            "{}",
            seen.text
        );
        browser
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_and_a_viewer_sign_in_and_it_is_noted() {
    let site = signing_in(1).await;
    let mut nobody = Browser::default();
    let page = site.get(&mut nobody, "/credentials").await;
    assert!(
        page.status == 401 && page.text.contains("action=\"/sign-in\""),
        "{}",
        page.text
    );
    assert!(
        page.header("content-security-policy")
            .contains(&format!("form-action 'self' {ORIGIN};"))
    );
    let to = site.knock(&mut nobody).await;
    let query: std::collections::HashMap<_, _> = to.query_pairs().collect();
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["redirect_uri"], format!("{PUBLIC}/sign-in/callback"));
    assert!(query["nonce"].len() == 43 && query["state"].len() == 43 && query["code_challenge"].len() == 43);

    let mut ada = site.signed_in(ADA).await;
    let mut ben = site.signed_in(BEN).await;
    assert!(ada.0.contains_key(COOKIE), "{:?}", ada.0.keys());
    for (browser, who) in [
        (&mut ada, format!("{ADA} (operator)")),
        (&mut ben, format!("{BEN} (viewer)")),
    ] {
        let seen = site.get(browser, "/health").await;
        assert!(seen.status == 200 && seen.text.contains(&who), "{}", seen.text);
    }
    let ports = site.world.ports();
    let acts = Audit::new(ports.store, ports.rng)
        .page(10, None)
        .await
        .expect("acts")
        .records;
    let noted: BTreeSet<_> = acts.iter().map(|act| (act.by.as_str(), act.what.as_str())).collect();
    // A name can be chosen to look like another; what follows it cannot.
    let users = site.world.simulator.users();
    let [ada, ben] = [ADA, BEN].map(|who| {
        let oid = &users.iter().find(|user| user.address == who).expect("a user").oid;
        format!("console: {who} ({oid})")
    });
    let wanted = [
        (ada.as_str(), "signed in as an operator"),
        (ben.as_str(), "signed in as a viewer"),
    ];
    assert_eq!(noted, BTreeSet::from(wanted));
}

#[tokio::test(start_paused = true)]
async fn without_a_role_there_is_no_access_but_for_the_first_admin() {
    let mut site = signing_in(2).await;
    for roles in [
        &[][..],
        &["Postroom.operator"],
        &["Postroom.Operator "],
        &["Postroom.Operator,x"],
    ] {
        site.world
            .simulator
            .assign_app_roles(CONSOLE, ADA, roles)
            .expect("assigned");
        let mut ada = Browser::default();
        let seen = site.signs_in(&mut ada, ADA).await;
        assert!(
            seen.status == 403 && seen.text.contains("nobody gave you a role"),
            "{roles:?}: {}",
            seen.text
        );
        assert!(!ada.0.contains_key(COOKIE));
        assert_eq!(site.get(&mut ada, "/credentials").await.status, 401);
    }
    let users = site.world.simulator.users();
    let oid = &users.iter().find(|user| user.address == ADA).expect("Ada").oid;
    let with_admin = |first: &str| SignInSettings {
        first_admin: Some(first.to_owned()),
        ..settings(&site)
    };
    let (by_id, by_name) = (with_admin(oid), with_admin("Ada Moor"));
    site.world
        .simulator
        .assign_app_roles(CONSOLE, ADA, &[])
        .expect("assigned");
    serve(&mut site, Ok(Some(by_name)));
    assert_eq!(site.signs_in(&mut Browser::default(), ADA).await.status, 403);
    serve(&mut site, Ok(Some(by_id)));
    let mut ada = site.signed_in(ADA).await;
    assert_eq!(site.get(&mut ada, "/credentials/new").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_serves_one_browser_once_and_ten_minutes() {
    let site = signing_in(3).await;
    let refused = |seen: &Seen| {
        assert!(
            seen.status == 400 && seen.text.contains("Nobody was let in"),
            "{}",
            seen.text
        );
        assert_eq!(seen.header("set-cookie"), "");
    };
    // Another browser's state, with and without a flow of its own.
    let mut ada = Browser::default();
    let back = site.as_far_as_the_code(&mut ada, ADA).await;
    let mut stranger = Browser::default();
    refused(&site.get(&mut stranger, &back).await);
    site.knock(&mut stranger).await;
    refused(&site.get(&mut stranger, &back).await);
    let stolen = ada.0.iter().next().expect("a cookie").0.clone();
    stranger.0.insert(stolen, "A".repeat(43));
    let asked = site.world.wire.count();
    refused(&site.get(&mut stranger, &back).await);
    assert_eq!(site.world.wire.count(), asked, "nobody is asked for what is not ours");
    // The same answer once more, in the right browser: nobody gets a second session.
    let (mut once, mut twice) = (ada.clone(), ada.clone());
    assert_eq!(site.get(&mut once, &back).await.status, 303);
    refused(&site.get(&mut twice, &back).await);
    // A code of another sign-in under a new state: PKCE and nonce belong to that one.
    let mut late = Browser::default();
    let first = site.as_far_as_the_code(&mut late, ADA).await;
    let second = site.as_far_as_the_code(&mut late, ADA).await;
    let code = |path: &str| {
        path.split("code=")
            .nth(1)
            .expect("a code")
            .split('&')
            .next()
            .expect("it")
            .to_owned()
    };
    let mixed = second.replace(&code(&second), &code(&first));
    assert_eq!(site.get(&mut late, &mixed).await.status, 403);
    // Ten minutes.
    let back = site.as_far_as_the_code(&mut late, ADA).await;
    tokio::time::sleep(10 * MINUTE).await;
    refused(&site.get(&mut late, &back).await);
    for bad in [
        "/sign-in/callback",
        "/sign-in/callback?state=x&code=y",
        "/sign-in/callback?code=y&code=y",
    ] {
        refused(&site.get(&mut late, bad).await);
    }
    assert!(!late.0.contains_key(COOKIE));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_wrong_in_one_point_lets_nobody_in() {
    let mut site = signing_in(4).await;
    let altered = over_altered_wire(&mut site);
    let all = forgeries(&site.world, CONSOLE);
    assert!(all.len() >= 25, "{}", all.len());
    for (what, forgery) in all {
        let simulator = site.world.simulator.clone();
        altered.json(move |_, answer| {
            if let Some(token) = answer.get("id_token").and_then(Value::as_str) {
                answer["id_token"] = forgery.of(&simulator, token).into();
            }
        });
        let mut ada = Browser::default();
        let seen = site.signs_in(&mut ada, ADA).await;
        assert!(
            seen.status == 403 && seen.text.contains("Not signed in"),
            "{what}: {} {}",
            seen.status,
            seen.text
        );
        assert!(!ada.0.contains_key(COOKIE), "{what}");
    }
    // No id token at all; another issuer in the answer; the issuer describes itself as somebody else.
    altered.json(|_, answer| {
        if let Some(all) = answer.as_object_mut() {
            all.remove("id_token");
        }
    });
    assert_eq!(site.signs_in(&mut Browser::default(), ADA).await.status, 403);
    altered.json(|_, _| {});
    let mut ada = Browser::default();
    let back = site.as_far_as_the_code(&mut ada, ADA).await;
    assert_eq!(
        site.get(&mut ada, &format!("{back}&iss=https%3A%2F%2Fevil.example"))
            .await
            .status,
        403
    );
    assert_eq!(site.signs_in(&mut ada, ADA).await.status, 303, "nothing of it stuck");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_somebody_else_or_names_odd_addresses_is_asked_nothing() {
    for (name, value) in [
        ("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
        ("issuer", json!("https://evil.example")),
        ("token_endpoint", json!("http://evil.example/token")),
        ("token_endpoint", json!("https://169.254.169.254/token")),
        ("authorization_endpoint", json!("http://evil.example/authorize")),
        ("jwks_uri", json!("https://a:b@evil.example/keys")),
        ("authorization_endpoint", Value::Null),
    ] {
        let mut site = signing_in(5).await;
        let altered = over_altered_wire(&mut site);
        let to = value.clone();
        altered.json(move |path, answer| {
            if path.ends_with("openid-configuration") {
                answer[name] = to.clone();
            }
        });
        let mut browser = Browser::default();
        let seen = site.post(&mut browser, "/sign-in", &[]).await;
        assert_eq!(seen.status, 502, "{name} {value}: {}", seen.text);
        assert!(browser.0.is_empty() && seen.header("location").is_empty());
    }
}
