//! PATCH, move, copy, delete, batch, translation of ids.

use crate::client::{DESK, IMMUTABLE, desk, encode, options};
use http::Method;
use serde_json::{Value, json};
use simulator::readings::DeleteTo;
use simulator::{Fault, FaultSpec, Options, Readings, RequestKind, RetryAfter};

#[tokio::test]
async fn a_patch_changes_what_may_be_changed_and_nothing_if_one_may_not() {
    let client = desk(options()).await;
    let path = format!("/messages/{}", encode(&client.deliver("x")));
    let good = client
        .graph(
            Method::PATCH,
            &path,
            &[IMMUTABLE],
            r#"{"isRead":true,"categories":["Imported"],"flag":{"flagStatus":"flagged"}}"#,
        )
        .await;
    assert_eq!(good.status, 200);
    assert_eq!(
        (&good.json()["isRead"], &good.json()["categories"]),
        (&json!(true), &json!(["Imported"]))
    );
    for bad in [
        r#"{"isRead":false,"subject":"y"}"#,
        r#"{"isRead":false,"receivedDateTime":"2026-01-01T00:00:00Z"}"#,
        r#"{"isRead":false,"nothing":1}"#,
        r#"{"isRead":"no"}"#,
        r##"{"isRead":false,"@odata.type":"#microsoft.graph.event"}"##,
        r#"{"isRead":false,"@odata.type":7}"#,
        "[]",
        "{",
    ] {
        assert_eq!(client.graph(Method::PATCH, &path, &[], bad).await.status, 400, "{bad}");
    }
    assert_eq!(client.get(&path).await.json()["isRead"], true);
    // What an entity is may be said, and other annotations are nobody's business.
    let typed = r##"{"@odata.type":"#microsoft.graph.message","@odata.etag":"W/\"1\"","isRead":false}"##;
    let typed = client.graph(Method::PATCH, &path, &[], typed).await;
    assert_eq!((typed.status, &typed.json()["isRead"]), (200, &json!(false)));
    let bearer = format!("Bearer {}", client.token);
    let untyped = client
        .send(
            Method::PATCH,
            &format!("/v1.0/users/{DESK}{path}"),
            &[("authorization", &bearer)],
            r#"{"isRead":false}"#,
        )
        .await;
    assert_eq!(untyped.status, 400);
}

