//! Secrets of a sign-in are canaries: looked for in logs at TRACE, records, events and pages, in every form.

use std::sync::PoisonError;

use shared::ports::{Stage, Vault as _};
use url::Url;

use super::{
    callback::SCOPE,
    pages::PAGES,
    site::{ADA, PUBLIC, Site},
};

#[tokio::test(start_paused = true)]
async fn no_secret_of_a_sign_in_stands_anywhere_but_in_the_vault() {
    let site = Site::new(12);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    let path = site.back(&mut browser, &csrf, &credential, ADA).await;
    let seen = site.get(&mut browser, &path).await;
    let mut pages = vec![seen.text.clone(), seen.header("location").to_owned()];
    pages.push(site.get(&mut browser, seen.header("location")).await.text);
    for path in PAGES {
        pages.push(site.get(&mut browser, path).await.text);
    }
    let query = Url::parse(&format!("{PUBLIC}{path}")).expect("a URL");
    let mut secrets: Vec<String> = query
        .query_pairs()
        .filter(|(name, _)| name == "code" || name == "state")
        .map(|(_, value)| value.into_owned())
        .collect();
    assert_eq!(secrets.len(), 2);
    let handed = site
        .tokens
        .handed
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    secrets.extend(handed.iter().map(|secret| secret.expose().to_owned()));
    secrets.extend(browser.0.values().cloned());
    secrets.push(site.world.simulator.registration().client_secret);
    for name in [&credential.access_token, &credential.grant()] {
        let entry = site
            .world
            .memory
            .vault
            .read(name, Stage::Current)
            .await
            .expect("a vault")
            .expect("a secret");
        let text = entry.value.expose();
        let kept: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        secrets.push(kept["refresh_token"].as_str().unwrap_or(text).to_owned());
    }
    assert_eq!(
        secrets.len(),
        10,
        "code, state, code, verifier, nonce, two cookies, client secret, access and refresh token"
    );
    for secret in &secrets {
        assert!(secret.len() > 20, "{secret}");
        assert_eq!(site.world.betrays(secret), Vec::<String>::new());
        for (form, text) in tests::world::forms_of(secret) {
            assert!(
                !pages.iter().any(|page| page.contains(&text)),
                "a secret stands in a page ({form})"
            );
        }
    }
    assert!(!site.world.betrays(ADA).is_empty(), "who looks must be able to find");
    // The csrf token belongs into the pages of its session and nowhere else.
    assert_eq!(site.world.betrays(&csrf), Vec::<String>::new());
}
