//! Four at once and ten thousand in ten minutes, per app and mailbox; bodies hold their slot.

use crate::client::{DESK, START_MS, desk, encode, options};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use simulator::readings::BatchWidth;
use simulator::{Limits, Options, Readings};
use std::time::Duration;
use tower::ServiceExt as _;

async fn open(client: &crate::client::Client, path: &str) -> http::Response<Body> {
    let request = Request::builder()
        .uri(format!("/v1.0/users/{DESK}{path}"))
        .header("host", "sim.test")
        .header("authorization", format!("Bearer {}", client.token))
        .body(Body::empty())
        .unwrap();
    client.simulator.router().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_body_holds_its_slot_until_it_is_read_or_dropped() {
    let client = desk(options()).await;
    let id = client.simulator.deliver_sized(DESK, 300_000).unwrap();
    let path = format!("/messages/{}/$value", encode(&id));
    let mut open_ones = Vec::new();
    for _ in 0..4 {
        open_ones.push(open(&client, &path).await);
    }
    let fifth = open(&client, &path).await;
    assert_eq!(fifth.status(), 429);
    let wait: f64 = fifth.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait > 0.0 && fifth.headers()["retry-after"].to_str().unwrap().contains('.'));
    let body: serde_json::Value =
        serde_json::from_slice(&fifth.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["error"]["code"], "ApplicationThrottled");
    assert_eq!(
        body["error"]["message"],
        "Application is over its MailboxConcurrency limit."
    );
    drop(open_ones.pop());
    assert_eq!(
        open(&client, &path).await.status(),
        200,
        "a dropped body gives its slot back"
    );
    let mut read = open_ones.pop().unwrap().into_body();
    while let Some(frame) = read.frame().await {
        frame.unwrap();
    }
    assert_eq!(
        client.simulator.stats().mailboxes[DESK].running,
        2,
        "a read body gives its slot back although it is kept"
    );
    drop((open_ones, read));
    let stats = client.simulator.stats().mailboxes[DESK].clone();
    assert_eq!(
        (stats.running, stats.max_concurrent, stats.throttled, stats.early),
        (0, 5, 1, 1)
    );
    assert!(!client.simulator.complaints().is_empty(), "one came back too early");
}

#[tokio::test]
async fn mailboxes_do_not_share_their_slots() {
    let client = desk(options()).await;
    client.simulator.add_mailbox("other@harbour-homes.example");
    let id = client.simulator.deliver_sized(DESK, 300_000).unwrap();
    let path = format!("/messages/{}/$value", encode(&id));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(open(&client, &path).await);
    }
    assert_eq!(
        client
            .get("/v1.0/users/other@harbour-homes.example/mailFolders")
            .await
            .status,
        200
    );
    assert_eq!(client.get("/mailFolders").await.status, 429);
}

#[tokio::test]
async fn the_window_slides_and_refused_requests_count() {
    let limits = Limits {
        requests: 3,
        ..Limits::default()
    };
    let client = desk(Options { limits, ..options() }).await;
    for _ in 0..3 {
        assert_eq!(client.get("/mailFolders").await.status, 200);
    }
    let refused = client.get("/mailFolders").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "600.000"));
    client.simulator.advance(Duration::from_secs(600));
    assert_eq!(client.get("/mailFolders").await.status, 200);
    assert_eq!(client.simulator.clock().now_ms(), START_MS + 600_000);
}

#[tokio::test(start_paused = true)]
async fn latency_is_slept_in_tokio_time() {
    let client = desk(options()).await;
    client.simulator.set_latency(simulator::Latency {
        service: Duration::from_secs(30),
        network: Duration::from_secs(40),
    });
    let before = tokio::time::Instant::now();
    assert_eq!(client.get("/mailFolders").await.status, 200);
    assert!((70..72).contains(&before.elapsed().as_secs()));
}

#[tokio::test]
async fn a_wide_batch_meets_the_limit_or_not_as_the_reading_says() {
    for (batch_width, throttled) in [(BatchWidth::All, 4), (BatchWidth::AtMostFour, 0)] {
        let client = desk(Options {
            readings: Readings {
                batch_width,
                ..Readings::default()
            },
            ..options()
        })
        .await;
        let requests: Vec<_> = (0..8)
            .map(|n| serde_json::json!({"id": n.to_string(), "method": "GET", "url": format!("/users/{DESK}/mailFolders")}))
            .collect();
        let body = serde_json::json!({"requests": requests}).to_string();
        let answer = client
            .graph(http::Method::POST, "/v1.0/$batch", &[], &body)
            .await
            .json();
        let refused = answer["responses"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["status"] == 429)
            .count();
        assert_eq!(refused, throttled);
    }
}