#[tokio::test]
async fn move_and_copy_answer_201_and_refuse_what_is_no_folder() {
    let client = desk(options()).await;
    let id = client.deliver("x");
    let path = format!("/messages/{}", encode(&id));
    let moved = client
        .graph(
            Method::POST,
            &format!("{path}/move"),
            &[IMMUTABLE],
            r#"{"destinationId":"archive"}"#,
        )
        .await;
    assert_eq!((moved.status, moved.json()["id"].as_str()), (201, Some(id.as_str())));
    assert_eq!(
        moved.json()["parentFolderId"],
        client.simulator.folder_id(DESK, "archive").unwrap().as_str()
    );
    let copied = client
        .graph(
            Method::POST,
            &format!("{path}/copy"),
            &[IMMUTABLE],
            r#"{"destinationId":"inbox"}"#,
        )
        .await;
    assert!(copied.status == 201 && copied.json()["id"] != id.as_str());
    for (body, status) in [
        (r#"{"destinationId":"nowhere"}"#, 400),
        (r#"{"destinationId":"AAMkAGQ4nowherenowherenowhere="}"#, 404),
        ("{}", 400),
    ] {
        assert_eq!(
            client
                .graph(Method::POST, &format!("{path}/move"), &[], body)
                .await
                .status,
            status
        );
    }
    let truth = client.simulator.truth(Some(DESK));
    assert_eq!(truth[0].folder_history, ["inbox", "archive"]);
}

#[tokio::test]
async fn delete_goes_by_stages_as_the_reading_says() {
    for (delete_to, stages) in [
        (
            DeleteTo::DeletedItems,
            vec![Some("deleteditems"), Some("recoverableitemsdeletions"), None],
        ),
        (
            DeleteTo::RecoverableItems,
            vec![Some("recoverableitemsdeletions"), None],
        ),
    ] {
        let client = desk(Options {
            readings: Readings {
                delete_to,
                ..Readings::default()
            },
            ..options()
        })
        .await;
        let path = format!("/messages/{}", encode(&client.deliver("x")));
        for stage in stages {
            let answer = client.graph(Method::DELETE, &path, &[], "").await;
            assert_eq!((answer.status, answer.bytes.len()), (204, 0));
            assert_eq!(client.simulator.truth(None)[0].folder.as_deref(), stage);
        }
        assert_eq!(
            client.graph(Method::DELETE, &path, &[], "").await.code(),
            "ErrorItemNotFound"
        );
    }
    let client = desk(options()).await;
    let path = format!("/messages/{}/permanentDelete", encode(&client.deliver("x")));
    assert_eq!(client.graph(Method::POST, &path, &[], "").await.status, 204);
    assert!(client.simulator.truth(None)[0].deleted);
}

async fn batch(client: &crate::client::Client, requests: Value) -> (u16, Value) {
    let answer = client
        .graph(
            Method::POST,
            "/v1.0/$batch",
            &[],
            &json!({"requests": requests}).to_string(),
        )
        .await;
    (answer.status, answer.json())
}

fn part(json: &Value, id: &str) -> Value {
    json["responses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["id"] == id)
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_batch_answers_each_part_on_its_own() {
    let client = desk(options()).await;
    let id = encode(&client.deliver("x"));
    let url = |tail: &str| format!("/users/{DESK}/messages/{id}{tail}");
    let (status, json) = batch(&client, json!([
        {"id": "1", "method": "GET", "url": url("?$select=subject")},
        {"id": "2", "method": "GET", "url": url("/$value")},
        {"id": "3", "method": "GET", "url": format!("/users/{DESK}/messages/nonsense")},
        {"id": "4", "method": "PATCH", "url": url(""), "headers": {"Content-Type": "application/json"}, "body": {"isRead": true}, "dependsOn": ["3"]},
    ])).await;
    assert_eq!(status, 200);
    assert_eq!(part(&json, "1")["body"]["subject"], "x");
    assert!(
        part(&json, "2")["body"].as_str().unwrap().starts_with("RnJvbTog"),
        "MIME as base64"
    );
    assert_eq!(part(&json, "3")["status"], 400);
    assert_eq!(part(&json, "4")["status"], 424);
    assert!(!client.simulator.truth(None)[0].read);
    let one = json!({"id": "a", "method": "GET", "url": url("")});
    let mut same = one.clone();
    same["id"] = "A".into();
    assert_eq!(
        batch(&client, json!([one, same])).await.0,
        400,
        "ids are compared without case"
    );
    let many: Vec<Value> = (0..21)
        .map(|n| json!({"id": n.to_string(), "method": "GET", "url": url("")}))
        .collect();
    assert_eq!(batch(&client, json!(many)).await.0, 400);
    let bare = json!([{"id": "1", "method": "PATCH", "url": url(""), "body": {"isRead": true}}]);
    assert_eq!(batch(&client, bare).await.0, 400, "a body needs a Content-Type");
    let nested = json!([{"id": "1", "method": "POST", "url": "/$batch", "headers": {"Content-Type": "application/json"}, "body": {}}]);
    assert_eq!(batch(&client, nested).await.0, 400);
}

#[tokio::test]
async fn a_throttled_part_carries_its_own_retry_after() {
    let client = desk(options()).await;
    let id = encode(&client.deliver("x"));
    client.simulator.arm(FaultSpec::once(
        RequestKind::Get,
        Fault::TooManyRequests {
            retry_after: RetryAfter::Decimal(2.5),
            wording: simulator::Wording::Json,
        },
    ));
    let (status, json) = batch(
        &client,
        json!([{"id": "1", "method": "GET", "url": format!("/users/{DESK}/messages/{id}")}]),
    )
    .await;
    let one = part(&json, "1");
    assert_eq!(
        (status, &one["status"], &one["headers"]["Retry-After"]),
        (200, &json!(429), &json!("2.5"))
    );
    assert_eq!(client.simulator.stats().count(RequestKind::Get), 1);
}

#[tokio::test]
async fn ids_are_translated() {
    let client = desk(options()).await;
    let id = client.deliver("x");
    let default = client.simulator.truth(None)[0].default_id.clone();
    let body = json!({"inputIds": [default, "AAMkAGQ4nowherenowherenowhere="], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"});
    let answer = client
        .graph(Method::POST, "/translateExchangeIds", &[], &body.to_string())
        .await;
    assert_eq!(answer.items()[0]["targetId"], id.as_str());
    assert_eq!(answer.items()[1]["errorDetails"]["code"], "ErrorItemNotFound");
}
