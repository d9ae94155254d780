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
    ports::Ports,
    records::{
        RecordError,
        api_keys::{ApiKeys, Scope},
    },
    web::{self, WebOptions},
};
use tower::{Service as _, ServiceExt as _};
use tracing::info;

use crate::{
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
    MakeKey { name: String, scope: Scope, days: u32 },
    RevokeKey { id: String },
    ListKeys { after: Option<String> },
}

/// Sets the console up. Its pages wait for a sign-in of their own; until then it answers the API, `/healthz` and the
/// result of a sign-in.
pub async fn console(sandbox: Sandbox) -> Result<Web, Failure> {
    let ports = Ports {
        vault: sandbox.vault(true)?,
        scheduler: sandbox.scheduler()?,
        ..sandbox.ports()
    };
    crate::warm::table(&*ports.store).await;
    Ok(Web {
        router: web::api_router(options(&sandbox, &ports)?),
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
        archive: None,
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
