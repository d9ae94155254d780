//! Message delta of a folder: rounds, pages, opaque links, and the ways their state is lost.

use super::error::GraphError;
use super::query;
use super::render::{self, Style};
use super::scene::Scene;
use crate::faults::Fault;
use crate::mailbox::ids::link_token;
use crate::mailbox::rounds::{ChangeType, DeltaQuery, Line, Round};
use crate::mailbox::{Corruption, FolderKey};
use crate::readings::{ChangeTracking, CodeCase, MoveReason, ResetAs};
use crate::wire::{Reply, json as reply_json};
use serde_json::{Map, Value, json};

pub(crate) fn answer(scene: &mut Scene<'_>) -> Result<Reply, GraphError> {
    let Some(segment) = scene.route.folder.clone() else {
        return Err(GraphError::bad(
            "Change tracking is not supported against 'microsoft.graph.message'.",
        ));
    };
    if query::option(scene.call, "expand").is_some() {
        return Err(GraphError::new(
            500,
            "InternalServerError",
            "Value cannot be null.\r\nParameter name: type",
        ));
    }
    query::only(
        scene.call,
        &[
            "select",
            "top",
            "filter",
            "orderby",
            "changeType",
            "skiptoken",
            "deltatoken",
        ],
    )?;
    let token = query::option(scene.call, "skiptoken")
        .or_else(|| query::option(scene.call, "deltatoken"))
        // For mail, "latest" is no token at all: everything comes.
        .filter(|t| !t.is_empty() && *t != "latest")
        .map(str::to_owned);
    let folder = match scene.folder_named(&segment) {
        Ok(folder) => folder,
        Err(_) if scene.mailbox()?.was_folder(&segment) && token.is_some() => {
            return Err(GraphError::new(
                404,
                "ErrorSyncFolderNotFound",
                "The folder to synchronize could not be found.",
            ));
        }
        Err(error) => return Err(error),
    };
    if scene.mailbox()?.folders.get(folder).is_some_and(|f| f.search) {
        return Err(GraphError::bad("Change tracking is not supported for search folders."));
    }
    match scene.state.options.readings.change_tracking {
        ChangeTracking::Offered => {}
        ChangeTracking::BadRequest => return Err(GraphError::bad("Resource not found for the segment 'delta'.")),
        ChangeTracking::NotFound => {
            let words = "Resource not found for the segment 'delta'.";
            return Err(GraphError::new(404, "ResourceNotFound", words));
        }
        ChangeTracking::NotImplemented => {
            let words = "Change tracking is not implemented.";
            return Err(GraphError::new(501, "NotImplemented", words));
        }
    }
    let visible = scene.now_ms() - i64::try_from(scene.state.options.delta_lag.as_millis()).unwrap_or(0);
    let round = match token {
        None => {
            let query = read_query(scene)?;
            scene.mailbox()?.first_round(scene.at, folder, query, visible)
        }
        Some(token) => match resume(scene, folder, &token, visible)? {
            Resumed::Round(round) => round,
            Resumed::Lost(reply) => return Ok(reply),
        },
    };
    page(scene, round)
}

fn read_query(scene: &Scene<'_>) -> Result<DeltaQuery, GraphError> {
    let call = scene.call;
    let received_from = match query::filter(call)?.as_slice() {
        [] => None,
        [one] if one.property == "receivedDateTime" && (one.operator == "ge" || one.operator == "gt") => {
            Some((one.value.parse().unwrap_or(0), one.operator == "gt"))
        }
        _ => {
            return Err(GraphError::bad(
                "Delta supports only a filter on receivedDateTime with ge or gt.",
            ));
        }
    };
    let newest_first = match query::option(call, "orderby") {
        None => false,
        Some("receivedDateTime desc") => true,
        Some(_) => {
            return Err(GraphError::bad("Delta supports only $orderby=receivedDateTime desc."));
        }
    };
    let change_type = match call.parameter("changeType") {
        None => None,
        Some("created") => Some(ChangeType::Created),
        Some("updated") => Some(ChangeType::Updated),
        Some("deleted") => Some(ChangeType::Deleted),
        Some(_) => {
            return Err(GraphError::bad("changeType must be created, updated or deleted."));
        }
    };
    let top = query::number(call, "top", 1, 1000)?;
    Ok(DeltaQuery {
        select: query::select(call)?,
        received_from,
        newest_first,
        top,
        change_type,
    })
}

