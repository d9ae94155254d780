//! Answers to a sign-in that was begun here, and what may still be wrong with them.

use std::sync::atomic::Ordering;

use shared::memory::{StoreCall, StoreFault};
use tests::world::ORIGIN;

use super::{
    callback::{SCOPE, answer, who},
    payloads::{check, payloads},
    site::{ADA, Browser, PUBLIC, Site},
};

async fn hollow(seed: u64) -> (Site, shared::credential::Credential, Browser, String) {
    let site = Site::new(seed);
    site.tokens.hollow.store(true, Ordering::SeqCst);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (browser, csrf) = site.console().await;
    (site, credential, browser, csrf)
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_named_is_the_one_that_was_asked() {
    let (site, credential, mut browser, csrf) = hollow(1).await;
    let tenant = site.world.simulator.registration().tenant_id;
    let good = format!("{ORIGIN}/{tenant}/v2.0");
    for (issuer, taken) in [
        (good.clone(), true),
        (format!("{ORIGIN}/{}/v2.0", tenant.replace('5', "6")), false),
        (good.to_uppercase(), false),
        (format!("{good}/"), false),
        (good.replace("http:", "https:"), false),
        (good.replace("simulator.test", "simulator.test.evil.example"), false),
        (good.replace("simulator.test", "simulator.test:81"), false),
        ("https://login.microsoftonline.com/common/v2.0".to_owned(), false),
        ("null".to_owned(), false),
    ] {
        for error in ["", "&error=access_denied"] {
            let path = answer(&site.key(&mut browser, &csrf, &credential).await);
            let named: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
            let before = site.redeemed();
            let seen = site.get(&mut browser, &format!("{path}&iss={named}{error}")).await;
            let page = site.get(&mut browser, seen.header("location")).await;
            assert_eq!(
                page.text.contains("another login host"),
                !taken,
                "{issuer}: {}",
                page.text
            );
            let redeemed = taken && error.is_empty();
            assert_eq!(site.redeemed() - before, usize::from(redeemed), "{issuer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_began_it_must_still_be_allowed_to() {
    let (site, credential, mut browser, csrf) = hollow(2).await;
    let path = answer(&site.key(&mut browser, &csrf, &credential).await);
    let signed_out = site.post(&mut browser, "/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(signed_out.status, 200);
    let seen = site.get(&mut browser, &path).await;
    let page = site.get(&mut browser, seen.header("location")).await;
    assert!(
        page.text.contains("session that began this sign-in is over"),
        "{}",
        page.text
    );
    assert_eq!((site.redeemed(), who(&site).await), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_busy_says_so_and_the_answer_serves_later() {
    let (site, credential, mut browser, csrf) = hollow(3).await;
    let faults = site.world.memory.store.faults();
    for (fault, times, status) in [
        (StoreFault::Conflict, 1, 303),
        (StoreFault::AcknowledgementLost, 1, 303),
        (StoreFault::Unavailable, 1, 303),
        (StoreFault::Unavailable, 1_000, 503),
    ] {
        let path = answer(&site.key(&mut browser, &csrf, &credential).await);
        let before = site.redeemed();
        faults.arm(StoreCall::Update, fault, times);
        let seen = site.get(&mut browser, &path).await;
        assert_eq!(seen.status, status, "{fault:?}: {}", seen.text);
        faults.clear();
        assert_eq!(site.get(&mut browser, &path).await.status, 303, "{fault:?}");
        assert_eq!(site.redeemed() - before, 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_stranger_costs_one_call_of_the_store_at_most() {
    let (site, credential, mut browser, csrf) = hollow(4).await;
    let path = answer(&site.key(&mut browser, &csrf, &credential).await);
    let mut stranger = Browser::default();
    for name in browser.0.keys() {
        stranger.0.insert(name.clone(), "x".repeat(43));
    }
    let faults = site.world.memory.store.faults();
    for browser in [&mut stranger, &mut Browser::default()] {
        // The second call of the store would answer *unavailable*, and the page 503.
        faults.arm_after(None, StoreFault::Unavailable, 1, 10);
        assert_eq!(site.get(browser, &path).await.status, 400);
        faults.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_consent_without_its_yes_is_none() {
    let (site, _, mut browser, csrf) = hollow(5).await;
    for (rest, told) in [
        ("admin_consent=True", "Consented"),
        ("admin_consent=False", "Not signed in"),
        ("code=x", "Not signed in"),
    ] {
        let seen = site
            .post(&mut browser, "/credentials/app/consent", &[("csrf", &csrf)])
            .await;
        let to = url::Url::parse(seen.header("location")).expect("a URL");
        let path = answer(&to).replace("code=a-code", rest);
        let seen = site.get(&mut browser, &path).await;
        let page = site.get(&mut browser, seen.header("location")).await;
        assert!(page.text.contains(told), "{rest}: {}", page.text);
    }
    assert_eq!(site.redeemed(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_an_admin_s_consent_people_sign_in_who_may_not_consent_themselves() {
    let site = Site::new(8);
    site.world.simulator.require_admin_consent(true);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    let seen = site
        .post(&mut browser, "/credentials/app/consent", &[("csrf", &csrf)])
        .await;
    let back = site
        .world
        .click_through(seen.header("location"), "boss@harbour-homes.example")
        .await;
    let seen = site.get(&mut browser, back.strip_prefix(PUBLIC).expect("ours")).await;
    let page = site.get(&mut browser, seen.header("location")).await;
    assert!(page.text.contains("Consented"), "{}", page.text);
    let path = site.back(&mut browser, &csrf, &credential, ADA).await;
    site.get(&mut browser, &path).await;
    assert_eq!(who(&site).await.as_deref(), Some(ADA));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_something_twice_is_none_and_uses_nothing_up() {
    let (site, credential, mut browser, csrf) = hollow(9).await;
    let path = answer(&site.key(&mut browser, &csrf, &credential).await);
    let state = path.rsplit('=').next().expect("a state").to_owned();
    for more in [
        format!("state={state}"),
        "code=b".to_owned(),
        "error=a&error=b".to_owned(),
        "iss=a&iss=b".to_owned(),
        "a=b&".repeat(100),
    ] {
        assert_eq!(
            site.get(&mut browser, &format!("{path}&{more}")).await.status,
            400,
            "{more}"
        );
    }
    assert_eq!(site.redeemed(), 0);
    assert_eq!(site.get(&mut browser, &path).await.status, 303);
    assert_eq!(site.redeemed(), 1);
}

#[tokio::test(start_paused = true)]
async fn hostile_text_beside_a_good_state_comes_out_nowhere() {
    let (site, credential, mut browser, csrf) = hollow(6).await;
    for payload in payloads().iter().step_by(9) {
        for name in [
            "error",
            "error_description",
            "error_uri",
            "iss",
            "session_state",
            "client_info",
            "tenant",
        ] {
            let path = answer(&site.key(&mut browser, &csrf, &credential).await);
            let hostile: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
            let also = if name == "error_description" { "&error=x" } else { "" };
            let path = format!("{path}&{name}={hostile}{also}");
            let seen = site.get(&mut browser, &path).await;
            check(&seen, payload, &path);
            assert!(seen.header("location").starts_with("/authorizations/"), "{path}");
            check(&site.get(&mut browser, seen.header("location")).await, payload, &path);
            browser.0.retain(|name, _| name.contains("session"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn over_tls_cookies_belong_to_this_host_alone_and_browsers_keep_to_tls() {
    let site = Site::at(7, "https://postroom.example");
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    let path = format!("/credentials/{}/authorize", credential.id);
    let sent = site.post(&mut browser, &path, &[("csrf", &csrf)]).await;
    let line = sent.header("set-cookie");
    assert!(line.starts_with("__Host-postroom-signin-"), "{line}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=600", "; Secure"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(
        browser.0.keys().all(|name| name.starts_with("__Host-")),
        "{:?}",
        browser.0.keys()
    );
    // A cookie of the same value under the plain name, as plain http or another host of the site could set it.
    let mut plain = Browser::default();
    for (name, value) in &browser.0 {
        plain
            .0
            .insert(name.trim_start_matches("__Host-").to_owned(), value.clone());
    }
    let back = site.world.click_through(sent.header("location"), ADA).await;
    let back = back.strip_prefix("https://postroom.example").expect("ours").to_owned();
    let mut answers = vec![site.get(&mut plain, &back).await, site.get(&mut plain, "/health").await];
    assert_eq!((answers[0].status, answers[1].status), (400, 401));
    answers.push(site.get(&mut browser, &back).await);
    answers.push(site.get(&mut browser, "/health").await);
    answers.push(site.get(&mut browser, "/nothing").await);
    let statuses: Vec<u16> = answers.iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [400, 401, 303, 200, 404]);
    for seen in answers {
        assert_eq!(
            seen.header("strict-transport-security"),
            "max-age=31536000",
            "{}",
            seen.status
        );
    }
}
