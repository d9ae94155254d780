//! The store's suite of limits: sizes, counts, keys and values at the edge of what is allowed.

use serde_json::{Value, json};
use shared::ports::{Condition, ITEM_BYTES, Key, Store, TRANSACTION_BYTES, Write};

use super::store::{attributes, key, read, refused};

/// Everything the contract says of limits.
pub(crate) async fn all(store: &dyn Store) {
    limits(store).await;
    refused_calls(store).await;
    keys_and_values(store).await;
}

async fn limits(store: &dyn Store) {
    let put = |at: usize| Write::put(Key::new("limits", format!("{at:03}")), attributes(json!({"v": at})));
    store
        .transact((0..100).map(put).collect())
        .await
        .expect("100 writes are fine");
    refused(store.transact((0..101).map(put).collect()).await, "101 writes");
    refused(
        store
            .transact(vec![put(1), put(2), Write::delete(Key::new("limits", "001"))])
            .await,
        "an item twice",
    );
    let keys: Vec<_> = (0..101).map(|at| Key::new("limits", format!("{at:03}"))).collect();
    assert_eq!(
        store.get_many(&keys[..100]).await.expect("100 keys are fine").len(),
        100
    );
    refused(store.get_many(&keys).await, "101 keys");
    refused(store.get_many(&[keys[0].clone(), keys[0].clone()]).await, "a key twice");
    assert!(store.get_many(&[]).await.expect("no keys").is_empty());

    let of_bytes = |bytes: usize| attributes(json!({"v": "x".repeat(bytes)}));
    store
        .update(Write::put(key("large"), of_bytes(ITEM_BYTES - 100)))
        .await
        .expect("almost 400 KB is fine");
    refused(
        store.update(Write::put(key("large"), of_bytes(ITEM_BYTES))).await,
        "an item over 400 KB",
    );
    // Each part fits, the item that comes of it does not. DynamoDB counts to 409,600 before it refuses.
    let grown = Write::set(key("large"), attributes(json!({"w": "x".repeat(10_000)})));
    refused(store.update(grown).await, "an item that grows over 400 KB");
    let part = TRANSACTION_BYTES / 11;
    let many = |count: usize| {
        (0..count)
            .map(|at| Write::put(key(&format!("heavy-{at}")), of_bytes(part - 100)))
            .collect::<Vec<_>>()
    };
    store.transact(many(11)).await.expect("almost 4 MB is fine");
    refused(store.transact(many(12)).await, "a transaction over 4 MB");
    assert_eq!(read(store, &key("heavy-11")).await, None);
}

async fn refused_calls(store: &dyn Store) {
    let long = "x".repeat(1025);
    for bad in [
        Key::new("", "s"),
        Key::new("p", ""),
        Key::new(&long, "s"),
        Key::new("p", &long),
    ] {
        refused(store.get(&bad).await, "get of a bad key");
        refused(
            store.get_many(std::slice::from_ref(&bad)).await,
            "get_many of a bad key",
        );
        refused(store.update(Write::delete(bad.clone())).await, "update of a bad key");
        refused(store.transact(vec![Write::delete(bad)]).await, "transact of a bad key");
    }
    let longest = Key::new(&long[1..], &long[1..]);
    store
        .update(Write::put(longest.clone(), attributes(json!({"v": 1}))))
        .await
        .expect("1,024 bytes are fine");
    assert!(read(store, &longest).await.is_some());
    refused(
        store.transact(vec![Write::check(key("x"))]).await,
        "a check without a condition",
    );
    refused(
        store
            .update(Write::delete(key("x")).when(Condition::equals("a", Value::Null)))
            .await,
        "a condition that equals null",
    );
    refused(
        store.update(Write::put(key("x"), attributes(json!({"": 1})))).await,
        "an attribute without a name",
    );
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    store
        .update(Write::put(key("nested"), attributes(json!({"v": nested(31)}))))
        .await
        .expect("31 levels are fine");
    refused(
        store
            .update(Write::put(key("nested"), attributes(json!({"v": nested(32)}))))
            .await,
        "32 levels",
    );
}

async fn keys_and_values(store: &dyn Store) {
    let row = json!({
        "empty": "", "zero": "a\u{0}b", "text": "'; DROP TABLE items; -- \" \\ \u{1f980} é", "largest": u64::MAX, "least": i64::MIN,
        "third": 1.0 / 3.0, "list": [], "map": {}, "false": false, "Name": 1, "name": 2,
    });
    for sort in ["a\u{0}b", "'", "%", "\u{1f980}", " ", "a/b"] {
        store
            .update(Write::put(key(sort), attributes(row.clone())))
            .await
            .expect("put");
        assert_eq!(
            read(store, &key(sort)).await,
            Some(row.clone()),
            "kept exactly under {sort:?}"
        );
    }
    assert_eq!(read(store, &key("a")).await, None, "a key ends where it ends");
    assert_eq!(read(store, &Key::new("SUITE", "'")).await, None, "case counts");
}
