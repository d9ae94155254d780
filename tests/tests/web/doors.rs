//! What becomes of those who came in: how sessions end, who is told what, and where nobody can come in.

use shared::{
    config::{ConfigError, SignInSettings},
    oauth::Entrance,
    ports::SecretName,
    secret::Secret,
    web::{WebOptions, console_router},
};

use super::{
    sign_in::{COOKIE, MINUTE, PUBLIC, SECRET, serve, settings, signing_in},
    site::{ADA, BEN, Browser, Site},
};

#[tokio::test(start_paused = true)]
async fn sessions_rotate_and_end_idle_at_last_and_by_signing_out() {
    let mut site = signing_in(6).await;
    let mut ada = site.signed_in(ADA).await;
    let status = async |site: &Site, browser: &mut Browser| site.get(browser, "/credentials").await.status;
    // Signing in again is another session, and the former one is over.
    let mut former = ada.clone();
    assert_eq!(site.signs_in(&mut ada, ADA).await.status, 303);
    assert_ne!(former.0[COOKIE], ada.0[COOKIE]);
    assert_eq!(
        (status(&site, &mut former).await, status(&site, &mut ada).await),
        (401, 200)
    );
    // Idle.
    tokio::time::sleep(29 * MINUTE).await;
    assert_eq!(status(&site, &mut ada).await, 200);
    tokio::time::sleep(30 * MINUTE).await;
    assert_eq!(status(&site, &mut ada).await, 401);
    // At last, however busy.
    let mut ada = site.signed_in(ADA).await;
    for _ in 0..23 {
        tokio::time::sleep(20 * MINUTE).await;
        assert_eq!(status(&site, &mut ada).await, 200);
    }
    tokio::time::sleep(20 * MINUTE).await;
    assert_eq!(status(&site, &mut ada).await, 401, "eight hours");
    // Signing out, as a viewer may, too; the cookie goes, and what was kept of it is worth nothing.
    let mut ben = site.signed_in(BEN).await;
    let kept = ben.clone();
    let csrf = site.csrf(&mut ben).await;
    assert_eq!(site.post(&mut ben, "/sign-out", &[("csrf", "x")]).await.status, 403);
    assert_eq!(site.post(&mut ben, "/sign-out", &[("csrf", &csrf)]).await.status, 200);
    assert!(!ben.0.contains_key(COOKIE));
    assert_eq!(status(&site, &mut kept.clone()).await, 401);
    // Other settings: whoever came in under the old ones is out.
    let mut ben = site.signed_in(BEN).await;
    assert_eq!(status(&site, &mut ben).await, 200);
    let changed = SignInSettings {
        viewers: vec!["Others".into()],
        ..settings(&site)
    };
    serve(&mut site, Ok(Some(changed)));
    assert_eq!(status(&site, &mut ben).await, 401);
    // A session of a one-time link opens nothing where there are no such links.
    let links = Site::at(7, PUBLIC);
    let (mut linked, _) = links.console().await;
    let mut moved = links;
    serve(&mut moved, Ok(None));
    assert_eq!(status(&moved, &mut linked).await, 401);
}

