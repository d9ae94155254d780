//! `$batch`: up to twenty requests in one, each counted, throttled and answered on its own.

use super::{GraphError, RequestKind, authorize, begin, dress, one};
use crate::faults::answer::whole_answer;
use crate::faults::board::Target;
use crate::faults::body::whole;
use crate::readings::BatchWidth;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, pairs, plain_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// Most requests in one batch (Microsoft Graph, "JSON batching").
const MOST: usize = 20;

struct Part {
    id: String,
    depends_on: Vec<String>,
    call: Call,
}

pub(crate) async fn answer(simulator: &Simulator, call: &Call) -> Reply {
    let begun = tokio::time::Instant::now();
    let (request, latency) = begin(simulator, call, RequestKind::Batch);
    simulator.clock().wait(begun, latency.network).await;
    let fault = {
        let mut state = simulator.lock();
        let fault = state.faults.meet(Target {
            kind: RequestKind::Batch,
            mailbox: None,
            message: None,
        });
        state.stats.faults_met += u64::from(fault.is_some());
        fault
    };
    let mut reply = match fault.as_ref().and_then(|f| whole_answer(simulator, call, f)) {
        Some(reply) => reply,
        None => match run(simulator, call).await {
            Ok(reply) => reply,
            Err(error) => error.reply(&request),
        },
    };
    reply = super::gzip::send_off(call, reply, fault.as_ref()).await;
    dress(simulator, call, &request, &mut reply);
    reply
}

async fn run(simulator: &Simulator, call: &Call) -> Result<Reply, GraphError> {
    authorize(simulator, call)?;
    if call.method != Method::POST {
        return Err(GraphError::method());
    }
    let body = super::write::object(call)?;
    let requests = body.get("requests").and_then(Value::as_array).filter(|r| !r.is_empty());
    let requests = requests.ok_or_else(|| GraphError::bad("Invalid batch payload format: 'requests' is required."))?;
    if requests.len() > MOST {
        return Err(GraphError::bad(format!(
            "Number of batch request steps exceeds the maximum value of {MOST}."
        )));
    }
    let parts = requests
        .iter()
        .map(|r| read(call, r))
        .collect::<Result<Vec<Part>, _>>()?;
    check(&parts)?;
    let width = match simulator.lock().options.readings.batch_width {
        BatchWidth::All => MOST,
        BatchWidth::AtMostFour => 4,
    };
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses: Vec<Value> = Vec::new();
    let mut waiting = parts;
    while !waiting.is_empty() {
        let (ready, later): (Vec<Part>, Vec<Part>) = waiting
            .into_iter()
            .partition(|p| p.depends_on.iter().all(|d| statuses.contains_key(d)));
        if ready.is_empty() {
            return Err(GraphError::bad("The dependsOn of the batch leads in a circle."));
        }
        let (failed, runnable): (Vec<Part>, Vec<Part>) = ready
            .into_iter()
            .partition(|p| p.depends_on.iter().any(|d| statuses.get(d).is_none_or(|s| *s >= 400)));
        for part in failed {
            let error =
                json!({"error": {"code": "FailedDependency", "message": "A request this one depends on has failed."}});
            statuses.insert(part.id.to_ascii_lowercase(), 424);
            responses.push(
                json!({"id": part.id, "status": 424, "headers": {"Content-Type": "application/json"}, "body": error}),
            );
        }
        let done: Vec<(String, u16, Value)> = futures::stream::iter(runnable)
            .map(|part| async move {
                let reply = one(simulator, &part.call, false).await;
                let status = reply.status().as_u16();
                let response = response(&part.id, reply).await;
                (part.id, status, response)
            })
            .buffer_unordered(width)
            .collect()
            .await;
        for (id, status, response) in done {
            statuses.insert(id.to_ascii_lowercase(), status);
            responses.push(response);
        }
        waiting = later;
    }
    // Any order is allowed: the last comes first, so that nobody relies on the order asked in.
    responses.reverse();
    Ok(plain_json(200, &json!({"responses": responses})))
}

fn read(batch: &Call, request: &Value) -> Result<Part, GraphError> {
    let text = |name: &str| request[name].as_str().filter(|t| !t.is_empty());
    let id = text("id")
        .ok_or_else(|| GraphError::bad("Invalid batch payload format: every request needs an id."))?
        .to_owned();
    let method = text("method").and_then(|m| m.to_ascii_uppercase().parse::<Method>().ok());
    let method =
        method.ok_or_else(|| GraphError::bad("Invalid batch payload format: every request needs a method."))?;
    let url = text("url").ok_or_else(|| GraphError::bad("Invalid batch payload format: every request needs a url."))?;
    if url.contains("://") {
        return Err(GraphError::bad(format!(
            "Invalid batch payload format: the url '{url}' must be relative."
        )));
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let name = name.to_ascii_lowercase().parse::<HeaderName>();
        if let (Ok(name), Some(Ok(value))) = (name, value.as_str().map(HeaderValue::from_str)) {
            headers.insert(name, value);
        }
    }
    let body = match request.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(_) if !headers.contains_key("content-type") => {
            return Err(GraphError::bad(
                "Write request id : {id} does not contain Content-Type header or body.".replace("{id}", &id),
            ));
        }
        Some(body) => Bytes::from(body.to_string()),
    };
    // A part acts for the caller of the batch, unless it brings its own token.
    if let Some(bearer) = batch
        .headers
        .get("authorization")
        .filter(|_| !headers.contains_key("authorization"))
    {
        headers.insert("authorization", bearer.clone());
    }
    let depends_on = request["dependsOn"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_ascii_lowercase)
        .collect();
    let call = Call {
        method,
        path: format!("/v1.0/{}", path.trim_start_matches('/')),
        query: pairs(query.as_bytes()),
        headers,
        body,
        origin: batch.origin.clone(),
    };
    Ok(Part { id, depends_on, call })
}

fn check(parts: &[Part]) -> Result<(), GraphError> {
    let mut seen = HashSet::new();
    for part in parts {
        if !seen.insert(part.id.to_ascii_lowercase()) {
            return Err(GraphError::bad(format!(
                "Request Id '{}' has to be unique in a batch.",
                part.id
            )));
        }
        if part.call.path.starts_with("/v1.0/$batch") {
            return Err(GraphError::bad("Batches cannot be nested."));
        }
    }
    match parts.iter().flat_map(|p| &p.depends_on).find(|d| !seen.contains(*d)) {
        Some(unknown) => Err(GraphError::bad(format!(
            "dependsOn names the unknown request id '{unknown}'."
        ))),
        None => Ok(()),
    }
}

async fn response(id: &str, reply: Reply) -> Value {
    let (parts, body) = reply.into_parts();
    let mut headers = Map::new();
    for (name, value) in &parts.headers {
        // Names as people expect them in JSON: Retry-After, Content-Type.
        let name: Vec<String> = name
            .as_str()
            .split('-')
            .map(|w| {
                w.chars()
                    .enumerate()
                    .map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c })
                    .collect()
            })
            .collect();
        headers.insert(name.join("-"), value.to_str().unwrap_or_default().into());
    }
    let bytes = whole(body).await;
    let mut out = json!({"id": id, "status": parts.status.as_u16(), "headers": headers});
    if !bytes.is_empty() {
        // What is not JSON travels as a base64 text.
        out["body"] = serde_json::from_slice(&bytes).unwrap_or_else(|_| STANDARD.encode(&bytes).into());
    }
    out
}
