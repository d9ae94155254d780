//! The control over HTTP, mailboxes in trouble, and the front page.

use crate::client::{Client, DESK, desk, options};
use http::Method;
use serde_json::{Value, json};

async fn act(client: &Client, name: &str, body: Value) -> (u16, Value) {
    let answer = client
        .send(Method::POST, &format!("/_control/{name}"), &[], &body.to_string())
        .await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn mail_is_delivered_moved_and_shown_in_the_truth() {
    let client = desk(options()).await;
    let (_, made) = act(
        &client,
        "deliver",
        json!({"mailbox": DESK, "mime": "Subject: x\r\n\r\ny", "received": "2026-01-31T00:00:00Z"}),
    )
    .await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        act(&client, "move", json!({"mailbox": DESK, "id": id, "folder": "Archive"}))
            .await
            .0,
        200
    );
    assert_eq!(
        act(&client, "mark", json!({"mailbox": DESK, "id": id, "read": true}))
            .await
            .0,
        200
    );
    let truth = client
        .send(Method::GET, &format!("/_control/truth?mailbox={DESK}"), &[], "")
        .await
        .json();
    assert_eq!(
        (&truth[0]["folder"], &truth[0]["read"], &truth[0]["received"]),
        (&json!("archive"), &json!(true), &json!("2026-01-31T00:00:00Z"))
    );
    assert_eq!(truth[0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(act(&client, "purge", json!({"mailbox": DESK, "id": id})).await.0, 200);
    assert_eq!(
        client.send(Method::GET, "/_control/truth", &[], "").await.json()[0]["deleted"],
        true
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let client = desk(options()).await;
    for (name, body, word) in [
        ("deliver", json!({"mailbox": "who@x.test"}), "no mailbox"),
        ("deliver", json!({"mailbox": DESK, "folder": "Nowhere"}), "no folder"),
        ("deliver", json!({"mailbox": DESK, "tomorrow": 1}), "tomorrow"),
        ("dance", json!({}), "dance"),
        ("arm", json!({"on": "value", "fault": {"type": "rain"}}), "rain"),
        ("mark", json!({"mailbox": DESK, "id": "x", "read": true}), "no message"),
        ("create-folder", json!({"mailbox": DESK, "path": "Inbox"}), "exists"),
    ] {
        let (status, json) = act(&client, name, body).await;
        assert!(
            status == 400 && json["error"].as_str().unwrap().contains(word),
            "{name}: {json}"
        );
    }
}

#[tokio::test]
async fn faults_are_armed_listed_met_and_cleared_over_http() {
    let client = desk(options()).await;
    let bare = json!({"on": "folders", "times": {"count": 2}, "fault": {"type": "tooManyRequests", "retryAfter": {"decimal": 2.128}}});
    assert_eq!(act(&client, "arm", bare).await.0, 200);
    let met = client.get("/mailFolders").await;
    assert_eq!((met.status, met.header("retry-after")), (429, "2.128"));
    let list = client.send(Method::GET, "/_control/faults", &[], "").await.json();
    assert_eq!((&list[0]["fired"], &list[0]["on"]), (&json!(1), &json!("folders")));
    let complaints = client.send(Method::GET, "/_control/complaints", &[], "").await.json();
    assert!(complaints[0].as_str().unwrap().contains("still armed"));
    assert_eq!(act(&client, "clear-faults", json!({})).await.0, 200);
    assert_eq!(client.get("/mailFolders").await.status, 200);
}

#[tokio::test]
async fn mailboxes_in_trouble_say_which() {
    let client = desk(options()).await;
    let unknown = client.get("/v1.0/users/nobody@harbour-homes.example/mailFolders").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "ErrorInvalidUser"));
    assert_eq!(client.get("/v1.0/me/mailFolders").await.status, 400);
    assert_eq!(
        client
            .get(&format!("/v1.0/users/{}/mailFolders", DESK.to_uppercase()))
            .await
            .status,
        200
    );
    let guid = client.simulator.add_mailbox(DESK);
    assert_eq!(client.get(&format!("/v1.0/users/{guid}/mailFolders")).await.status, 200);
    client.simulator.set_in_policy(DESK, false).unwrap();
    let refused = client.get("/mailFolders").await;
    assert!(refused.status == 403 && refused.json()["error"]["message"].as_str().unwrap().contains("[RAOP]"));
    client.simulator.set_in_policy(DESK, true).unwrap();
    client.simulator.enable_mailbox(DESK, false).unwrap();
    assert_eq!(client.get("/mailFolders").await.code(), "MailboxNotEnabledForRESTAPI");
}

#[tokio::test]
async fn the_front_page_says_what_this_is() {
    let client = desk(options()).await;
    let page = client.send(Method::GET, "/", &[], "").await;
    let text = String::from_utf8(page.bytes.to_vec()).unwrap();
    assert!(text.contains(DESK) && text.contains("https://sim.test/v1.0"));
}

#[tokio::test]
async fn time_is_moved_for_everyone() {
    let client = desk(options()).await;
    let before = client.simulator.clock().now_ms();
    assert_eq!(
        act(&client, "advance", json!({"seconds": 90})).await.1["nowMs"],
        before + 90_000
    );
    assert_eq!(
        client.get("/mailFolders").await.header("date"),
        "Tue, 03 Feb 2026 08:01:30 GMT"
    );
}

#[tokio::test]
async fn exchange_scopes_an_app_to_mailboxes_later_and_adds_to_what_entra_grants() {
    let mut client = desk(options()).await;
    let app = client.simulator.registration().client_id;
    client.simulator.add_mailbox("ceo@harbour-homes.example");
    let inbox = |mailbox: &str| format!("/v1.0/users/{mailbox}/mailFolders/inbox/messages?$top=1&$select=id");
    let grant =
        json!({"clientId": app, "roles": ["Mail.Read"], "mailboxes": [DESK.to_uppercase()], "delaySeconds": 1800});
    assert_eq!(act(&client, "set-exchange-roles", grant).await.0, 200);
    // Tenant-wide in Entra, scoped in Exchange: the union is everything.
    assert_eq!(client.get(&inbox("ceo@harbour-homes.example")).await.status, 200);
    client.simulator.set_roles(&app, &[]).unwrap();
    let unscoped = client.get(&inbox("ceo@harbour-homes.example")).await;
    assert_eq!(unscoped.status, 200, "the token was given out before");
    client.sign_in().await;
    assert_eq!(client.get(&inbox(DESK)).await.code(), "ErrorAccessDenied", "not yet");
    client.simulator.advance(std::time::Duration::from_secs(1801));
    assert_eq!(client.get(&inbox(DESK)).await.status, 200);
    let outside = client.get(&inbox("ceo@harbour-homes.example")).await;
    assert_eq!((outside.status, outside.code().as_str()), (403, "ErrorAccessDenied"));
    let write = client.graph(Method::PATCH, "/messages/x", &[], "{}").await;
    assert_eq!(write.status, 403, "only what was granted");
}
