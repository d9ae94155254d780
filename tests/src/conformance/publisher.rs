//! The publisher's suite: every event is in effect once and in order, whatever is sent again.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use shared::ports::Publisher;

/// Opens the same publisher once more.
pub type Reopen = Box<dyn Fn() -> Arc<dyn Publisher> + Send + Sync>;
/// What a receiver that heeds sequence numbers has of an account.
pub type InEffect = Box<dyn Fn(&str) -> BoxFuture<'static, Vec<Value>> + Send + Sync>;

/// Events with these sequence numbers.
pub fn events(sequences: impl IntoIterator<Item = u64>) -> Vec<Value> {
    sequences.into_iter().map(|sequence| json!({"sequence": sequence, "id": format!("e{sequence}"), "text": "line\nbreak \u{2028} \u{1f980}"})).collect()
}

/// Everything the publisher's contract says.
pub async fn all(open: &Reopen, in_effect: &InEffect) {
    let publisher = open();
    publisher.publish("a", &[]).await.expect("an empty batch");
    publisher.publish("a", &events(1..=3)).await.expect("publish");
    assert_eq!(in_effect("a").await, events(1..=3));
    publisher.publish("a", &events(1..=3)).await.expect("the same again");
    publisher.publish("a", &events(2..=5)).await.expect("an overlap");
    assert_eq!(in_effect("a").await, events(1..=5), "each event once, in order");
    open()
        .publish("a", &events(5..=6))
        .await
        .expect("from another instance");
    assert_eq!(in_effect("a").await, events(1..=6));
    publisher.publish("b", &events(1..=1)).await.expect("another account");
    assert_eq!(in_effect("b").await, events(1..=1), "accounts have their own numbers");
    assert_eq!(in_effect("a").await.len(), 6);

    for (bad, what) in [
        (json!([{"id": "x"}]), "an event without a number"),
        (json!([{"sequence": "7"}]), "a number that is a text"),
        (json!([{"sequence": 8}, {"sequence": 7}]), "numbers that fall"),
        (json!([{"sequence": 7}, {"sequence": 7}]), "a number twice"),
    ] {
        let bad: Vec<Value> = serde_json::from_value(bad).expect("a list");
        let error = publisher.publish("a", &bad).await.expect_err(what);
        assert_eq!(error.delivered, 0, "{what}");
    }
    assert_eq!(in_effect("a").await, events(1..=6), "a refused batch leaves nothing");

    // Large events, and a batch of many.
    let large = vec![json!({"sequence": 7, "text": "x".repeat(240_000)})];
    publisher.publish("a", &large).await.expect("a large event");
    publisher.publish("a", &events(8..=1000)).await.expect("many events");
    assert_eq!(in_effect("a").await.len(), 1000);

    // Two instances at once, as after a lease changed hands: what stands is still in order and once.
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let publisher = open();
            tokio::spawn(async move {
                publisher.publish("c", &events(1..=task + 1)).await.expect("publish");
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!(in_effect("c").await, events(1..=16));
}
