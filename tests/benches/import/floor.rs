//! The floor: a client that does nothing but ask. Every mail is fetched and thrown away, every mail is marked, four requests in
//! flight; no file, no hash, no parser, nothing to go on from. What it needs, everybody needs on this machine who uses the same HTTP library.

use std::process::Stdio;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use simulator::Latency;
use tests::binary::{Desk, finish, setting};
use tokio::process::Command;

use super::measure::{Row, Watch};
use super::scenes::bare_client;

/// What this program is called with when it is the client.
pub(crate) const ARGUMENT: &str = "--floor";
const NAME: &str = "the floor (bytes thrown away)";
const FACTS: &str = "POSTROOM_BENCH_FACTS";

type Failure = Box<dyn std::error::Error>;

/// The same work by this program itself, in a process of its own.
pub(crate) async fn import(desk: &Desk, mailbox: &str, scene: &str, messages: u32, latency: Latency) -> Row {
    let (app, origin) = (desk.simulator.registration(), &desk.program.trusted);
    let facts = json!({
        "tokenUrl": format!("{origin}/{}/oauth2/v2.0/token", app.tenant_id), "mailboxUrl": format!("{origin}/v1.0/users/{mailbox}"),
        "clientId": app.client_id, "clientSecret": app.client_secret, "caFile": desk.program.ca_file,
    });
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let watch = Watch::start(&desk.simulator);
    let child = Command::new(program)
        .arg(ARGUMENT)
        .env(FACTS, facts.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{NAME}: {error}"));
    let said = finish(child).await;
    let row = watch.stop(scene, NAME, messages, latency.service + latency.network, said.peak_kib);
    let unread = desk
        .simulator
        .truth(Some(mailbox))
        .iter()
        .filter(|mail| !mail.read)
        .count();
    if said.code == Some(0) && unread == 0 {
        return row;
    }
    eprintln!("{NAME}: {}", said.err);
    row.note(format!("FAILED, exit code {:?}, {unread} not marked", said.code))
}

/// The client itself.
pub(crate) async fn client() -> Result<(), Failure> {
    let facts: Value = serde_json::from_str(&setting(FACTS).ok_or(FACTS)?)?;
    let word = |name: &str| facts[name].as_str().unwrap_or_default();
    let client = bare_client(Some(word("caFile").as_ref()))?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", word("clientId")),
        ("client_secret", word("clientSecret")),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let answer = client
        .post(word("tokenUrl"))
        .form(&form)
        .send()
        .await?
        .error_for_status()?;
    let answer: Value = answer.json().await?;
    let token = answer["access_token"].as_str().ok_or("no token")?;
    let immutable = "IdType=\"ImmutableId\"";
    let mut ids = Vec::new();
    let mut next = Some(format!(
        "{}/mailFolders/inbox/messages/delta?$select=id",
        word("mailboxUrl")
    ));
    while let Some(url) = next {
        let request = client.get(url).bearer_auth(token);
        let request = request.header("prefer", format!("{immutable}, odata.maxpagesize=200"));
        let page: Value = request.send().await?.error_for_status()?.json().await?;
        let found = page["value"].as_array().into_iter().flatten();
        ids.extend(found.filter_map(|mail| mail["id"].as_str().map(|id| id.replace('/', "%2F"))));
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    let (client, mailbox) = (&client, word("mailboxUrl"));
    let each = ids.iter().map(|id| async move {
        let mail = format!("{mailbox}/messages/{id}");
        let request = client
            .get(format!("{mail}/$value"))
            .bearer_auth(token)
            .header("prefer", immutable);
        let mut bytes = request.send().await?.error_for_status()?.bytes_stream();
        while bytes.try_next().await?.is_some() {}
        let request = client.patch(mail).bearer_auth(token).header("prefer", immutable);
        request
            .json(&json!({"isRead": true}))
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        Ok::<(), reqwest::Error>(())
    });
    stream::iter(each).buffer_unordered(4).try_collect::<()>().await?;
    Ok(())
}
