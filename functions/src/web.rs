//! console and oauth-callback: the routers of `shared::web` behind an HTTP API.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
};
use lambda_http::{Adapter, Context, LambdaEvent, request::LambdaRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    error::Next,
    oauth::Entrance,
    ports::Ports,
    records::{
        RecordError,
        api_keys::{ApiKeys, Scope},
    },
    web::{self, WebOptions},
};
use tower::{Service as _, ServiceExt as _};
use tracing::{info, warn};

use crate::{
    adapters::{OwnSecretOnly, Wall},
    failure::Failure,
    sandbox::Sandbox,
    serve::{Function, Invocation},
};

/// An HTTP API passes on 10 MB; no page of ours comes near.
const MOST_BYTES: usize = 6 * 1024 * 1024;

/// A function that answers browsers and programs.
pub struct Web {
    router: Router,
    ports: Ports,
    /// Whether it takes an operator's words by direct invocation.
    takes_orders: bool,
}

/// What an operator with the right to invoke the console says to it directly: how the first key of the API comes about.
/// No request through the HTTP API has this shape.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    MakeKey {
        name: String,
        scope: Scope,
        days: u32,
    },
    RevokeKey {
        id: String,
    },
    ListKeys {
        #[serde(default)]
        after: Option<String>,
    },
}

/// Sets the console up: pages and API. Without a sign-in the pages say how to set one up, and the API goes on.
pub async fn console(sandbox: Sandbox) -> Result<Web, Failure> {
    let ports = Ports {
        vault: Arc::new(OwnSecretOnly(sandbox.vault(true)?)),
        scheduler: sandbox.scheduler()?,
        // To the issuer of the sign-in, and nowhere else.
        http: sandbox.http(),
        ..sandbox.ports()
    };
    let sign_in = sandbox.settings.shared.sign_in.clone();
    if let Err(error) = &sign_in {
        warn!(%error, "nobody can sign in to the console");
    }
    crate::warm::table(&*ports.store).await;
    let options = WebOptions {
        sign_in: sign_in.map(|settings| settings.map(Entrance::new)),
        checks: sandbox.checks()?,
        ..options(&sandbox, &ports)?
    };
    Ok(Web {
        router: web::console_router(options),
        ports,
        takes_orders: true,
    })
}

/// Sets the callback up. It holds no right on any secret: the port of secrets is a wall.
pub async fn callback(sandbox: Sandbox) -> Result<Web, Failure> {
    let ports = sandbox.ports();
    crate::warm::table(&*ports.store).await;
    Ok(Web {
        router: web::callback_router(options(&sandbox, &ports)?),
        ports,
        takes_orders: false,
    })
}

fn options(sandbox: &Sandbox, ports: &Ports) -> Result<WebOptions, Failure> {
    Ok(WebOptions {
        ports: ports.clone(),
        tokens: sandbox.tokens()?,
        // Whoever may, says so.
        checks: Arc::new(Wall),
        platform_tokens: true,
        archive: None,
        sign_in: Ok(None),
        one_time_links: false,
        trusted: sandbox.settings.shared.trusted.clone(),
        public_url: sandbox.settings.public_url()?,
        other_hosts: Vec::new(),
    })
}

#[async_trait]
impl Function for Web {
    async fn handle(&self, event: Value, _: &Invocation) -> Result<Value, Failure> {
        let is_order = event
            .as_object()
            .is_some_and(|fields| fields.len() == 1 && !fields.contains_key("requestContext"));
        if self.takes_orders && is_order {
            let order = serde_json::from_value(event).map_err(Failure::malformed)?;
            return self.obey(order).await;
        }
        let request: LambdaRequest = serde_json::from_value(event).map_err(Failure::malformed)?;
        self.answer(request).await
    }
}

