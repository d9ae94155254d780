//! Graph v1.0 mail: the way of one request through token, limits, faults and handler.

mod application;
mod attachments;
mod batch;
pub(crate) mod delta;
mod error;
mod folders;
mod gzip;
mod messages;
mod permission;
mod prefer;
mod profile;
mod query;
mod render;
mod route;
mod scene;
mod write;

use crate::entra::access_token::{self, Bearer};
use crate::faults::answer::{delta_answer, is_page_fault, spoil, whole_answer};
use crate::faults::board::Target;
use crate::faults::body::{BodyLength, holding, whole};
use crate::faults::{ConnectionReset, Fault, RequestKind};
use crate::gate::{Slot, Verdict};
use crate::mailbox::ids::{IdFormat, guid};
use crate::options::Latency;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, set};
pub(crate) use error::{GraphError, RequestIds};
use http::Method;
use permission::Sight;
use prefer::Prefer;
use route::{Act, Route};
pub(crate) use scene::Scene;
use std::sync::Arc;
use tokio::time::Instant;

/// Longest `Retry-After` (milliseconds) that coming back early is counted for; longer ones are armed to be absurd.
const WATCHED_MS: i64 = 3_600_000;

/// Answers everything below `/v1.0`.
pub(crate) async fn answer(simulator: &Simulator, call: &Call) -> Reply {
    if call.path == "/v1.0/$batch" {
        return batch::answer(simulator, call).await;
    }
    one(simulator, call, true).await
}

/// One request, or one part of a batch (which has no way of its own to travel).
pub(crate) async fn one(simulator: &Simulator, call: &Call, travels: bool) -> Reply {
    let segments = call.segments();
    let route = route::parse(&call.method, segments.get(1..).unwrap_or_default());
    let kind = route.as_ref().map_or(RequestKind::Other, Route::kind);
    let begun = Instant::now();
    let (request, latency) = begin(simulator, call, kind);
    if travels {
        simulator.clock().wait(begun, latency.network).await;
    }
    let mut reply = match pass(simulator, call, route, kind, &request, latency).await {
        Ok(reply) => reply,
        Err(error) => error.reply(&request),
    };
    dress(simulator, call, &request, &mut reply);
    reply
}

pub(crate) fn begin(simulator: &Simulator, call: &Call, kind: RequestKind) -> (RequestIds, Latency) {
    let mut state = simulator.lock();
    state.stats.request(kind);
    let request_id = guid(&mut state.rng);
    let client_request_id = call
        .header("client-request-id")
        .map_or_else(|| request_id.clone(), str::to_owned);
    (
        RequestIds {
            request_id,
            client_request_id,
            now_ms: simulator.now_ms(),
        },
        state.options.latency,
    )
}

/// The checks in Graph's order: token, path, mailbox, permission, limits; then faults, then the work.
async fn pass(
    simulator: &Simulator,
    call: &Call,
    route: Option<Route>,
    kind: RequestKind,
    request: &RequestIds,
    latency: Latency,
) -> Result<Reply, GraphError> {
    let bearer = authorize(simulator, call)?;
    if let Some(client_id) = application::named(&call.path) {
        // Of the directory as well: no mailbox's limits count.
        return application::answer(simulator, call, client_id, &bearer);
    }
    let route = route.ok_or_else(|| {
        GraphError::bad(format!(
            "Resource not found for the segment '{}'.",
            call.segments().last().cloned().unwrap_or_default()
        ))
    })?;
    if route.person {
        // The directory answers this one: no mailbox is asked, its limits do not count.
        return whose(simulator, call, &route, &bearer).await;
    }
    let (at, sight) = permission::mailbox(simulator, &route, &bearer)?;
    let lane = (bearer.app.clone(), at);
    let slot = enter(simulator, lane.clone(), kind)?;
    // Others get their turn while this one is served, so that what runs at once is seen to run at once.
    tokio::task::yield_now().await;
    simulator.clock().wait(slot.since, latency.service).await;
    let fault = meet(simulator, &route, kind, at);
    let mut reply = work(simulator, call, &route, at, request, fault.as_ref());
    if sight == Sight::Basic {
        reply = dimmed(reply).await;
    }
    reply = gzip::send_off(call, reply, fault.as_ref()).await;
    if fault.is_some() {
        watch_hold_off(simulator, &lane, &reply);
    }
    if reply.extensions().get::<ConnectionReset>().is_some() {
        return Ok(reply);
    }
    let (parts, body) = reply.into_parts();
    let length = parts.extensions.get::<BodyLength>().map(|l| l.0);
    Ok(Reply::from_parts(parts, holding(body, length, slot)))
}