enum Resumed {
    Round(Round),
    Lost(Reply),
}

fn resume(scene: &mut Scene<'_>, folder: FolderKey, token: &str, visible: i64) -> Result<Resumed, GraphError> {
    if scene.state.evicted.contains(token) {
        return Ok(Resumed::Lost(reset(scene)));
    }
    let round = scene
        .state
        .rounds
        .get(token)
        .cloned()
        .ok_or_else(|| lost_token(scene))?;
    // A token belongs to its mailbox, its folder and its query; options beside it may only repeat the query.
    if round.mailbox != scene.at || round.folder != folder {
        return Err(lost_token(scene));
    }
    let asked = read_query(scene)?;
    if asked != DeltaQuery::default() && asked != round.query {
        return Err(GraphError::bad(
            "The query options cannot be changed on a link; begin a new round.",
        ));
    }
    if !round.finished {
        return Ok(Resumed::Round(round));
    }
    let readings = scene.state.options.readings;
    Ok(Resumed::Round(scene.mailbox()?.next_round(
        &round,
        scene.prefer.ids,
        &readings,
        visible,
    )))
}

/// A token that was never given out, or for something else.
pub(crate) fn lost_token(scene: &Scene<'_>) -> GraphError {
    let code = code(scene, "SyncStateInvalid", "syncStateInvalid");
    GraphError::new(400, code, "The sync state in the request is invalid.")
}

fn code<'a>(scene: &Scene<'_>, pascal: &'a str, camel: &'a str) -> &'a str {
    if scene.state.options.readings.code_case == CodeCase::Pascal {
        pascal
    } else {
        camel
    }
}

/// The reset as the reading has it.
pub(crate) fn reset(scene: &Scene<'_>) -> Reply {
    match scene.state.options.readings.reset_as {
        ResetAs::Gone => gone(scene, true),
        ResetAs::BadRequest => not_found(scene, 400),
        ResetAs::NotFound => not_found(scene, 404),
    }
}

pub(crate) fn not_found(scene: &Scene<'_>, status: u16) -> Reply {
    let code = code(scene, "SyncStateNotFound", "syncStateNotFound");
    let message = "The sync state generation is not found; please restart the synchronization.";
    GraphError::new(status, code, message).reply(scene.request)
}

pub(crate) fn gone(scene: &Scene<'_>, location: bool) -> Reply {
    let code = code(scene, "ResyncRequired", "resyncRequired");
    let mut reply = GraphError::new(410, code, "Resync is required.").reply(scene.request);
    if location {
        crate::wire::set(
            &mut reply,
            "location",
            &format!("{}{}?$deltatoken=", scene.call.origin, scene.call.path),
        );
    }
    reply
}

fn page(scene: &mut Scene<'_>, round: Round) -> Result<Reply, GraphError> {
    let size = scene
        .prefer
        .page_size
        .unwrap_or(10)
        .min(scene.state.options.largest_page.max(1));
    let lines: Vec<Line> = round.lines.iter().skip(round.at).take(size).copied().collect();
    let mut value = Vec::with_capacity(lines.len());
    let shown = lines.iter().filter(|l| is_shown(scene, &round, **l)).count();
    for line in &lines {
        match *line {
            Line::Present { item } if is_shown(scene, &round, *line) => {
                let mailbox = scene.mailbox()?;
                let damage = mailbox.items.get(item).and_then(|i| i.corruption);
                if damage == Some(Corruption::Always) || (damage == Some(Corruption::InCompany) && shown > 1) {
                    return Err(GraphError::new(
                        500,
                        "ErrorInternalServerError",
                        "An internal server error occurred. The operation failed.",
                    ));
                }
                let style = Style {
                    select: &round.query.select,
                    prefer: scene.prefer,
                    always_typed: true,
                };
                value.push(Value::Object(render::message(mailbox, item, style)));
            }
            // It left since the round began; the next round says so.
            Line::Present { .. } => {}
            Line::Removed {
                item,
                version,
                destroyed,
            } => value.push(removed(scene, item, version, destroyed)?),
        }
    }
    let guid = scene.mailbox()?.guid.clone();
    let folder = scene
        .mailbox()?
        .folders
        .get(round.folder)
        .map(|f| f.id.clone())
        .unwrap_or_default();
    // Ids stand in links as they are in paths: encoded.
    let folder: String = url::form_urlencoded::byte_serialize(folder.as_bytes()).collect();
    let base = format!(
        "{}/v1.0/users/{guid}/mailFolders/{folder}/messages/delta",
        scene.call.origin
    );
    let here = round.clone();
    let last = round.at + lines.len() >= round.lines.len();
    let next = Round {
        at: round.at + lines.len(),
        finished: last,
        ..round
    };
    let (name, parameter) = if last {
        ("@odata.deltaLink", "deltatoken")
    } else {
        ("@odata.nextLink", "skiptoken")
    };
    let link = format!("{base}?${parameter}={}", keep(scene, next));
    let mut body = Map::new();
    body.insert(
        "@odata.context".to_owned(),
        format!("{}/v1.0/$metadata#Collection(message)", scene.call.origin).into(),
    );
    body.insert(name.to_owned(), link.into());
    body.insert("value".to_owned(), value.into());
    let body = spoil_page(scene, body, Some((&base, &here)));
    Ok(reply_json(200, &Value::Object(body)))
}

