//! The sign-in pages: what is refused where, what a person clicks, sessions, consent, admin consent.

use crate::person::{ADA, BEN, BOSS, Change, browser, returned, tenant, text};
use http::Method;
use simulator::{
    ConditionalAccess, DEFAULT_CLIENT_ID, DEFAULT_REDIRECT_URI, DEFAULT_TENANT_ID, Fault, FaultSpec, RequestKind, User,
};

#[tokio::test]
async fn what_cannot_be_trusted_stays_on_the_page() {
    let browser = browser(&tenant());
    let cases: [(Change<'_>, u32); 11] = [
        (&[("tenant", Some("nowhere.example"))], 90002),
        (&[("client_id", None)], 900_144),
        (&[("client_id", Some("b7b1f6d2-0000-4c8e-8f21-6d1e0c9a4b77"))], 700_016),
        (&[("tenant", Some("91f0a3d7-4e52-4b0b-8a16-3d8e7c5b2f64"))], 700_016),
        (&[("tenant", Some("common"))], 50194),
        (&[("tenant", Some("consumers"))], 9_002_346),
        (&[("redirect_uri", None)], 900_144),
        (&[("redirect_uri", Some("http://localhost:8400/oauth2callback"))], 50011),
        (
            &[("redirect_uri", Some("http://localhost:8400/OAuth2Callback/"))],
            50011,
        ),
        (&[("redirect_uri", Some("http://localhost:8401/OAuth2Callback"))], 50011),
        (
            &[("redirect_uri", Some("http://localhost:8400/OAuth2Callback?a=1"))],
            50011,
        ),
    ];
    for (change, number) in cases {
        let answer = browser.authorize(change).await;
        assert_eq!((answer.status, answer.header("location")), (200, ""), "{change:?}");
        assert!(
            text(&answer).contains(&format!("AADSTS{number}: ")),
            "{change:?}: {}",
            text(&answer)
        );
    }
    let evil = browser
        .authorize(&[("redirect_uri", Some("\"><script>alert(1)</script>"))])
        .await;
    assert!(!text(&evil).contains("<script"));
}

#[tokio::test]
async fn everything_else_is_told_to_the_app_with_its_state() {
    let browser = browser(&tenant());
    let short = "a".repeat(42);
    let cases: [(Change<'_>, &str, u32); 16] = [
        (&[("response_type", None)], "invalid_request", 900_144),
        (
            &[("response_type", Some("token"))],
            "unsupported_response_type",
            700_054,
        ),
        (&[("response_type", Some("smoke"))], "unsupported_response_type", 70005),
        (&[("response_mode", Some("pigeon"))], "invalid_request", 70007),
        (&[("scope", None)], "invalid_request", 900_144),
        (
            &[("scope", Some("https://graph.microsoft.com/.default Mail.Read"))],
            "invalid_scope",
            70011,
        ),
        (
            &[("scope", Some("https://other.example/Mail.Read"))],
            "invalid_resource",
            500_011,
        ),
        (&[("scope", Some("Mail.Everything"))], "invalid_client", 650_053),
        (&[("prompt", Some("maybe"))], "invalid_request", 90023),
        (&[("prompt", Some("none"))], "login_required", 50058),
        (&[("claims", Some("[1]"))], "invalid_request", 9_002_313),
        (&[("code_challenge", Some(&short))], "invalid_request", 50147),
        (&[("code_challenge", None)], "invalid_request", 50147),
        (&[("code_challenge_method", Some("S512"))], "invalid_request", 9_002_313),
        (&[("code_challenge", Some(&"+".repeat(43)))], "invalid_request", 50147),
        (&[("code_challenge", Some(&"a".repeat(129)))], "invalid_request", 50147),
    ];
    for (change, error, number) in cases {
        let answer = browser.authorize(change).await;
        assert_eq!(answer.status, 302, "{change:?}: {}", text(&answer));
        assert!(answer.header("location").starts_with(DEFAULT_REDIRECT_URI));
        assert_eq!(returned(&answer, "error").as_deref(), Some(error), "{change:?}");
        assert!(
            returned(&answer, "error_description")
                .unwrap()
                .starts_with(&format!("AADSTS{number}: ")),
            "{change:?}"
        );
        assert_eq!(returned(&answer, "state").as_deref(), Some("a b&c"));
        assert!(returned(&answer, "code").is_none());
    }
    for good in [
        &[("claims", Some("{\"access_token\":{\"xms_cc\":{\"values\":[\"cp1\"]}}}"))] as Change<'_>,
        &[("scope", Some("Mail.Read https://outlook.office.com/Mail.Read"))],
        &[("tenant", Some("harbour-homes.example"))],
        &[("code_challenge_method", None)],
        &[("code_challenge", None), ("code_challenge_method", None)],
    ] {
        assert!(
            text(&browser.authorize(good).await).contains("id=\"accounts\""),
            "{good:?}"
        );
    }
}

#[tokio::test]
async fn a_person_clicks_through_and_is_remembered_in_this_browser_only() {
    let simulator = tenant();
    let first = browser(&simulator);
    let page = first.authorize(&[]).await;
    for name in [
        "cache-control",
        "content-security-policy",
        "x-frame-options",
        "x-content-type-options",
        "referrer-policy",
    ] {
        assert!(!page.header(name).is_empty(), "{name}");
    }
    // Browsers hold `form-action` against the redirect that follows the form.
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' http://localhost:8400;")
    );
    assert!(page.header("set-cookie").contains("HttpOnly"));
    assert!(!text(&page).contains("<script"));
    let page = first.choose(&page, ADA).await;
    for scope in [
        "openid",
        "profile",
        "email",
        "offline_access",
        "User.Read",
        "Mail.ReadWrite",
    ] {
        assert!(text(&page).contains(&format!("data-scope=\"{scope}\"")), "{scope}");
    }
    let done = first.click(&page, "accept", &[]).await;
    assert!(
        done.header("location")
            .starts_with(&format!("{DEFAULT_REDIRECT_URI}?code="))
    );
    assert_eq!(returned(&done, "state").as_deref(), Some("a b&c"));
    assert!(returned(&done, "session_state").is_some());
    // Signed in and consented: nothing is asked any more, and silence works.
    for prompt in [None, Some("none")] {
        assert!(
            returned(&first.authorize(&[("prompt", prompt)]).await, "code").is_some(),
            "{prompt:?}"
        );
    }
    assert!(text(&first.authorize(&[("prompt", Some("consent"))]).await).contains("id=\"accept\""));
    let picker = text(&first.authorize(&[("prompt", Some("select_account"))]).await);
    assert!(picker.contains("Pick an account") && picker.contains(" · signed in"));
    let login = text(&first.authorize(&[("prompt", Some("login"))]).await);
    assert!(login.contains("id=\"accounts\"") && !login.contains(" · signed in"));
    // Another browser knows nobody.
    let other = browser(&simulator);
    assert_eq!(
        returned(&other.authorize(&[("prompt", Some("none"))]).await, "error").as_deref(),
        Some("login_required")
    );
    // More is asked for: a new consent, which silence cannot get.
    let more: Change<'_> = &[("scope", Some("Mail.Read.Shared")), ("prompt", Some("none"))];
    assert_eq!(
        returned(&first.authorize(more).await, "error").as_deref(),
        Some("interaction_required")
    );
    // Signed out.
    first
        .send(Method::GET, &format!("/{DEFAULT_TENANT_ID}/oauth2/v2.0/logout"), "")
        .await;
    assert_eq!(
        returned(&first.authorize(&[("prompt", Some("none"))]).await, "error").as_deref(),
        Some("login_required")
    );
}

#[tokio::test]
async fn a_person_refuses_or_signs_in_as_somebody_else() {
    let simulator = tenant();
    let browser = browser(&simulator);
    let page = browser.authorize(&[]).await;
    let page = browser.choose(&page, ADA).await;
    let refused = browser.click(&page, "cancel", &[]).await;
    assert_eq!(returned(&refused, "error").as_deref(), Some("access_denied"));
    assert!(
        returned(&refused, "error_description")
            .unwrap()
            .starts_with("AADSTS65004")
    );
    assert_eq!(returned(&refused, "state").as_deref(), Some("a b&c"));
    // The form is spent.
    assert!(text(&browser.click(&page, "accept", &[]).await).contains("AADSTS50089"));
    let page = browser.authorize(&[]).await;
    let page = browser.click(&page, "other", &[]).await;
    assert!(text(&page).contains("id=\"accounts\""));
    let wrong = browser.click(&page, "address", &[("address", "<i>@x.example")]).await;
    assert!(text(&wrong).contains("AADSTS50034") && text(&wrong).contains("&lt;i&gt;"));
    let page = browser
        .click(&page, "address", &[("address", "BEN.Quay@harbour-homes.example")])
        .await;
    assert!(text(&page).contains(BEN));
    let done = browser.click(&page, "accept", &[]).await;
    let json = browser.redeem(&returned(&done, "code").unwrap(), &[]).await.json();
    assert_eq!(crate::person::claims(&json["id_token"])["preferred_username"], BEN);
    // Two sessions now: silence needs a hint.
    let silent = browser.authorize(&[("prompt", Some("none"))]).await;
    assert!(
        returned(&silent, "error_description")
            .unwrap()
            .starts_with("AADSTS16000")
    );
    let hinted: Change<'_> = &[("prompt", Some("none")), ("login_hint", Some(BEN))];
    assert!(returned(&browser.authorize(hinted).await, "code").is_some());
    // A form from another browser is not taken.
    let page = browser.authorize(&[("prompt", Some("login"))]).await;
    browser.cookie.replace(String::new());
    assert!(text(&browser.choose(&page, ADA).await).contains("AADSTS165000"));
}

#[tokio::test]
async fn the_answer_comes_in_three_ways() {
    let browser = browser(&tenant());
    browser.code(ADA, &[]).await;
    let fragment = browser.authorize(&[("response_mode", Some("fragment"))]).await;
    assert!(
        fragment
            .header("location")
            .starts_with(&format!("{DEFAULT_REDIRECT_URI}#code="))
    );
    let posted = browser
        .authorize(&[("response_mode", Some("form_post")), ("state", Some("\"<&"))])
        .await;
    let html = text(&posted);
    assert!(posted.status == 200 && html.contains("name=\"code\"") && html.contains("value=\"&quot;&lt;&amp;\""));
    assert!(html.contains(&format!("action=\"{DEFAULT_REDIRECT_URI}\"")) && html.contains("id=\"continue\""));
    let error = browser
        .authorize(&[("response_mode", Some("fragment")), ("prompt", Some("x"))])
        .await;
    assert!(error.header("location").contains("#error=invalid_request"));
}

#[tokio::test]
async fn policies_stop_a_person_on_the_page() {
    let simulator = tenant();
    let browser = browser(&simulator);
    simulator.disable_user(ADA, true).unwrap();
    let page = browser.authorize(&[]).await;
    assert!(text(&browser.choose(&page, ADA).await).contains("AADSTS50057"));
    simulator.disable_user(ADA, false).unwrap();
    simulator.set_conditional_access(ConditionalAccess {
        block: true,
        ..ConditionalAccess::default()
    });
    let page = browser.authorize(&[]).await;
    assert!(text(&browser.choose(&page, ADA).await).contains("AADSTS53003"));
    simulator.set_conditional_access(ConditionalAccess {
        require_mfa: true,
        ..ConditionalAccess::default()
    });
    let silent = browser.authorize(&[("prompt", Some("none"))]).await;
    assert!(
        returned(&silent, "error_description")
            .unwrap()
            .starts_with("AADSTS50076")
    );
    assert!(!browser.code(ADA, &[]).await.is_empty());
    simulator.set_conditional_access(ConditionalAccess {
        sign_in_frequency: Some(60),
        ..ConditionalAccess::default()
    });
    assert!(returned(&browser.authorize(&[("prompt", Some("none"))]).await, "code").is_some());
    simulator.advance(std::time::Duration::from_secs(60));
    assert_eq!(
        returned(&browser.authorize(&[("prompt", Some("none"))]).await, "error").as_deref(),
        Some("login_required")
    );
    simulator.arm(FaultSpec::once(
        RequestKind::Authorize,
        Fault::Entra {
            status: 400,
            error: "temporarily_unavailable".to_owned(),
            code: 90033,
            message: "Later.".to_owned(),
        },
    ));
    assert_eq!(
        returned(&browser.authorize(&[]).await, "error").as_deref(),
        Some("temporarily_unavailable")
    );
}

#[tokio::test]
async fn only_an_admin_consents_where_users_may_not() {
    let simulator = tenant();
    simulator.require_admin_consent(true);
    let ada = browser(&simulator);
    let page = ada.authorize(&[]).await;
    let page = ada.choose(&page, ADA).await;
    assert!(text(&page).contains("AADSTS90094"));
    assert_eq!(
        returned(&ada.click(&page, "cancel", &[]).await, "error").as_deref(),
        Some("access_denied")
    );
    let path = |scope: &str, tenant: &str| {
        let query = crate::client::form(&[
            ("client_id", DEFAULT_CLIENT_ID),
            ("redirect_uri", DEFAULT_REDIRECT_URI),
            ("scope", scope),
            ("state", "s 1"),
        ]);
        format!("/{tenant}/v2.0/adminconsent?{query}")
    };
    let default = "https://graph.microsoft.com/.default";
    let admin = browser(&simulator);
    assert!(text(&admin.send(Method::GET, &path(default, "common"), "").await).contains("AADSTS9001023"));
    let page = admin.send(Method::GET, &path(default, DEFAULT_TENANT_ID), "").await;
    let as_ada = admin.choose(&page, ADA).await;
    assert!(text(&as_ada).contains("Need admin approval"));
    let page = admin.click(&as_ada, "other", &[]).await;
    let page = admin.choose(&page, BOSS).await;
    assert!(text(&page).contains("all users of your organization"));
    let refused = admin.click(&page, "cancel", &[]).await;
    assert_eq!(
        returned(&refused, "admin_consent").as_deref(),
        Some("True"),
        "failure says so, too"
    );
    assert_eq!(returned(&refused, "error").as_deref(), Some("consent_required"));
    assert_eq!(returned(&refused, "state").as_deref(), Some("s 1"));
    simulator.set_roles(DEFAULT_CLIENT_ID, &[]).unwrap();
    let page = admin
        .send(Method::GET, &path(default, "harbour-homes.example"), "")
        .await;
    let page = admin.choose(&page, BOSS).await;
    let done = admin.click(&page, "accept", &[]).await;
    assert_eq!(returned(&done, "admin_consent").as_deref(), Some("True"));
    assert_eq!(returned(&done, "tenant").as_deref(), Some(DEFAULT_TENANT_ID));
    assert_eq!(returned(&done, "scope").as_deref(), Some(default));
    assert!(returned(&done, "error").is_none());
    // What the registration lists is consented for everybody now.
    let code = ada.code(ADA, &[("scope", Some("Mail.ReadWrite User.Read"))]).await;
    assert_eq!(ada.redeem(&code, &[]).await.status, 200);
    let page = ada.authorize(&[("scope", Some("Mail.Send"))]).await;
    assert!(text(&page).contains("AADSTS90094"));
}

#[tokio::test]
async fn redirect_uris_are_registered_by_the_portals_rules() {
    let simulator = tenant();
    for bad in [
        "http://127.0.0.1:8400/OAuth2Callback",
        "http://desk.example/cb",
        "/cb",
        "ftp://x.example/",
        "https://x.example/#a",
        "https://*.x.example/",
    ] {
        assert!(
            simulator.register_redirect_uri(DEFAULT_CLIENT_ID, bad).is_err(),
            "{bad}"
        );
    }
    let other = "https://desk.example/OAuth2Callback?x=1";
    simulator.register_redirect_uri(DEFAULT_CLIENT_ID, other).unwrap();
    let browser = browser(&simulator);
    browser.code(ADA, &[]).await;
    let answer = browser.authorize(&[("redirect_uri", Some(other))]).await;
    assert!(answer.header("location").starts_with(&format!("{other}&code=")));
    simulator.remove_redirect_uri(DEFAULT_CLIENT_ID, other).unwrap();
    assert!(text(&browser.authorize(&[("redirect_uri", Some(other))]).await).contains("AADSTS50011"));
}

#[tokio::test]
async fn the_control_speaks_http_too() {
    let browser = browser(&tenant());
    let act = async |name: &str, body: serde_json::Value| {
        browser
            .client
            .send(Method::POST, &format!("/_control/{name}"), &[], &body.to_string())
            .await
    };
    for (name, body) in [
        (
            "add-user",
            serde_json::json!({"address": "cy@harbour-homes.example", "displayName": "Cy", "oid": "0C000000-0000-4000-8000-000000000001"}),
        ),
        (
            "share",
            serde_json::json!({"mailbox": BEN, "user": "cy@harbour-homes.example", "access": true}),
        ),
        ("set-rotation", serde_json::json!({"rotation": "strict"})),
        (
            "set-conditional-access",
            serde_json::json!({"access": {"signInFrequency": 3600}}),
        ),
        ("disable-user", serde_json::json!({"user": BEN, "disabled": true})),
        (
            "set-multi-tenant",
            serde_json::json!({"clientId": DEFAULT_CLIENT_ID, "multiTenant": true}),
        ),
    ] {
        assert_eq!(act(name, body).await.status, 200, "{name}");
    }
    assert_eq!(
        act("revoke-grants", serde_json::json!({"user": "who@x.example"}))
            .await
            .status,
        400
    );
    let users: Vec<User> = serde_json::from_value(
        browser
            .client
            .send(Method::GET, "/_control/users", &[], "")
            .await
            .json(),
    )
    .unwrap();
    let cy = users.iter().find(|u| u.display_name == "Cy").unwrap();
    assert_eq!(
        (cy.oid.as_str(), cy.shared.as_slice()),
        ("0c000000-0000-4000-8000-000000000001", [BEN.to_owned()].as_slice())
    );
    assert!(text(&browser.authorize(&[("tenant", Some("organizations"))]).await).contains("id=\"accounts\""));
}