impl Web {
    async fn answer(&self, request: LambdaRequest) -> Result<Value, Failure> {
        let router = self.router.clone();
        let service = tower::service_fn(move |request: lambda_http::Request| {
            let routed = router.clone().oneshot(request.map(|body| Body::from(body.to_vec())));
            async move {
                let Ok(answer) = routed.await;
                let (parts, body) = answer.into_parts();
                let bytes = to_bytes(body, MOST_BYTES).await?;
                let body = match String::from_utf8(bytes.to_vec()) {
                    Ok(text) => lambda_http::Body::Text(text),
                    Err(bytes) => lambda_http::Body::Binary(bytes.into_bytes()),
                };
                Ok::<_, axum::Error>(http::Response::from_parts(parts, body))
            }
        });
        let mut adapter = Adapter::from(service);
        let answer = adapter.call(LambdaEvent::new(request, Context::default())).await;
        let answer =
            answer.map_err(|error| Failure::new(&Next::Fail, format!("an answer could not be made: {error}")))?;
        serde_json::to_value(answer).map_err(|error| Failure::new(&Next::Fail, error.to_string()))
    }

    async fn obey(&self, order: Order) -> Result<Value, Failure> {
        let keys = ApiKeys::new(Arc::clone(&self.ports.store));
        match order {
            Order::MakeKey { name, scope, days } => {
                let made = keys
                    .make(&name, scope, days, &*self.ports.rng, self.ports.clock.now())
                    .await;
                let (known, key) = made.map_err(refused)?;
                info!(key = known.id, "a key of the API was made");
                Ok(json!({"id": known.id, "key": key.expose(), "scope": known.scope, "expires_at": known.expires_at}))
            }
            Order::RevokeKey { id } => {
                let revoked = keys.revoke(&id).await.map_err(refused)?;
                info!(key = id, revoked, "a key of the API was to be revoked");
                Ok(json!({"id": id, "revoked": revoked}))
            }
            Order::ListKeys { after } => {
                let shelf = keys
                    .page(100, after.map(shared::ports::PageMark))
                    .await
                    .map_err(refused)?;
                Ok(json!({"items": shelf.records, "next": shelf.next}))
            }
        }
    }
}

