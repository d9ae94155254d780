//! `/api/v1`: who may what, the way of a credential and an account, refusals as problem documents.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use shared::{
    import::checks::InProcess,
    memory::StoreFault,
    origin::{Origin, TrustedOrigins},
    ports::Clock as _,
    records::{
        api_keys::{ApiKeys, Scope},
        audit::Audit,
    },
    web::{WebOptions, console_router},
};
use tests::world::{DESK, ORIGIN, World};
use tower::ServiceExt as _;
use url::Url;

/// As they stand in the source; `who_may_what` calls each with every method it has.
pub(crate) const ROUTES: [&str; 16] = [
    "/api/v1/accounts",
    "/api/v1/accounts/{id}",
    "/api/v1/accounts/{id}/check",
    "/api/v1/accounts/{id}/import",
    "/api/v1/accounts/{id}/pause",
    "/api/v1/accounts/{id}/resume",
    "/api/v1/credentials",
    "/api/v1/credentials/{id}",
    "/api/v1/credentials/{id}/reach",
    "/api/v1/credentials/{id}/token",
    "/api/v1/health",
    "/api/v1/messages",
    "/api/v1/messages/{mailbox}/{key}",
    "/api/v1/redirect-uri/check",
    "/api/v1/warnings",
    "/api/v1/{*path}",
];

struct Api {
    world: World,
    router: Router,
}

impl Api {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let router = console_router(WebOptions {
            ports: world.ports(),
            tokens: Arc::new(world.tokens()),
            checks: Arc::new(InProcess::new(Arc::new(world.importer()), Duration::from_secs(10))),
            platform_tokens: true,
            archive: None,
            sign_in: Ok(None),
            one_time_links: false,
            trusted: TrustedOrigins::with(vec![Origin::parse(ORIGIN).expect("an origin")]),
            public_url: Url::parse("https://post.contoso.example").expect("a URL"),
            other_hosts: Vec::new(),
        });
        Self { world, router }
    }

    async fn key(&self, scope: Scope) -> String {
        let ports = self.world.ports();
        let keys = ApiKeys::new(Arc::clone(&ports.store));
        let made = keys.make("test", scope, 30, &*ports.rng, self.world.clock.now()).await;
        made.expect("a key").1.expose().to_owned()
    }

    async fn call(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "post.contoso.example");
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = self
            .router
            .clone()
            .oneshot(request.body(body).expect("a request"))
            .await;
        let (parts, body) = answer.expect("an answer").into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let status = parts.status.as_u16();
        if status >= 400 {
            assert_eq!(parts.headers["content-type"], "application/problem+json", "{path}");
            assert_eq!(value["status"], status, "{path} {value}");
        }
        assert_eq!(parts.headers["x-content-type-options"], "nosniff");
        (status, value)
    }

    fn credential(&self) -> Value {
        let registration = self.world.simulator.registration();
        json!({
            "id": "app", "grant_type": "client_credentials", "client_id": registration.client_id,
            "token_url": format!("{ORIGIN}/{}/oauth2/v2.0/token", registration.tenant_id),
            "client_secret": registration.client_secret, "scope": "https://graph.microsoft.com/.default", "graph_url": format!("{ORIGIN}/v1.0"),
        })
    }
}

fn account(id: &str) -> Value {
    json!({"id": id, "mailbox": DESK, "credential": "app", "start": "everything"})
}

