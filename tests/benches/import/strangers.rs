//! Clients that nobody here wrote, at the same job: all MIME to disk, marked as read, four requests in flight.
//!
//! `scripts/strangers fetch` installs them and says where; `POSTROOM_STRANGERS` is that directory. The programs are in
//! `tests/strangers`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;
use simulator::Latency;
use tests::binary::{Desk, finish, setting, sha256};
use tokio::process::Command;

use super::measure::{Row, Watch};

/// A client, and how its program is called.
pub(crate) struct Stranger {
    pub(crate) name: &'static str,
    program: PathBuf,
    script: Option<&'static str>,
}

/// All there are, in the order of the table; for one that is not there, a sentence.
pub(crate) fn all() -> Vec<Result<Stranger, String>> {
    const KNOWN: [(&str, &str, Option<&str>); 3] = [
        ("msgraph-sdk (Python)", "python/bin/python", Some("clients/graph.py")),
        ("Graph client (Node)", "node", Some("clients/graph.mjs")),
        ("graph-rs-sdk (Rust)", "rust/release/stranger-rust", None),
    ];
    let Some(directory) = setting("POSTROOM_STRANGERS").map(PathBuf::from) else {
        let missing = |(name, _, _): &(&str, _, _)| {
            Err(format!(
                "{name}: POSTROOM_STRANGERS names no directory (`scripts/bench` fetches them)"
            ))
        };
        return KNOWN.iter().map(missing).collect();
    };
    KNOWN
        .into_iter()
        .map(|(name, program, script)| {
            // Node.js is the platform's own.
            let program = if program == "node" {
                PathBuf::from(program)
            } else {
                directory.join(program)
            };
            let needed = [
                Some(program.clone()).filter(|path| path.is_absolute()),
                script.map(PathBuf::from),
            ];
            let mut needed = needed.into_iter().flatten().map(|path| directory.join(path));
            match needed.find(|path| !path.exists()) {
                Some(missing) => Err(format!("{name}: there is no {}", missing.display())),
                None => Ok(Stranger { name, program, script }),
            }
        })
        .collect()
}

/// Imports all there is in one mailbox; afterwards, outside of the measured time, every file is compared with the truth.
pub(crate) async fn import(
    stranger: &Stranger,
    desk: &Desk,
    mailbox: &str,
    scene: &str,
    messages: u32,
    latency: Latency,
) -> Row {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let mut command = command(stranger, desk, mailbox, directory.path());
    let watch = Watch::start(&desk.simulator);
    let child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", stranger.name));
    let said = finish(child).await;
    let row = watch.stop(
        scene,
        stranger.name,
        messages,
        latency.service + latency.network,
        said.peak_kib,
    );
    if said.code == Some(0) {
        let note = compare(desk, mailbox, directory.path());
        row.note(note)
    } else {
        eprintln!("{}: {}", stranger.name, said.err);
        row.note(format!("FAILED, exit code {:?}", said.code))
    }
}

fn command(stranger: &Stranger, desk: &Desk, mailbox: &str, into: &Path) -> Command {
    let (app, origin) = (desk.simulator.registration(), &desk.program.trusted);
    let ca_file = desk.program.ca_file.as_deref().unwrap_or_else(|| panic!("TLS"));
    let facts = json!({
        "origin": origin, "tokenUrl": format!("{origin}/{}/oauth2/v2.0/token", app.tenant_id), "graphUrl": format!("{origin}/v1.0"),
        "tenantId": app.tenant_id, "clientId": app.client_id, "clientSecret": app.client_secret,
        "scope": "https://graph.microsoft.com/.default", "mailbox": mailbox, "caFile": ca_file,
    });
    let mut command = Command::new(&stranger.program);
    command
        .args(stranger.script)
        .arg("import")
        .arg(into)
        .current_dir(setting("POSTROOM_STRANGERS").unwrap_or_default())
        .env("STRANGER_FACTS", facts.to_string())
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for trust in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        command.env(trust, ca_file);
    }
    command
}

/// Nothing to say if every message lies on disk with its bytes and is marked as read.
fn compare(desk: &Desk, mailbox: &str, directory: &Path) -> String {
    let mut files: BTreeMap<String, u32> = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        *files.entry(sha256(&bytes)).or_default() += 1;
    }
    let truth = desk.simulator.truth(Some(mailbox));
    let mut lost = 0;
    for message in &truth {
        match files.get_mut(&message.sha256).filter(|left| **left > 0) {
            Some(left) => *left -= 1,
            None => lost += 1,
        }
    }
    let more: u32 = files.values().sum();
    let unread = truth.iter().filter(|message| !message.read).count();
    if (lost, more, unread) == (0, 0, 0) {
        return String::new();
    }
    format!(
        "LOST OR ALTERED {lost} of {}; {more} files of no message; {unread} not marked",
        truth.len()
    )
}
