//! The control over HTTP: the Rust methods by the same names, JSON in and out.

use super::ControlError;
use super::mail::Delivery;
use super::signin;
use crate::clock::parse_time;
use crate::entra::federation::FederatedCredential;
use crate::faults::FaultSpec;
use crate::mail::Mime;
use crate::mailbox::Corruption;
use crate::options::{Latency, Limits};
use crate::readings::Readings;
use crate::simulator::Simulator;
use crate::wire::{Call, Reply, plain_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// Every act: `POST /_control/{act}`.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "act",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Act {
    AddMailbox {
        address: String,
    },
    Deliver {
        mailbox: String,
        folder: Option<String>,
        mime: Option<String>,
        mime_base64: Option<String>,
        size: Option<usize>,
        received: Option<String>,
        #[serde(default)]
        read: bool,
        #[serde(default)]
        draft: bool,
    },
    Fill {
        mailbox: String,
        folder: Option<String>,
        count: usize,
        days: Option<u32>,
    },
    Move {
        mailbox: String,
        id: String,
        folder: String,
    },
    Delete {
        mailbox: String,
        id: String,
    },
    Purge {
        mailbox: String,
        id: String,
    },
    Mark {
        mailbox: String,
        id: String,
        read: bool,
    },
    EditDraft {
        mailbox: String,
        id: String,
        mime: String,
    },
    SendDraft {
        mailbox: String,
        id: String,
    },
    AddReference {
        mailbox: String,
        id: String,
        name: String,
        url: String,
    },
    Corrupt {
        mailbox: String,
        id: String,
        how: Option<Corruption>,
    },
    CreateFolder {
        mailbox: String,
        path: String,
        #[serde(default)]
        hidden: bool,
    },
    RenameFolder {
        mailbox: String,
        path: String,
        name: String,
    },
    DeleteFolder {
        mailbox: String,
        path: String,
    },
    EnableMailbox {
        mailbox: String,
        enabled: bool,
    },
    SetInPolicy {
        mailbox: String,
        inside: bool,
    },
    RegisterApp {
        client_id: String,
        secret: String,
        #[serde(default)]
        roles: Vec<String>,
    },
    SetRoles {
        client_id: String,
        roles: Vec<String>,
    },
    SetExchangeRoles {
        client_id: String,
        roles: Vec<String>,
        mailboxes: Vec<String>,
        #[serde(default)]
        delay_seconds: u64,
    },
    RotateSecret {
        client_id: String,
        secret: String,
        #[serde(default)]
        expire_old: bool,
    },
    AddCertificate {
        client_id: String,
        pem: String,
    },
    AddFederated {
        client_id: String,
        issuer: String,
        subject: String,
        audience: String,
    },
    RevokeTokens {},
    Advance {
        seconds: u64,
    },
    Arm {
        fault: FaultSpec,
    },
    Disarm {
        id: u64,
    },
    ClearFaults {},
    EvictDeltaState {
        mailbox: String,
        folder: String,
    },
    SetReadings {
        readings: Readings,
    },
    SetVaryMime {
        vary: bool,
    },
    SetLimits {
        enabled: bool,
    },
    SetLatency {
        service_ms: u64,
        network_ms: u64,
    },
    SetTokenLifetime {
        seconds: Option<u32>,
    },
}

pub(crate) fn answer(simulator: &Simulator, call: &Call) -> Reply {
    let segments = call.segments();
    let name = segments.get(1).map(String::as_str).unwrap_or_default();
    let done = if call.method == Method::GET {
        look(simulator, call, name)
    } else {
        post(simulator, call, name)
    };
    match done {
        Ok(value) => plain_json(200, &value),
        Err(error) => plain_json(400, &json!({"error": error.to_string()})),
    }
}