/// `/me` and `/users/{id}`, with the faults of its kind.
async fn whose(simulator: &Simulator, call: &Call, route: &Route, bearer: &Bearer) -> Result<Reply, GraphError> {
    let fault = {
        let mut guard = simulator.lock();
        let state = &mut *guard;
        let person = bearer.person.as_ref().and_then(|p| state.directory.user(&p.oid));
        let target = Target {
            kind: RequestKind::Other,
            mailbox: person.map(|u| u.address.as_str()),
            message: None,
        };
        let fault = state.faults.meet(target);
        state.stats.faults_met += u64::from(fault.is_some());
        fault
    };
    let Some(fault) = fault else {
        return profile::answer(simulator, call, route, bearer);
    };
    match whole_answer(simulator, call, &fault) {
        Some(reply) => Ok(reply),
        None => Ok(spoil(profile::answer(simulator, call, route, bearer)?, &fault).await),
    }
}

/// An answer without what a basic permission does not show.
async fn dimmed(reply: Reply) -> Reply {
    let (parts, body) = reply.into_parts();
    let bytes = whole(body).await;
    let Ok(mut json) = serde_json::from_slice(&bytes) else {
        return Reply::from_parts(parts, bytes.into());
    };
    permission::dim(&mut json);
    Reply::from_parts(parts, json.to_string().into())
}

/// Who asks; 401 with `WWW-Authenticate` otherwise.
pub(crate) fn authorize(simulator: &Simulator, call: &Call) -> Result<Bearer, GraphError> {
    access_token::check(simulator, call.header("authorization")).map_err(|why| {
        simulator.lock().stats.unauthorized += 1;
        GraphError::token(why)
    })
}

fn enter(simulator: &Simulator, lane: (String, usize), kind: RequestKind) -> Result<Slot, GraphError> {
    let now = simulator.now_ms();
    let mut guard = simulator.lock();
    let state = &mut *guard;
    let limits = state.options.limits;
    if let Some(mailbox) = state.mailboxes.get(lane.1) {
        let counts = state.stats.mailbox(&mailbox.address);
        counts.requests += 1;
        *counts.by_kind.entry(kind).or_default() += 1;
    }
    match state.gate.enter(&lane, &limits, now) {
        Verdict::Pass => Ok(Slot {
            core: Arc::downgrade(&simulator.core),
            lane,
            since: Instant::now(),
        }),
        Verdict::TooManyAtOnce => {
            // As Graph does it: a fraction of a second, told as a decimal.
            let wait_ms = 1_000 + i64::from(rand::Rng::random_range(&mut state.rng, 0..2_000_u32));
            state.gate.hold_off(&lane, now + wait_ms);
            Err(throttled("Application is over its MailboxConcurrency limit.", wait_ms))
        }
        Verdict::TooManyInWindow { wait_ms } => {
            state.gate.hold_off(&lane, now + wait_ms);
            Err(throttled("Application is over its RequestCount limit.", wait_ms))
        }
    }
}

fn throttled(message: &str, wait_ms: i64) -> GraphError {
    GraphError {
        retry_after_ms: Some(wait_ms),
        ..GraphError::new(429, "ApplicationThrottled", message)
    }
}

fn meet(simulator: &Simulator, route: &Route, kind: RequestKind, at: usize) -> Option<Fault> {
    let mut guard = simulator.lock();
    let state = &mut *guard;
    let mailbox = state.mailboxes.get(at)?;
    let key = route.message.as_deref().and_then(|id| mailbox.item_by_id(id));
    let both = key.map(|k| {
        (
            mailbox.id_of(k, IdFormat::Default),
            mailbox.id_of(k, IdFormat::Immutable),
        )
    });
    let target = Target {
        kind,
        mailbox: Some(&mailbox.address),
        message: both.as_ref().map(|(a, b)| (a.as_str(), b.as_str())),
    };
    let fault = state.faults.meet(target);
    state.stats.faults_met += u64::from(fault.is_some());
    fault
}