#[tokio::test(start_paused = true)]
async fn the_way_of_a_credential_and_an_account() {
    let api = Api::new(1);
    api.world.fill(3);
    let key = api.key(Scope::Operator).await;
    let (status, made) = api
        .call(&key, "POST", "/api/v1/credentials", Some(api.credential()))
        .await;
    assert_eq!((status, &made["id"]), (201, &json!("app")), "{made}");
    let secret = &api.world.simulator.registration().client_secret;
    assert!(!made.to_string().contains(secret.as_str()));
    let (status, token) = api.call(&key, "POST", "/api/v1/credentials/app/token", None).await;
    assert_eq!(status, 200, "{token}");
    assert!(
        token["roles"].as_array().is_some_and(|roles| !roles.is_empty()),
        "{token}"
    );
    let (status, made) = api.call(&key, "POST", "/api/v1/accounts", Some(account("desk"))).await;
    assert_eq!((status, &made["enabled"]), (201, &json!(true)), "{made}");

    let (_, changed) = api
        .call(&key, "PATCH", "/api/v1/accounts/desk", Some(json!({"every": "10m"})))
        .await;
    assert_eq!(changed["every"], "10m", "{changed}");
    let (_, paused) = api.call(&key, "POST", "/api/v1/accounts/desk/pause", None).await;
    assert_eq!(paused["enabled"], false);
    let schedules = api.world.ports().scheduler.list().await.expect("schedules");
    assert!(
        !schedules[0].enabled && schedules[0].every.as_secs() == 600,
        "{schedules:?}"
    );
    assert_eq!(
        api.call(&key, "POST", "/api/v1/accounts/desk/resume", None).await.1["enabled"],
        true
    );
    assert_eq!(
        api.call(&key, "POST", "/api/v1/accounts/desk/import", None).await.0,
        202
    );
    assert!(api.world.row("desk").await.asked_at.is_some());

    api.world.run("desk").await;
    let (_, page) = api
        .call(&key, "GET", "/api/v1/messages?account=desk&limit=2", None)
        .await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2), "{page}");
    let next =
        url::form_urlencoded::byte_serialize(page["next"].as_str().expect("a mark").as_bytes()).collect::<String>();
    let (_, rest) = api
        .call(
            &key,
            "GET",
            &format!("/api/v1/messages?account=desk&limit=2&after={next}"),
            None,
        )
        .await;
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1), "{rest}");
    let line = &page["items"][0];
    let path = format!(
        "/api/v1/messages/{}/{}",
        line["mailbox"].as_str().expect("a mailbox"),
        line["key"].as_str().expect("a key")
    );
    let (status, message) = api.call(&key, "GET", &path, None).await;
    assert_eq!((status, &message["key"]), (200, &line["key"]), "{message}");

    assert_eq!(
        api.call(&key, "DELETE", "/api/v1/accounts/desk", None).await.0,
        422,
        "it must be said twice"
    );
    assert_eq!(
        api.call(&key, "DELETE", "/api/v1/accounts/desk?confirm=desk", None)
            .await
            .0,
        204
    );
    assert_eq!(api.call(&key, "GET", "/api/v1/accounts/desk", None).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn who_may_what() {
    let api = Api::new(2);
    let (viewer, operator) = (api.key(Scope::Viewer).await, api.key(Scope::Operator).await);
    api.call(&operator, "POST", "/api/v1/credentials", Some(api.credential()))
        .await;
    api.call(&operator, "POST", "/api/v1/accounts", Some(account("desk")))
        .await;
    let reads = [
        "health",
        "credentials",
        "credentials/app",
        "accounts",
        "accounts/desk",
        "messages?account=desk",
        "credentials/app/reach",
        "warnings",
    ];
    for path in reads {
        let path = format!("/api/v1/{path}");
        for (key, wanted) in [
            ("", 401),
            ("postroom_no", 401),
            (&operator[1..], 401),
            (&viewer, 200),
            (&operator, 200),
        ] {
            assert_eq!(api.call(key, "GET", &path, None).await.0, wanted, "{path} with {key:?}");
        }
    }
    let writes = [
        ("POST", "credentials", Some(api.credential())),
        ("POST", "credentials/app/token", None),
        ("POST", "accounts", Some(account("other"))),
        ("PATCH", "accounts/desk", Some(json!({}))),
        ("DELETE", "accounts/desk?confirm=desk", None),
        ("POST", "accounts/desk/pause", None),
        ("POST", "accounts/desk/resume", None),
        ("POST", "accounts/desk/import", None),
        ("POST", "accounts/desk/check", None),
        ("PUT", "credentials/app/reach", Some(json!({}))),
        ("POST", "credentials/app/reach", None),
    ];
    for (method, path, body) in writes {
        let path = format!("/api/v1/{path}");
        for (key, wanted) in [("", 401), ("postroom_no", 401), (viewer.as_str(), 403)] {
            assert_eq!(
                api.call(key, method, &path, body.clone()).await.0,
                wanted,
                "{method} {path} with {key:?}"
            );
        }
    }
    assert_eq!(
        api.call("", "GET", "/api/v1/nothing", None).await.0,
        401,
        "not even what there is"
    );
    assert_eq!(api.call(&viewer, "GET", "/api/v1/nothing", None).await.0, 404);
    // Thirty days later nobody may anything.
    tokio::time::sleep(std::time::Duration::from_secs(30 * 24 * 3600)).await;
    assert_eq!(api.call(&operator, "GET", "/api/v1/accounts", None).await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_is_named() {
    let api = Api::new(3);
    let key = api.key(Scope::Operator).await;
    let mut bad = api.credential();
    bad["token_url"] = "http://169.254.169.254/".into();
    let (status, problem) = api.call(&key, "POST", "/api/v1/credentials", Some(bad)).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["field"].as_str().is_some(), "{problem}");
    let secret = &api.world.simulator.registration().client_secret;
    for (body, wanted) in [
        (json!({"id": "x"}), 422),
        (json!([]), 422),
        (json!({"id": "x", "surprise": secret}), 422),
    ] {
        let (status, problem) = api.call(&key, "POST", "/api/v1/credentials", Some(body)).await;
        assert_eq!(status, wanted, "{problem}");
        assert!(!problem.to_string().contains(secret.as_str()), "{problem}");
    }
    api.call(&key, "POST", "/api/v1/credentials", Some(api.credential()))
        .await;
    assert_eq!(
        api.call(&key, "POST", "/api/v1/credentials", Some(api.credential()))
            .await
            .0,
        409,
        "taken"
    );
    assert_eq!(api.call(&key, "GET", "/api/v1/accounts?limit=0", None).await.0, 422);
    assert_eq!(
        api.call(&key, "GET", "/api/v1/accounts?after=made-up", None).await.0,
        422
    );
    assert_eq!(api.call(&key, "GET", "/api/v1/messages", None).await.0, 422);
    assert_eq!(api.call(&key, "GET", "/api/v1/credentials/none", None).await.0, 404);
    assert_eq!(
        api.call(&key, "POST", "/api/v1/credentials/none/token", None).await.0,
        404
    );
    assert_eq!(
        api.call(
            &key,
            "POST",
            "/api/v1/accounts",
            Some(json!({"id": "a b", "mailbox": DESK, "credential": "app"}))
        )
        .await
        .0,
        422
    );
    let (status, problem) = api.call(&key, "PUT", "/api/v1/accounts", None).await;
    assert_eq!(status, 405, "{problem}");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_checked_and_an_app_that_reads_too_much_is_warned_of() {
    const CEO: &str = "ceo@harbour-homes.example";
    let api = Api::new(4);
    api.world.fill(1);
    api.world.simulator.add_mailbox(CEO);
    let key = api.key(Scope::Operator).await;
    for (path, body) in [("credentials", api.credential()), ("accounts", account("desk"))] {
        api.call(&key, "POST", &format!("/api/v1/{path}"), Some(body)).await;
    }
    let (status, checked) = api.call(&key, "POST", "/api/v1/accounts/desk/check", None).await;
    assert_eq!((status, &checked["ok"]), (200, &json!(true)), "{checked}");
    assert_eq!(api.call(&key, "POST", "/api/v1/accounts/none/check", None).await.0, 404);

    let reach = "/api/v1/credentials/app/reach";
    assert_eq!(api.call(&key, "GET", reach, None).await.1["reach"], Value::Null);
    let (_, none) = api.call(&key, "GET", "/api/v1/warnings", None).await;
    assert_eq!(none["items"], json!([]));
    let (status, wrong) = api.call(&key, "PUT", reach, Some(json!({"must_read": ["me"]}))).await;
    assert_eq!((status, &wrong["field"]), (422, &json!("must read")), "{wrong}");
    let named = json!({"must_read": [DESK], "must_not_read": [CEO]});
    let (status, set) = api.call(&key, "PUT", reach, Some(named)).await;
    assert_eq!(
        (status, &set["reach"]["found"]),
        (200, &Value::Null),
        "nothing was tried: {set}"
    );
    let (status, tried) = api.call(&key, "POST", reach, None).await;
    let found = &tried["reach"]["found"];
    assert_eq!((status, &found["everywhere"]), (200, &json!("yes")), "{tried}");
    let (_, warned) = api.call(&key, "GET", "/api/v1/warnings", None).await;
    assert_eq!(
        (&warned["items"][0]["kind"], &warned["next"]),
        (&json!("reach"), &Value::Null),
        "{warned}"
    );

    // Microsoft refuses the app: the check is an answer, trying mailboxes is not possible.
    api.world
        .simulator
        .rotate_secret(&api.world.simulator.registration().client_id, "another", true)
        .expect("rotated");
    let (status, refused) = api.call(&key, "POST", reach, None).await;
    assert_eq!((status, &refused["codes"][0]), (409, &json!(7_000_222)), "{refused}");
    let (_, warned) = api.call(&key, "GET", "/api/v1/warnings", None).await;
    assert_eq!(warned["items"][0]["kind"], "problem", "{warned}");
}

#[tokio::test(start_paused = true)]
async fn the_redirect_uri_is_called_and_what_answers_there_is_told() {
    let api = Api::new(6);
    let viewer = api.key(Scope::Viewer).await;
    let path = "/api/v1/redirect-uri/check";
    assert_eq!(api.call(&viewer, "POST", path, None).await.0, 403);
    let key = api.key(Scope::Operator).await;
    let asked = api.world.wire.count();
    let (status, told) = api.call(&key, "POST", path, None).await;
    let (uri, step) = (&told["redirect_uri"], &told["steps"][0]);
    assert_eq!(
        (status, &told["ok"], &step["what"]),
        (200, &json!(false), &json!("redirect URI")),
        "{told}"
    );
    assert!(
        uri.as_str().is_some_and(|uri| uri.ends_with("/OAuth2Callback")),
        "{told}"
    );
    // Nobody is there in this world.
    assert!(
        step["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("not reached")),
        "{told}"
    );
    assert_eq!(api.world.wire.count(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_proves_itself_in_one_way_and_on_aws_without_any_secret() {
    let api = Api::new(5);
    let key = api.key(Scope::Operator).await;
    let mut sent = api.credential();
    sent["federated"] = "aws".into();
    let (status, both) = api.call(&key, "POST", "/api/v1/credentials", Some(sent.clone())).await;
    assert_eq!((status, &both["field"]), (422, &json!("client secret")), "{both}");
    sent.as_object_mut().expect("an object").remove("client_secret");
    let (status, made) = api.call(&key, "POST", "/api/v1/credentials", Some(sent.clone())).await;
    assert_eq!(
        (status, &made["authentication"]),
        (201, &json!({"kind": "federated_aws"})),
        "{made}"
    );
    // Nothing makes such tokens here, and that is said.
    let (status, refused) = api.call(&key, "POST", "/api/v1/credentials/app/token", None).await;
    assert_eq!(status, 409, "{refused}");
    sent["id"] = "none".into();
    sent.as_object_mut().expect("an object").remove("federated");
    assert_eq!(
        api.call(&key, "POST", "/api/v1/credentials", Some(sent.clone()))
            .await
            .0,
        422
    );
    let (public, both) = tests::issuer::certificate(2099);
    sent["kms_key"] = "arn:aws:kms:eu-central-1:123456789012:key/1".into();
    sent["certificate"] = both.clone().into();
    let (status, refused) = api.call(&key, "POST", "/api/v1/credentials", Some(sent.clone())).await;
    assert_eq!((status, &refused["field"]), (422, &json!("certificate")), "{refused}");
    sent["certificate"] = public.into();
    sent["id"] = "kms".into();
    let (status, made) = api.call(&key, "POST", "/api/v1/credentials", Some(sent.clone())).await;
    let proof = &made["authentication"];
    assert_eq!(
        (status, &proof["kind"], &proof["key"]),
        (201, &json!("kms_key"), &sent["kms_key"]),
        "{made}"
    );
    sent.as_object_mut().expect("an object").remove("kms_key");
    sent["id"] = "none".into();
    sent["certificate"] = both.into();
    let (status, made) = api.call(&key, "POST", "/api/v1/credentials", Some(sent)).await;
    assert_eq!(
        (status, &made["authentication"]["kind"]),
        (201, &json!("certificate")),
        "{made}"
    );
    assert!(!made.to_string().contains("PRIVATE KEY"), "{made}");
}

#[tokio::test(start_paused = true)]
async fn the_audit_names_the_key_that_did_it() {
    let api = Api::new(13);
    api.world.usual(|_| {}).await;
    let (one, other) = (api.key(Scope::Operator).await, api.key(Scope::Operator).await);
    for (key, what) in [(&one, "pause"), (&other, "resume")] {
        let path = format!("/api/v1/accounts/desk/{what}");
        assert_eq!(api.call(key, "POST", &path, None).await.0, 200);
    }
    let ports = api.world.ports();
    let acts = Audit::new(ports.store, ports.rng)
        .page(10, None)
        .await
        .expect("acts")
        .records;
    let by: Vec<&str> = acts
        .iter()
        .map(|act| act.by.as_str())
        .filter(|by| by.starts_with("API"))
        .collect();
    assert!(by.len() == 2 && by[0] != by[1], "{by:?}");
    for by in by {
        let id = by.strip_prefix("API key ").expect("a key");
        assert!(
            !id.is_empty() && !one.contains(id) && !other.contains(id),
            "an id is no secret: {by}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_learn_of_the_health_yes_or_no_and_do_not_cost_a_table_read_each() {
    let api = Api::new(14);
    api.world.usual(|_| {}).await;
    let asked = async || {
        let request = http::Request::get("/healthz").header("host", "post.contoso.example");
        let request = request.body(Body::empty()).expect("a request");
        let answer = api.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice::<Value>(&bytes).expect("JSON"))
    };
    assert_eq!(asked().await, (200, json!({"ok": true})));
    let faults = api.world.memory.store.faults();
    faults.arm(None, StoreFault::Unavailable, 1000);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(
        asked().await,
        (200, json!({"ok": true})),
        "the table is not asked again so soon"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(asked().await, (503, json!({"ok": false})), "and nothing is said of why");
    faults.clear();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(asked().await.0, 200);
}