fn look(simulator: &Simulator, call: &Call, name: &str) -> Result<Value, ControlError> {
    let shown = match name {
        "stats" => serde_json::to_value(simulator.stats()),
        "truth" => serde_json::to_value(simulator.truth(call.parameter("mailbox"))),
        "faults" => serde_json::to_value(simulator.faults()),
        "readings" => serde_json::to_value(simulator.readings()),
        "complaints" => serde_json::to_value(simulator.complaints()),
        "registration" => serde_json::to_value(simulator.registration()),
        "grants" => serde_json::to_value(simulator.grants()),
        "users" => serde_json::to_value(simulator.users()),
        _ => {
            return Err(ControlError::Request(format!(
                "GET /_control/{name} is unknown; known: stats, truth, faults, readings, complaints, registration, grants, users"
            )));
        }
    };
    shown.map_err(|e| ControlError::Request(e.to_string()))
}

fn post(simulator: &Simulator, call: &Call, name: &str) -> Result<Value, ControlError> {
    let body: Value = if call.body.is_empty() {
        json!({})
    } else {
        read(&call.body)?
    };
    // The fault or the user itself may be posted, without a wrapper.
    let mut body = match name {
        "arm" if body.get("on").is_some() => json!({"fault": body}),
        "add-user" if body.get("address").is_some() => json!({"user": body}),
        _ => body,
    };
    let map = body
        .as_object_mut()
        .ok_or_else(|| ControlError::Request("a JSON object is expected".to_owned()))?;
    map.insert("act".to_owned(), name.into());
    if signin::ACTS.contains(&name) {
        let act =
            serde_json::from_value(body).map_err(|e| ControlError::Request(format!("POST /_control/{name}: {e}")))?;
        return signin::run(simulator, act);
    }
    let act: Act =
        serde_json::from_value(body).map_err(|e| ControlError::Request(format!("POST /_control/{name}: {e}")))?;
    run(simulator, act)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(bytes).map_err(|e| ControlError::Request(format!("the body is not JSON: {e}")))
}

