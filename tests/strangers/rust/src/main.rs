//! graph-rs-sdk at work: `chores` does what the tests look at, `import DIRECTORY` what the benchmark measures.
//!
//! `STRANGER_FACTS` is the simulator's announcement with a `mailbox`; the answer is one JSON value on standard output.

use anyhow::{Context as _, anyhow, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use graph_http::api_impl::{BodyRead, RequestHandler};
use graph_rs_sdk::{GraphClient, GraphClientConfiguration, ODataQuery as _};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use tokio::io::AsyncWriteExt as _;

/// What Microsoft allows one app at one mailbox.
const IN_FLIGHT: usize = 4;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let facts: Value = serde_json::from_str(&std::env::var("STRANGER_FACTS").context("STRANGER_FACTS")?)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let desk = Desk {
        token: token(&facts).await?,
        facts,
    };
    let answer = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["chores"] => desk.chores().await?,
        ["import", directory] => desk.import(Path::new(directory)).await?,
        _ => bail!("chores, or import DIRECTORY"),
    };
    println!("{answer}");
    Ok(())
}

/// A token of the app. The SDK signs in at Microsoft's own hosts only, so the request is made by hand.
async fn token(facts: &Value) -> anyhow::Result<String> {
    let word = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
    let form = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", word("clientId")),
        ("client_secret", word("clientSecret")),
        ("scope", word("scope")),
    ];
    let answer: Value = reqwest::Client::new()
        .post(word("tokenUrl"))
        .form(&form)
        .send()
        .await?
        .json()
        .await?;
    answer["access_token"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("no token: {answer}"))
}

/// A signed-in client of one mailbox.
struct Desk {
    facts: Value,
    token: String,
}

impl Desk {
    fn mailbox(&self) -> &str {
        self.facts["mailbox"].as_str().unwrap_or_default()
    }

    /// A client whose every request prefers immutable ids and pages of a size: its paging repeats default headers only.
    fn client(&self, page: Option<u32>) -> anyhow::Result<GraphClient> {
        let size = page.map_or_else(String::new, |size| format!(", odata.maxpagesize={size}"));
        let mut headers = HeaderMap::new();
        headers.insert(
            "prefer",
            HeaderValue::from_str(&format!("IdType=\"ImmutableId\"{size}"))?,
        );
        let configuration = GraphClientConfiguration::new()
            .access_token(&self.token)
            .default_headers(headers)
            .wait_for_retry_after_headers(true);
        let mut client = GraphClient::from(configuration);
        client.use_test_endpoint(&self.facts["graphUrl"].as_str().unwrap_or_default().parse()?);
        Ok(client)
    }

    /// A request about one message. Ids may hold `/`, which the SDK's own paths take for two segments (and an encoded one is
    /// encoded again): the path is put together here, by segments.
    fn message(
        &self,
        client: &GraphClient,
        method: Method,
        id: &str,
        more: &[&str],
        body: Option<&Value>,
    ) -> anyhow::Result<RequestHandler> {
        let body = body.map(BodyRead::from_serialize).transpose()?;
        let request = client
            .custom(method, body)
            .extend_path(&["users", self.mailbox(), "messages", id]);
        Ok(if more.is_empty() {
            request
        } else {
            request.extend_path(more)
        })
    }

