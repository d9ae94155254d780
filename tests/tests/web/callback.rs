//! The callback contract (O-1 to O-30): who may finish a sign-in, once, and what anybody else gets.

use std::time::Duration;

use axum::body::Body;
use futures::future::join_all;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use shared::records::credentials::Credentials;
use tests::world::{DESK, Point};
use url::Url;

use super::site::{ADA, BEN, Browser, PUBLIC, Site};

pub(crate) const SCOPE: &str = "Mail.ReadWrite offline_access";

fn seeds() -> u64 {
    let set = tests::binary::setting("POSTROOM_CALLBACK_SEEDS");
    set.map_or(1_000, |text| text.parse().expect("a number of seeds"))
}

/// Who the credential is bound to.
pub(crate) async fn who(site: &Site) -> Option<String> {
    let store = std::sync::Arc::new(site.world.memory.store.clone());
    let row = Credentials::new(store).get("app").await.expect("a credential");
    row.sign_in.map(|sign_in| sign_in.who().to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_key_leads_to_microsoft_and_back_to_a_clean_address() {
    let site = Site::new(1);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    let to = site.key(&mut browser, &csrf, &credential).await;
    let query: std::collections::BTreeMap<String, String> = to.query_pairs().into_owned().collect();
    assert_eq!(query["prompt"], "select_account", "what was typed stays");
    assert_eq!(query["scope"], "openid profile Mail.ReadWrite offline_access");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["redirect_uri"], format!("{PUBLIC}/OAuth2Callback"));
    assert_eq!(query["state"].len(), 43);
    let back = site.world.click_through(to.as_str(), ADA).await;
    let seen = site.get(&mut browser, back.strip_prefix(PUBLIC).expect("ours")).await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    let result = seen.header("location").to_owned();
    assert!(
        result.starts_with("/authorizations/") && !result.contains('?'),
        "{result}"
    );
    for _ in 0..2 {
        let page = site.get(&mut browser, &result).await;
        assert!(
            page.status == 200 && page.text.contains("Signed in") && page.text.contains(ADA),
            "{}",
            page.text
        );
    }
    // The same answer again, in the same browser: the first outcome, and nobody is asked. Elsewhere: nothing.
    let again = site.get(&mut browser, back.strip_prefix(PUBLIC).expect("ours")).await;
    assert_eq!((again.status, again.header("location")), (303, result.as_str()));
    let mut stranger = Browser::default();
    assert_eq!(
        site.get(&mut stranger, back.strip_prefix(PUBLIC).expect("ours"))
            .await
            .status,
        400
    );
    assert_eq!(site.get(&mut stranger, &result).await.status, 404);
    assert_eq!(site.redeemed(), 1);
    assert_eq!(who(&site).await.as_deref(), Some(ADA));
}

/// A callback's address with a code nobody gave out, for the flow the browser was just sent on.
pub(crate) fn answer(to: &Url) -> String {
    let state = to
        .query_pairs()
        .find(|(name, _)| name == "state")
        .expect("a state")
        .1
        .into_owned();
    format!("/OAuth2Callback?code=a-code&state={state}")
}

#[tokio::test(start_paused = true)]
async fn sixty_four_identical_callbacks_redeem_once() {
    let site = Site::new(2);
    site.tokens.hollow.store(true, std::sync::atomic::Ordering::SeqCst);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    for seed in 0..seeds() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let path = answer(&site.key(&mut browser, &csrf, &credential).await);
        let before = site.redeemed();
        let all = (0..64).map(|_| {
            let (pause, yields, mut browser) = (rng.random_range(0..3_u64), rng.random_range(0..9), browser.clone());
            let (site, path) = (&site, path.as_str());
            async move {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                let seen = site.get(&mut browser, path).await;
                (seen.status, seen.header("location").to_owned())
            }
        });
        let seen = join_all(all).await;
        assert_eq!(site.redeemed() - before, 1, "seed {seed}");
        assert!(
            seen.iter().all(|one| *one == seen[0] && one.0 == 303),
            "seed {seed}: {seen:?}"
        );
        browser.0.retain(|name, _| name.contains("session"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_bogus_callbacks_ask_nobody_and_change_nothing() {
    let site = Site::new(3);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    let good = answer(&site.key(&mut browser, &csrf, &credential).await);
    let state = good.rsplit('=').next().expect("a state").to_owned();
    let before = site.world.memory.store.dump();
    let asked = site.world.wire.count();
    let mut rng = SmallRng::seed_from_u64(3);
    for at in 0..1_000 {
        let random: String = (0..43)
            .map(|_| char::from(b"abcdefXYZ_-019"[rng.random_range(0..14)]))
            .collect();
        let path = match at % 10 {
            0 => format!("/OAuth2Callback?code=x&state={random}"),
            1 => "/OAuth2Callback".to_owned(),
            2 => format!("/OAuth2Callback?state={state}&state={state}&code=x"),
            3 => format!("/OAuth2Callback?error=access_denied&state={random}"),
            4 => format!("/OAuth2Callback?code=x&code=y&state={state}"),
            5 => format!("/OAuth2Callback?{}", "a=b&".repeat(101)),
            6 => format!("/OAuth2Callback?state={}&code=x", &random[..at % 40]),
            7 => format!("/OAuth2Callback?admin_consent=True&tenant={random}&state={random}"),
            8 => format!("/OAuth2Callback?code={}&state={random}", "x".repeat(9_000)),
            _ => format!("/OAuth2Callback?code=x&state={state}{random}"),
        };
        let mut other = Browser::default();
        // Some bring a cookie of the right name with a wrong value.
        let name = browser
            .0
            .keys()
            .find(|name| name.contains("signin"))
            .expect("a cookie")
            .clone();
        other.0.insert(name, random.clone());
        let seen = site.get(&mut other, &path).await;
        assert!(matches!(seen.status, 400 | 414), "{path}: {}", seen.status);
        assert!(!seen.text.contains(&random), "reflected");
    }
    assert_eq!((site.redeemed(), site.world.wire.count()), (0, asked));
    assert_eq!(site.world.memory.store.dump(), before, "something was written");
    // And the real one still serves.
    site.tokens.hollow.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(site.get(&mut browser, &good).await.status, 303);
    assert_eq!(site.redeemed(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_browser_or_another_flow_s_cookie_finishes_nothing() {
    let site = Site::new(4);
    site.tokens.hollow.store(true, std::sync::atomic::Ordering::SeqCst);
    let credential = site.world.add_delegated("app", SCOPE).await;
    for _ in 0..100 {
        let (mut victim, csrf) = site.console().await;
        let first = answer(&site.key(&mut victim, &csrf, &credential).await);
        let (mut attacker, other_csrf) = site.console().await;
        let second = answer(&site.key(&mut attacker, &other_csrf, &credential).await);
        // The victim opens the attacker's link; the attacker finishes the victim's; nobody has a cookie; a cookie of the
        // right name holds the other flow's value.
        assert_eq!(site.get(&mut victim, &second).await.status, 400);
        assert_eq!(site.get(&mut attacker, &first).await.status, 400);
        assert_eq!(site.get(&mut Browser::default(), &first).await.status, 400);
        let value = attacker
            .0
            .iter()
            .find(|(name, _)| name.contains("signin"))
            .expect("a cookie")
            .1
            .clone();
        let mut mixed = victim.clone();
        for (name, held) in &mut mixed.0 {
            if name.contains("signin") {
                held.clone_from(&value);
            }
        }
        assert_eq!(site.get(&mut mixed, &first).await.status, 400);
        assert_eq!(site.redeemed(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_and_not_a_second_more() {
    for (seconds, status) in [(599, 303), (600, 400)] {
        let site = Site::new(5);
        site.tokens.hollow.store(true, std::sync::atomic::Ordering::SeqCst);
        let credential = site.world.add_delegated("app", SCOPE).await;
        let (mut browser, csrf) = site.console().await;
        let path = answer(&site.key(&mut browser, &csrf, &credential).await);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(site.get(&mut browser, &path).await.status, status, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_browser_says_of_itself_binds_nobody() {
    let site = Site::new(6);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    let path = site.back(&mut browser, &csrf, &credential, ADA).await;
    site.get(&mut browser, &path).await;
    assert_eq!(who(&site).await.as_deref(), Some(ADA));
    // Forged parameters beside Ben's own code change nothing: Ben is not Ada.
    let forged = "&client_info=eyJ1aWQiOiJhZGEifQ&tenant=other&admin_consent=True&id_token=x&username=ada";
    let path = site.back(&mut browser, &csrf, &credential, BEN).await;
    let seen = site.get(&mut browser, &format!("{path}{forged}")).await;
    let page = site.get(&mut browser, seen.header("location")).await;
    assert!(
        page.text.contains("Not signed in") && page.text.contains("belongs to somebody else"),
        "{}",
        page.text
    );
    assert_eq!(who(&site).await.as_deref(), Some(ADA));
    // Another login host says it was it (RFC 9207), on success and on errors.
    let before = site.redeemed();
    for rest in ["code=x", "error=access_denied"] {
        let to = site.key(&mut browser, &csrf, &credential).await;
        let path = answer(&to).replace("code=a-code", rest);
        let seen = site
            .get(&mut browser, &format!("{path}&iss=https%3A%2F%2Fevil.example%2Fv2.0"))
            .await;
        let page = site.get(&mut browser, seen.header("location")).await;
        assert!(page.text.contains("another login host"), "{}", page.text);
    }
    assert_eq!(site.redeemed(), before);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_in_our_words_and_nothing_is_repeated() {
    let site = Site::new(7);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    for (error, description, told) in [
        ("access_denied", "AADSTS65004: no <script>alert(1)</script>", "declined"),
        ("server_error", "zzz-marker", "try again"),
        ("zzz-unknown", "AADSTS90094: zzz-marker", "AADSTS90094"),
    ] {
        let to = site.key(&mut browser, &csrf, &credential).await;
        let rest: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("error", error)
            .append_pair("error_description", description)
            .append_pair("error_uri", "https://evil.example/zzz-marker")
            .finish();
        let path = answer(&to).replace("code=a-code", &rest);
        let seen = site.get(&mut browser, &path).await;
        let page = site.get(&mut browser, seen.header("location")).await;
        assert!(page.text.contains(told), "{}", page.text);
        assert!(
            !page.text.contains("zzz-") && !page.text.contains("<script"),
            "{}",
            page.text
        );
    }
    assert_eq!(site.redeemed(), 0);
}

#[tokio::test(start_paused = true)]
async fn admin_consent_binds_nobody_and_its_refusal_says_true_as_well() {
    let site = Site::new(8);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (mut browser, csrf) = site.console().await;
    for (rest, told) in [
        ("admin_consent=True&tenant=somebody-elses", "Consented"),
        (
            "admin_consent=True&error=consent_required&error_description=AADSTS65004",
            "Not signed in",
        ),
    ] {
        let seen = site
            .post(&mut browser, "/credentials/app/consent", &[("csrf", &csrf)])
            .await;
        let to = Url::parse(seen.header("location")).expect("a URL");
        assert!(to.path().ends_with("/v2.0/adminconsent"), "{to}");
        let path = answer(&to).replace("code=a-code", rest);
        let seen = site.get(&mut browser, &path).await;
        let page = site.get(&mut browser, seen.header("location")).await;
        assert!(page.text.contains(told), "{}", page.text);
    }
    assert_eq!((site.redeemed(), who(&site).await), (0, None));
    let _ = credential;
}

#[tokio::test(start_paused = true)]
async fn names_in_headers_do_not_move_the_redirect_uri() {
    let site = Site::new(9);
    let credential = site.world.add_delegated("app", SCOPE).await;
    let (browser, csrf) = site.console().await;
    let mut rng = SmallRng::seed_from_u64(9);
    for at in 0..500 {
        let evil = format!("evil{}.example", rng.random_range(0..1_000));
        let request = http::Request::post(format!("/credentials/{}/authorize", credential.id))
            .header("host", if at % 5 == 0 { evil.as_str() } else { "localhost:8400" })
            .header("origin", PUBLIC)
            .header("x-forwarded-host", &evil)
            .header("x-forwarded-proto", ["https", "gopher", "http"][at % 3])
            .header("forwarded", format!("host={evil};proto=https"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", browser.line())
            .body(Body::from(format!("csrf={csrf}")))
            .expect("a request");
        let seen = site.raw(request).await;
        if at % 5 == 0 {
            assert_eq!(seen.status, 421);
        } else {
            let to = Url::parse(seen.header("location")).expect("a URL");
            let uri = to
                .query_pairs()
                .find(|(name, _)| name == "redirect_uri")
                .expect("one")
                .1
                .into_owned();
            assert_eq!(uri, format!("{PUBLIC}/OAuth2Callback"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_at_every_step_of_the_callback_leaves_nothing_half_done() {
    let mut died = 0;
    for step in 0.. {
        let mut ended = 0;
        for point in [Point::Before(step), Point::After(step)] {
            let site = Site::new(10);
            let credential = site.world.add_delegated("app", SCOPE).await;
            let (mut browser, csrf) = site.console().await;
            let path = site.back(&mut browser, &csrf, &credential, ADA).await;
            site.world.crash.arm(point);
            let done = site.world.crash.or(site.get(&mut browser, &path)).await.is_some();
            ended += u32::from(done);
            site.world.restart();
            // The same answer again shows something honest, whatever happened.
            let seen = site.get(&mut browser, &path).await;
            if seen.status == 303 {
                tokio::time::sleep(Duration::from_secs(91)).await;
                let page = site.get(&mut browser, seen.header("location")).await;
                assert_eq!(page.status, 200, "{point:?}");
                assert!(!page.text.contains("http-equiv"), "{point:?}: still waiting for nobody");
            }
            let connected = who(&site).await.is_some();
            if !connected {
                site.world.sign_in(&credential, ADA).await.expect("a fresh click works");
            }
        }
        died += 2 - ended;
        if ended == 2 {
            break;
        }
    }
    assert!(died > 20, "only {died} points");
}

#[tokio::test(start_paused = true)]
async fn a_one_time_link_signs_in_without_a_session_and_shows_who_is_bound() {
    use shared::{records::sessions::Purpose, web::Launches};
    let site = Site::new(11);
    site.world.add_delegated("app", SCOPE).await;
    let mut account = site.world.account("desk");
    account.mailbox = shared::account::Mailbox::parse(DESK).expect("a mailbox");
    site.world.add_account(&account).await;
    let purpose = Purpose::Authorize {
        credential: "app".into(),
        rebind: false,
    };
    let path = Launches::new(&site.world.ports()).make(&purpose).await.expect("a link");
    let mut browser = Browser::default();
    let page = site.get(&mut browser, path.expose()).await;
    assert!(
        page.text.contains("Nobody has signed in yet") && page.text.contains(DESK),
        "{}",
        page.text
    );
    assert!(
        page.header("content-security-policy").contains("http://simulator.test"),
        "the form leads there"
    );
    let token = path.expose().rsplit('/').next().expect("a token");
    let seen = site.post(&mut browser, "/launch", &[("token", token)]).await;
    assert_eq!(seen.status, 303, "{}", seen.text);
    let back = site.world.click_through(seen.header("location"), ADA).await;
    let seen = site.get(&mut browser, back.strip_prefix(PUBLIC).expect("ours")).await;
    let page = site.get(&mut browser, seen.header("location")).await;
    assert!(page.text.contains("You may close this page"), "{}", page.text);
    assert_eq!(
        site.get(&mut browser, "/credentials").await.status,
        401,
        "no session came of it"
    );
    assert_eq!(
        site.post(&mut browser, "/launch", &[("token", token)]).await.status,
        410,
        "once"
    );
}
