//! Events in, answers and typed errors out: the loop around every function.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use shared::{ports::Clock as _, system::SystemClock};
use tracing::{Instrument as _, error, info_span};

use crate::{failure::Failure, metrics, sandbox::Sandbox, settings::Settings};

/// What is known of an invocation besides its event.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// AWS's request id.
    pub request_id: String,
    /// When Lambda ends it.
    pub deadline: Timestamp,
}

/// A function.
#[async_trait]
pub trait Function: Send + Sync {
    /// Handles one event.
    async fn handle(&self, event: Value, invocation: &Invocation) -> Result<Value, Failure>;
}

/// The one place that reads the environment.
#[expect(clippy::disallowed_methods, reason = "settings come in here, and go on as a lookup")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Sets the sandbox up and handles events until it ends. A sandbox that cannot be set up answers every event with why,
/// under the right error type: ending the process would only make Lambda start it again and again.
pub async fn run<F, S>(start: fn(Sandbox) -> S) -> Result<(), lambda_runtime::Error>
where
    F: Function + 'static,
    S: Future<Output = Result<F, Failure>>,
{
    // Failures are counted even where nothing else could be set up.
    let stack: Arc<str> = environment("POSTROOM_STACK").unwrap_or_else(|| "-".to_owned()).into();
    let sandbox = Settings::from_lookup(Box::new(environment))
        .map_err(Failure::from)
        .and_then(Sandbox::start);
    let function = match sandbox {
        Ok(sandbox) => start(sandbox).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = &function {
        error!(
            error_type = failure.error_type,
            "the function cannot be set up: {failure}"
        );
    }
    let function = Arc::new(function);
    let handle = move |event: LambdaEvent<Value>| {
        let (function, stack) = (Arc::clone(&function), Arc::clone(&stack));
        async move { handle(&function, event, &stack).await }
    };
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle<F: Function>(
    function: &Result<F, Failure>,
    event: LambdaEvent<Value>,
    stack: &str,
) -> Result<Value, Failure> {
    let invocation = Invocation {
        request_id: event.context.request_id,
        deadline: i64::try_from(event.context.deadline)
            .ok()
            .and_then(|millis| Timestamp::from_millisecond(millis).ok())
            .unwrap_or(Timestamp::MAX),
    };
    let span = info_span!("invocation", request_id = invocation.request_id);
    let answer = async {
        match function {
            Ok(function) => function.handle(event.payload, &invocation).await,
            Err(failure) => Err(failure.clone()),
        }
    };
    let answer = answer.instrument(span.clone()).await;
    if let Err(failure) = &answer {
        span.in_scope(|| error!(error_type = failure.error_type, "{failure}"));
        metrics::print_failure(stack, SystemClock.now(), failure.error_type);
    }
    answer
}