/// The answer itself, with faults that replace it or bend it from within.
fn work(
    simulator: &Simulator,
    call: &Call,
    route: &Route,
    at: usize,
    request: &RequestIds,
    fault: Option<&Fault>,
) -> Reply {
    if let Some(reply) = fault.and_then(|f| whole_answer(simulator, call, f)) {
        return reply;
    }
    let prefer = Prefer::read(&call.headers);
    let mut guard = simulator.lock();
    let page_fault = fault.filter(|f| is_page_fault(f)).cloned();
    let mut scene = Scene {
        state: &mut guard,
        at,
        call,
        route,
        prefer: &prefer,
        request,
        page_fault,
    };
    if let Some(reply) = fault.and_then(|f| delta_answer(&scene, f)) {
        return reply;
    }
    let done = act(&mut scene);
    let mut reply = done.unwrap_or_else(|error| error.reply(request));
    if let Some(applied) = prefer.applied() {
        set(&mut reply, "preference-applied", &applied);
    }
    reply
}

fn act(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    match scene.route.act {
        Act::ListFolders => folders::list(scene),
        Act::CreateFolder => folders::create(scene),
        Act::FoldersDelta => folders::delta(scene),
        Act::GetFolder => folders::get(scene),
        Act::ListMessages => messages::list(scene),
        Act::Delta => delta::answer(scene),
        Act::GetMessage => messages::get(scene),
        Act::PatchMessage => write::patch(scene),
        Act::DeleteMessage => write::delete(scene),
        Act::PermanentDelete => write::permanent_delete(scene),
        Act::Value => messages::value(scene),
        Act::Move => write::move_or_copy(scene, false),
        Act::Copy => write::move_or_copy(scene, true),
        Act::ListAttachments => attachments::list(scene),
        Act::GetAttachment => attachments::get(scene),
        Act::AttachmentValue => attachments::value(scene),
        Act::Translate => messages::translate(scene),
        Act::Profile | Act::WrongMethod => Err(GraphError::method()),
    }
}

/// A refusal with a sensible `Retry-After` closes the lane until then; who comes earlier is counted.
fn watch_hold_off(simulator: &Simulator, lane: &(String, usize), reply: &Reply) {
    let header = reply.headers().get("retry-after").and_then(|v| v.to_str().ok());
    let Some(text) = header else { return };
    let now_ms = simulator.now_ms();
    let wait_ms = match text.parse::<f64>() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float becomes the nearest integer there is"
        )]
        Ok(seconds) => (seconds * 1000.0) as i64,
        Err(_) => match httpdate::parse_http_date(text).map(|at| at.duration_since(std::time::UNIX_EPOCH)) {
            Ok(Ok(since)) => i64::try_from(since.as_millis())
                .unwrap_or(i64::MAX)
                .saturating_sub(now_ms),
            _ => return,
        },
    };
    if (1..=WATCHED_MS).contains(&wait_ms) {
        simulator.lock().gate.hold_off(lane, now_ms + wait_ms);
    }
}

/// The headers every answer of Graph has, and the counts by status.
pub(crate) fn dress(simulator: &Simulator, call: &Call, request: &RequestIds, reply: &mut Reply) {
    set(reply, "request-id", &request.request_id);
    set(reply, "client-request-id", &request.client_request_id);
    set(
        reply,
        "x-ms-ags-diagnostic",
        "{\"ServerInfo\":{\"DataCenter\":\"Simulated\",\"Slice\":\"E\",\"Ring\":\"5\",\"ScaleUnit\":\"000\",\"RoleInstance\":\"SIM000001\"}}",
    );
    set(reply, "cache-control", "private");
    set(reply, "strict-transport-security", "max-age=31536000");
    set(reply, "date", &crate::clock::http_date(simulator.now_ms()));
    let status = reply.status().as_u16();
    if status == 401 && !reply.headers().contains_key("www-authenticate") {
        set(
            reply,
            "www-authenticate",
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
        );
    }
    if status == 405 {
        set(reply, "allow", if call.method == Method::GET { "POST" } else { "GET" });
    }
    let mut guard = simulator.lock();
    let state = &mut *guard;
    *state.stats.by_status.entry(status).or_default() += 1;
    if status == 429 {
        let segments = call.segments();
        let name = match segments.get(1..3) {
            Some([users, name]) if users == "users" => Some(name.clone()),
            _ => segments
                .get(1)
                .and_then(|s| s.strip_prefix("users('"))
                .and_then(|s| s.strip_suffix("')"))
                .map(str::to_owned),
        };
        let address = name
            .and_then(|n| state.mailbox_named(&n))
            .and_then(|at| state.mailboxes.get(at))
            .map(|m| m.address.clone());
        if let Some(address) = address {
            state.stats.mailbox(&address).throttled += 1;
        }
    }
}