/// What cannot be taken as said is the operator's to mend, not ours.
fn refused(error: RecordError) -> Failure {
    match error {
        RecordError::Field(error) => Failure::malformed(error),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use shared::{
        config::SignInSettings,
        memory,
        oauth::TokenService,
        origin::TrustedOrigins,
        records::sessions::{Door, Holder, Sessions},
        secret::Secret,
    };
    use url::Url;

    use super::*;
    use crate::adapters::Wall;

    fn web(router: fn(WebOptions) -> Router, takes_orders: bool) -> Web {
        let ports = memory::ports(1, Arc::new(Wall));
        Web {
            router: router(options_of(&ports)),
            ports,
            takes_orders,
        }
    }

    fn options_of(ports: &Ports) -> WebOptions {
        WebOptions {
            ports: ports.clone(),
            tokens: Arc::new(TokenService::new(ports.clone())),
            checks: Arc::new(Wall),
            platform_tokens: true,
            archive: None,
            sign_in: Ok(None),
            one_time_links: false,
            trusted: TrustedOrigins::default(),
            public_url: Url::parse("https://post.contoso.example").unwrap(),
            other_hosts: Vec::new(),
        }
    }

    async fn handle(web: &Web, event: Value) -> Result<Value, Failure> {
        let invocation = Invocation {
            request_id: "r".into(),
            deadline: Timestamp::MAX,
        };
        web.handle(event, &invocation).await
    }

    /// What an HTTP API sends (payload format 2.0).
    fn event(method: &str, path: &str, headers: &Value, cookies: &Value) -> Value {
        let mut headers = headers.clone();
        headers["host"] = "post.contoso.example".into();
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers, "cookies": cookies,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "post.contoso.example", "domainPrefix": "post", "requestId": "q",
                "routeKey": "$default", "stage": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1_767_225_600_000_i64,
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            },
            "isBase64Encoded": false,
        })
    }

    fn get(path: &str, headers: &Value) -> Value {
        event("GET", path, headers, &Value::Null)
    }

    #[tokio::test]
    async fn the_first_key_is_made_by_direct_invocation_and_opens_the_api() {
        let console = web(web::console_router, true);
        let closed = handle(&console, get("/api/v1/accounts", &json!({}))).await.unwrap();
        assert_eq!(closed["statusCode"], 401);
        let order = json!({"make_key": {"name": "deploy", "scope": "viewer", "days": 7}});
        let made = handle(&console, order).await.unwrap();
        let bearer = json!({"authorization": format!("Bearer {}", made["key"].as_str().unwrap())});
        let open = handle(&console, get("/api/v1/accounts", &bearer)).await.unwrap();
        assert_eq!(open["statusCode"], 200, "{open}");
        let body: Value = serde_json::from_str(open["body"].as_str().unwrap()).unwrap();
        assert_eq!(body, json!({"items": [], "next": null}));
        let listed = handle(&console, json!({"list_keys": {}})).await.unwrap();
        assert!(!listed.to_string().contains(made["key"].as_str().unwrap()));
        let revoked = handle(&console, json!({"revoke_key": {"id": made["id"]}}))
            .await
            .unwrap();
        assert_eq!(revoked["revoked"], true);
        let closed = handle(&console, get("/api/v1/accounts", &bearer)).await.unwrap();
        assert_eq!(closed["statusCode"], 401);
    }

    #[tokio::test]
    async fn orders_are_taken_by_the_console_alone_and_only_whole() {
        let order = json!({"make_key": {"name": "x", "scope": "operator", "days": 1}});
        let callback = web(web::callback_router, false);
        assert!(handle(&callback, order.clone()).await.is_err());
        let console = web(web::console_router, true);
        for bad in [
            json!({}),
            json!(null),
            json!({"make_key": {}}),
            json!({"make_key": {"name": "", "scope": "viewer", "days": 1}}),
            json!({"make_key": {"name": "x", "scope": "root", "days": 1}}),
        ] {
            assert_eq!(
                handle(&console, bad.clone()).await.unwrap_err().error_type,
                "Defect",
                "{bad}"
            );
        }
        // A request whose body looks like an order is a request.
        let mut posted = event("POST", "/", &json!({"content-type": "application/json"}), &Value::Null);
        posted["body"] = order.to_string().into();
        assert_ne!(handle(&console, posted).await.unwrap()["statusCode"], 200);
    }

    #[tokio::test]
    async fn nobody_gets_into_the_pages_before_a_sign_in_is_set_up_and_they_say_what_to_set() {
        let console = web(web::console_router, true);
        for path in ["/credentials", "/accounts/new", "/messages", "/owed"] {
            let answer = handle(&console, get(path, &json!({}))).await.unwrap();
            assert_eq!(answer["statusCode"], 401, "{path}");
            let body = answer["body"].as_str().unwrap();
            for word in ["SignInIssuer", "https://post.contoso.example/sign-in/callback"] {
                assert!(body.contains(word), "{path}: {body}");
            }
        }
        for path in ["/launch/x", "/nothing"] {
            assert_eq!(
                handle(&console, get(path, &json!({}))).await.unwrap()["statusCode"],
                404,
                "{path}"
            );
        }
        let health = handle(&console, get("/healthz", &json!({}))).await.unwrap();
        assert_eq!(health["statusCode"], 200);
    }

    #[tokio::test]
    async fn the_callback_answers_one_path_exactly() {
        let callback = web(web::callback_router, false);
        let status = async |path: &str| handle(&callback, get(path, &json!({}))).await.unwrap()["statusCode"].clone();
        assert_eq!(status("/OAuth2Callback").await, 400, "nothing to finish");
        for other in [
            "/oauth2callback",
            "/OAuth2Callback/",
            "/api/v1/accounts",
            "/healthz",
            "/credentials",
        ] {
            assert_eq!(status(other).await, 404, "{other}");
        }
    }

    #[tokio::test]
    async fn forms_arrive_in_base64_and_several_cookies_leave() {
        async fn echo(body: String) -> impl axum::response::IntoResponse {
            let cookies = ["a=1; Path=/", "b=; Max-Age=0"].map(|one| (http::header::SET_COOKIE, one));
            (axum::response::AppendHeaders(cookies), body)
        }
        let mut console = web(web::console_router, true);
        console.router = Router::new().route("/form", axum::routing::post(echo));
        let mut posted = event(
            "POST",
            "/form",
            &json!({"content-type": "application/x-www-form-urlencoded"}),
            &Value::Null,
        );
        posted["body"] = "Y3NyZj14JmlkPSVDMyVBNA==".into();
        posted["isBase64Encoded"] = true.into();
        let answer = handle(&console, posted).await.unwrap();
        assert_eq!(
            (&answer["statusCode"], &answer["body"]),
            (&json!(200), &json!("csrf=x&id=%C3%A4"))
        );
        assert_eq!(answer["cookies"], json!(["a=1; Path=/", "b=; Max-Age=0"]), "{answer}");
        assert!(answer["headers"].get("set-cookie").is_none(), "{answer}");
    }

    #[tokio::test]
    async fn a_session_in_either_shape_of_cookies_opens_the_pages() {
        let mut console = web(web::console_router, true);
        let sign_in = |name: &str| match name {
            "POSTROOM_SIGN_IN_ISSUER" => Some("https://issuer.example".to_owned()),
            "POSTROOM_SIGN_IN_CLIENT_ID" => Some("console".to_owned()),
            _ => None,
        };
        let settings = SignInSettings::from_lookup(sign_in, &TrustedOrigins::default())
            .unwrap()
            .unwrap();
        let holder = Holder {
            door: Door::SignIn {
                settings: settings.digest(),
            },
            scope: Scope::Viewer,
            who: Some("ben@contoso.example".into()),
            subject: None,
        };
        let cookie = Secret::new("A".repeat(43));
        let sessions = Sessions::new(Arc::clone(&console.ports.store));
        sessions
            .begin(&cookie, &holder, console.ports.clock.now())
            .await
            .unwrap();
        let mut options = options_of(&console.ports);
        options.sign_in = Ok(Some(Entrance::new(settings)));
        console.router = web::console_router(options);
        let pair = format!("__Host-postroom-session={}", cookie.expose());
        let both = [
            get("/accounts", &json!({"cookie": format!("x=1; {pair}")})),
            event("GET", "/accounts", &json!({}), &json!(["x=1", pair])),
        ];
        for event in both {
            let answer = handle(&console, event).await.unwrap();
            assert_eq!(answer["statusCode"], 200, "{answer}");
            assert!(
                answer["headers"]["content-type"]
                    .as_str()
                    .unwrap()
                    .starts_with("text/html")
            );
        }
        let answer = handle(&console, get("/accounts/new", &json!({"cookie": pair})))
            .await
            .unwrap();
        assert_eq!(answer["statusCode"], 403);
        let door = handle(&console, get("/accounts", &json!({}))).await.unwrap();
        assert_eq!(door["statusCode"], 401);
        assert!(door["body"].as_str().unwrap().contains("action=\"/sign-in\""));
    }

    #[tokio::test]
    async fn cookies_arrive_in_both_shapes() {
        async fn echo(headers: http::HeaderMap) -> String {
            headers
                .get("cookie")
                .map_or("none", |value| value.to_str().unwrap())
                .to_owned()
        }
        let mut console = web(web::console_router, true);
        console.router = Router::new().route("/", axum::routing::get(echo));
        let body = async |event| handle(&console, event).await.unwrap()["body"].clone();
        assert_eq!(
            body(event("GET", "/", &json!({}), &json!(["a=1", "b=2"]))).await,
            "a=1; b=2"
        );
        assert_eq!(
            body(event("GET", "/", &json!({"cookie": "a=1; b=2"}), &Value::Null)).await,
            "a=1; b=2"
        );
    }
}
