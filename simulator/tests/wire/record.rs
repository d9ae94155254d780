//! The record of Graph's answers.

use crate::client::{DESK, desk, encode, options};
use http::Method;
use serde_json::Value;

#[tokio::test]
async fn every_answer_of_graph_is_noted_as_it_was_given() {
    let desk = desk(options()).await;
    let id = desk.deliver("noted");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("answers");
    desk.simulator.record_to(&path).unwrap();
    let list = desk.get("/messages?$select=subject").await;
    let value = desk.get(&format!("/messages/{}/$value", encode(&id))).await;
    let missing = desk.get("/messages/nothing").await;
    let deleted = desk
        .graph(Method::DELETE, &format!("/messages/{}", encode(&id)), &[], "")
        .await;
    // Signing in and the control are none of Graph's answers.
    desk.send(Method::GET, "/_control/stats", &[], "").await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["method"].as_str().unwrap(), line["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("GET", 200), ("GET", 200), ("GET", 400), ("DELETE", 204)]);
    assert_eq!(lines[0]["path"], format!("/v1.0/users/{DESK}/messages"));
    assert_eq!(lines[0]["query"], serde_json::json!([["$select", "subject"]]));
    assert_eq!(lines[0]["body"], list.json());
    assert_eq!(lines[0]["headers"]["request-id"], list.header("request-id"));
    assert_eq!(
        (&lines[1]["size"], lines[1].get("body")),
        (&value.bytes.len().into(), None)
    );
    assert_eq!(lines[2]["body"], missing.json());
    assert_eq!((&lines[3]["size"], deleted.status), (&0.into(), 204));
}