#[expect(clippy::too_many_lines, reason = "one arm per act; each only names its method")]
fn run(s: &Simulator, act: Act) -> Result<Value, ControlError> {
    let done = |()| json!({"done": true});
    match act {
        Act::AddMailbox { address } => Ok(json!({"id": s.add_mailbox(&address)})),
        Act::Deliver {
            mailbox,
            folder,
            mime,
            mime_base64,
            size,
            received,
            read,
            draft,
        } => {
            let folder = folder.unwrap_or_else(|| "inbox".to_owned());
            let mime: Mime = match (mime, mime_base64, size) {
                (Some(text), None, None) => text.as_str().into(),
                (None, Some(encoded), None) => STANDARD
                    .decode(encoded)
                    .map_err(|e| ControlError::Request(format!("mimeBase64: {e}")))?
                    .into(),
                (None, None, Some(size)) => {
                    return Ok(json!({"id": s.deliver_sized(&mailbox, size)?}));
                }
                (None, None, None) => {
                    return Ok(json!({"id": s.deliver_generated(&mailbox, &folder)?}));
                }
                _ => {
                    return Err(ControlError::Request(
                        "give one of mime, mimeBase64, size, or none for generated mail".to_owned(),
                    ));
                }
            };
            let received_ms = match received {
                None => None,
                Some(text) => Some(
                    parse_time(&text).ok_or_else(|| ControlError::Request(format!("received: `{text}` is no time")))?,
                ),
            };
            Ok(json!({"id": s.deliver(&mailbox, Delivery { mime, folder, received_ms, read, draft })?}))
        }
        Act::Fill {
            mailbox,
            folder,
            count,
            days,
        } => s
            .fill(
                &mailbox,
                folder.as_deref().unwrap_or("inbox"),
                count,
                days.unwrap_or(30),
            )
            .map(done),
        Act::Move { mailbox, id, folder } => s.move_message(&mailbox, &id, &folder).map(done),
        Act::Delete { mailbox, id } => s.delete_message(&mailbox, &id).map(done),
        Act::Purge { mailbox, id } => s.purge_message(&mailbox, &id).map(done),
        Act::Mark { mailbox, id, read } => s.mark(&mailbox, &id, read).map(done),
        Act::EditDraft { mailbox, id, mime } => s.edit_draft(&mailbox, &id, mime.as_str()).map(done),
        Act::SendDraft { mailbox, id } => s.send_draft(&mailbox, &id).map(done),
        Act::AddReference { mailbox, id, name, url } => s.add_reference(&mailbox, &id, &name, &url).map(done),
        Act::Corrupt { mailbox, id, how } => s.corrupt(&mailbox, &id, how).map(done),
        Act::CreateFolder { mailbox, path, hidden } => Ok(json!({"id": s.create_folder(&mailbox, &path, hidden)?})),
        Act::RenameFolder { mailbox, path, name } => s.rename_folder(&mailbox, &path, &name).map(done),
        Act::DeleteFolder { mailbox, path } => s.delete_folder(&mailbox, &path).map(done),
        Act::EnableMailbox { mailbox, enabled } => s.enable_mailbox(&mailbox, enabled).map(done),
        Act::SetInPolicy { mailbox, inside } => s.set_in_policy(&mailbox, inside).map(done),
        Act::RegisterApp {
            client_id,
            secret,
            roles,
        } => {
            s.register_app(
                &client_id,
                &secret,
                &roles.iter().map(String::as_str).collect::<Vec<_>>(),
            );
            Ok(done(()))
        }
        Act::SetRoles { client_id, roles } => s
            .set_roles(&client_id, &roles.iter().map(String::as_str).collect::<Vec<_>>())
            .map(done),
        Act::SetExchangeRoles {
            client_id,
            roles,
            mailboxes,
            delay_seconds,
        } => {
            let [roles, mailboxes] =
                [&roles, &mailboxes].map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
            s.set_exchange_roles(&client_id, &roles, &mailboxes, Duration::from_secs(delay_seconds))
                .map(done)
        }
        Act::RotateSecret {
            client_id,
            secret,
            expire_old,
        } => s.rotate_secret(&client_id, &secret, expire_old).map(done),
        Act::AddCertificate { client_id, pem } => s.add_certificate(&client_id, &pem).map(done),
        Act::AddFederated {
            client_id,
            issuer,
            subject,
            audience,
        } => {
            let trusted = FederatedCredential {
                issuer,
                subject,
                audience,
            };
            s.add_federated(&client_id, trusted).map(done)
        }
        Act::RevokeTokens {} => Ok(json!({"revoked": s.revoke_tokens()})),
        Act::Advance { seconds } => {
            s.advance(Duration::from_secs(seconds));
            Ok(json!({"nowMs": s.now_ms()}))
        }
        Act::Arm { fault } => Ok(json!({"id": s.arm(fault)})),
        Act::Disarm { id } => Ok(json!({"disarmed": s.disarm(id)})),
        Act::ClearFaults {} => {
            s.clear_faults();
            Ok(done(()))
        }
        Act::EvictDeltaState { mailbox, folder } => Ok(json!({"evicted": s.evict_delta_state(&mailbox, &folder)?})),
        Act::SetReadings { readings } => {
            s.set_readings(readings);
            Ok(done(()))
        }
        Act::SetVaryMime { vary } => {
            s.set_vary_mime(vary);
            Ok(done(()))
        }
        Act::SetLimits { enabled } => {
            s.set_limits(Limits {
                enabled,
                ..Limits::default()
            });
            Ok(done(()))
        }
        Act::SetLatency { service_ms, network_ms } => {
            s.set_latency(Latency {
                service: Duration::from_millis(service_ms),
                network: Duration::from_millis(network_ms),
            });
            Ok(done(()))
        }
        Act::SetTokenLifetime { seconds } => {
            s.set_token_lifetime(seconds);
            Ok(done(()))
        }
    }
}