fn is_shown(scene: &Scene<'_>, round: &Round, line: Line) -> bool {
    match line {
        Line::Removed { .. } => true,
        Line::Present { item } => scene
            .mailbox()
            .ok()
            .and_then(|m| m.items.get(item))
            .is_some_and(|i| i.alive && i.folder == round.folder),
    }
}

fn removed(scene: &Scene<'_>, item: usize, version: u32, destroyed: bool) -> Result<Value, GraphError> {
    let moved_as_changed = scene.state.options.readings.move_reason == MoveReason::Changed;
    let reason = if destroyed || !moved_as_changed {
        "deleted"
    } else {
        "changed"
    };
    let mailbox = scene.mailbox()?;
    let id = mailbox.id_at(item, version, scene.prefer.ids);
    Ok(json!({"@odata.type": "#microsoft.graph.message", "id": id, "@removed": {"reason": reason}}))
}

fn keep(scene: &mut Scene<'_>, round: Round) -> String {
    let token = link_token(&mut scene.state.rng);
    scene.state.rounds.insert(token.clone(), round);
    token
}

/// Bends a page as an armed fault wants it. `here` is the link base and the state that leads to this page again.
pub(crate) fn spoil_page(
    scene: &mut Scene<'_>,
    mut body: Map<String, Value>,
    here: Option<(&str, &Round)>,
) -> Map<String, Value> {
    let fault = scene.page_fault.take();
    let asked = format!(
        "{}{}?{}",
        scene.call.origin,
        scene.call.path,
        scene
            .call
            .query
            .iter()
            .map(|(n, v)| format!(
                "{n}={}",
                url::form_urlencoded::byte_serialize(v.as_bytes()).collect::<String>()
            ))
            .collect::<Vec<_>>()
            .join("&")
    );
    let again = |scene: &mut Scene<'_>, fresh: bool| match here {
        Some((base, round)) if fresh || !asked.contains("token=") => {
            format!(
                "{base}?$skiptoken={}",
                keep(
                    scene,
                    Round {
                        finished: false,
                        ..Round::clone(round)
                    }
                )
            )
        }
        _ => asked.clone(),
    };
    match fault {
        Some(Fault::EmptyPage) => {
            let link = again(scene, true);
            body.insert("value".to_owned(), json!([]));
            body.remove("@odata.deltaLink");
            body.insert("@odata.nextLink".to_owned(), link.into());
        }
        Some(Fault::LoopingLink { changing }) => {
            let link = again(scene, changing);
            body.remove("@odata.deltaLink");
            body.insert("@odata.nextLink".to_owned(), link.into());
        }
        Some(Fault::ForeignLink { url }) => {
            body.remove("@odata.deltaLink");
            body.insert("@odata.nextLink".to_owned(), url.into());
        }
        Some(Fault::Duplicates) => {
            if let Some(Value::Array(items)) = body.get_mut("value") {
                let twice = items.clone();
                items.extend(twice);
            }
        }
        _ => {}
    }
    body
}