#[tokio::test(start_paused = true)]
async fn only_our_own_page_begins_and_a_refusal_repeats_nothing() {
    let mut site = signing_in(8).await;
    let request = http::Request::post("/sign-in")
        .header("host", "post.contoso.example")
        .header("origin", "https://evil.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::empty())
        .expect("a request");
    assert_eq!(site.raw(request).await.status, 403);
    let mut ada = Browser::default();
    let to = site.knock(&mut ada).await;
    let (_, state) = to.query_pairs().find(|(name, _)| name == "state").expect("a state");
    let back =
        format!("/sign-in/callback?state={state}&error=access_denied&error_description=AADSTS50105%3A%3Cscript%3E");
    let seen = site.get(&mut ada, &back).await;
    assert!(
        seen.status == 403 && seen.text.contains("AADSTS50105") && !seen.text.contains("script"),
        "{}",
        seen.text
    );
    assert_eq!(site.get(&mut ada, &back).await.status, 400, "used up");
    // Settings that cannot be used are told, and the API goes on.
    let wrong = ConfigError {
        name: "POSTROOM_SIGN_IN_ISSUER",
        reason: "`common` stands for many tenants".into(),
    };
    serve(&mut site, Err(wrong));
    let seen = site.get(&mut ada, "/credentials").await;
    assert!(
        seen.status == 401 && seen.text.contains("many tenants") && seen.text.contains("SignInIssuer"),
        "{}",
        seen.text
    );
    assert_eq!(site.post(&mut ada, "/sign-in", &[]).await.status, 409);
    let key = site.get(&mut ada, "/api/v1/accounts").await;
    assert_eq!((key.status, key.header("www-authenticate")), (401, "Bearer"));
}

#[tokio::test(start_paused = true)]
async fn the_issuers_trouble_is_told_and_the_secret_never() {
    let site = signing_in(9).await;
    let vault = site.world.ports().vault;
    let name = SecretName("sign-in/console".into());
    let version = vault.version(&name).await.expect("a vault");
    vault
        .put(&name, &Secret::new("a-wrong-secret-of-the-console"), version.as_ref())
        .await
        .expect("stored");
    let seen = site.signs_in(&mut Browser::default(), ADA).await;
    assert!(seen.status == 502 && seen.text.contains("7000215"), "{}", seen.text);
    assert!(site.world.betrays("a-wrong-secret-of-the-console").is_empty());
    assert!(site.world.betrays(SECRET).is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_the_archive_is_closed_a_message_is_told_from_its_record_and_to_operators_only() {
    let mut site = signing_in(10).await;
    site.world.fill(5);
    site.world.usual(|_| {}).await;
    site.world.settle("desk", 2).await;
    let sign_in = settings(&site);
    let open = WebOptions {
        sign_in: Ok(Some(Entrance::new(sign_in.clone()))),
        ..site.options()
    };
    let closed = WebOptions {
        archive: None,
        sign_in: Ok(Some(Entrance::new(sign_in))),
        ..site.options()
    };
    site.router = console_router(closed);
    let (mut ada, mut ben) = (site.signed_in(ADA).await, site.signed_in(BEN).await);
    let all = site.world.messages("desk").await;
    let message = all
        .values()
        .find(|message| message.archived.as_ref().is_some_and(|kept| kept.attachments > 0));
    let message = message.or_else(|| all.values().next()).expect("a message");
    let list = site.get(&mut ben, "/messages").await;
    let link = list
        .text
        .split("href=\"")
        .find(|rest| rest.starts_with("/messages/") && rest.contains(&message.key.0));
    let link = link.expect("a link").split('"').next().expect("it").to_owned();
    let path = &message.archived.as_ref().expect("archived").path;
    let shown = site.get(&mut ada, &link).await;
    for part in [
        format!("{path}/message.eml"),
        "<dt>To</dt>".to_owned(),
        "Story".to_owned(),
        "ArchiveBucket".to_owned(),
    ] {
        assert!(shown.text.contains(&part), "{part}: {}", shown.text);
    }
    let hidden = "What the message says is shown to operators";
    let seen = site.get(&mut ben, &link).await;
    assert!(
        seen.text.contains(hidden) && !seen.text.contains("<dt>To</dt>"),
        "{}",
        seen.text
    );
    // With the archive open it is the same for a viewer.
    site.router = console_router(open);
    let seen = site.get(&mut ben, &link).await;
    assert!(
        seen.text.contains(hidden) && !seen.text.contains("<h2>Text</h2>"),
        "{}",
        seen.text
    );
    assert!(site.get(&mut ada, &link).await.text.contains("<h2>Text</h2>"));
}