    async fn chores(&self) -> anyhow::Result<Value> {
        let client = self.client(None)?;
        let user = || client.user(self.mailbox());
        let folders: Value = good(user().mail_folders().list_mail_folders().top("100").send().await?)
            .await?
            .json()
            .await?;
        let list = user()
            .mail_folder("inbox")
            .messages()
            .list_messages()
            .select(&["id,subject"])
            .top("10");
        let (listed, list_pages, _) = walk(list).await?;
        let paged = self.client(Some(10))?;
        let delta = paged
            .user(self.mailbox())
            .mail_folder("inbox")
            .messages()
            .delta()
            .select(&["id,subject"]);
        let (delta_items, delta_pages, link) = walk(delta).await?;
        let ids: Vec<String> = listed
            .iter()
            .filter_map(|one| one["id"].as_str().map(str::to_owned))
            .collect();
        let mut mime = Map::new();
        for id in &ids {
            let bytes = good(
                self.message(&client, Method::GET, id, &["$value"], None)?
                    .send()
                    .await?,
            )
            .await?
            .bytes()
            .await?;
            let hex: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            mime.insert(id.clone(), hex.into());
        }
        let [marked, moved, ..] = ids.as_slice() else {
            bail!("two messages are needed")
        };
        let read: Value = good(
            self.message(&client, Method::PATCH, marked, &[], Some(&json!({"isRead": true})))?
                .send()
                .await?,
        )
        .await?
        .json()
        .await?;
        let move_to = json!({"destinationId": "archive"});
        let there: Value = good(
            self.message(&client, Method::POST, moved, &["move"], Some(&move_to))?
                .send()
                .await?,
        )
        .await?
        .json()
        .await?;
        let missing = user()
            .message("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AAAAAAAAAAAAAAAAAAA")
            .get_messages()
            .send()
            .await?;
        let missing = missing.status().as_u16();
        let mut again = self.client(Some(10))?;
        again.use_test_endpoint(&link.context("a deltaLink")?.parse()?);
        let (changes, _, _) = walk(again.custom(Method::GET, None)).await?;
        Ok(json!({
            "folders": names(&folders["value"], "displayName"),
            "listed": ids, "listPages": list_pages,
            "delta": names(&Value::Array(delta_items), "id"), "deltaPages": delta_pages,
            "mime": mime, "marked": marked, "isRead": read["isRead"],
            "moved": moved, "movedTo": there["id"], "movedToFolder": there["parentFolderId"], "missing": missing,
            "removed": changes.iter().filter(|one| one.get("@removed").is_some()).map(|one| one["id"].clone()).collect::<Vec<_>>(),
        }))
    }

    /// Every message of the inbox: MIME to disk, marked as read; four requests in flight.
    async fn import(&self, directory: &Path) -> anyhow::Result<Value> {
        let paged = self.client(Some(200))?;
        let client = self.client(None)?;
        let pages = paged
            .user(self.mailbox())
            .mail_folder("inbox")
            .messages()
            .delta()
            .select(&["id"])
            .paging()
            .stream::<Value>()?;
        let ids = pages
            .map_err(anyhow::Error::from)
            .and_then(|page| async move {
                let page = page.into_body().map_err(|error| anyhow!("{error:?}"))?;
                let ids = page["value"].as_array().cloned().unwrap_or_default();
                Ok(futures::stream::iter(ids.into_iter().map(Ok::<Value, anyhow::Error>)))
            })
            .try_flatten();
        let count = ids
            .enumerate()
            .map(|(at, item)| {
                let client = &client;
                async move {
                    let item = item?;
                    self.one(
                        client,
                        item["id"].as_str().unwrap_or_default(),
                        &directory.join(format!("{at}.eml")),
                    )
                    .await
                }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_fold(0_u32, |count, ()| async move { Ok(count + 1) })
            .await?;
        Ok(json!({ "imported": count }))
    }

    async fn one(&self, client: &GraphClient, id: &str, path: &Path) -> anyhow::Result<()> {
        let answer = self.message(client, Method::GET, id, &["$value"], None)?.send().await?;
        let mut chunks = good(answer).await?.bytes_stream();
        let mut file = tokio::fs::File::create(path).await?;
        while let Some(chunk) = chunks.try_next().await? {
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        let mark = json!({"isRead": true});
        good(
            self.message(client, Method::PATCH, id, &[], Some(&mark))?
                .send()
                .await?,
        )
        .await?;
        Ok(())
    }
}

/// The SDK takes every status for an answer.
async fn good(answer: reqwest::Response) -> anyhow::Result<reqwest::Response> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    bail!("{} {}", answer.status(), answer.text().await.unwrap_or_default())
}

/// All pages of a collection: items, how many pages, and the deltaLink of the last.
async fn walk(first: RequestHandler) -> anyhow::Result<(Vec<Value>, usize, Option<String>)> {
    let (mut items, mut count, mut link) = (Vec::new(), 0, None);
    let mut pages = first.paging().stream::<Value>()?;
    while let Some(page) = pages.next().await {
        let page = page?;
        if !page.status().is_success() {
            bail!("{}", page.status());
        }
        let page = page.into_body().map_err(|error| anyhow!("{error:?}"))?;
        items.extend(page["value"].as_array().cloned().unwrap_or_default());
        count += 1;
        link = page["@odata.deltaLink"].as_str().map(str::to_owned);
    }
    Ok((items, count, link))
}

fn names(items: &Value, name: &str) -> Vec<Value> {
    items
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one[name].clone())
        .collect()
}
