//! The store's suite of many at once: parallel writers, two instances, and what survives a reopening.

use serde_json::json;
use shared::ports::{StoreError, Write};

use super::store::{Reopen, add, attributes, key, read};

/// Everything the contract says of more than one caller.
pub(crate) async fn all(open: &Reopen) {
    parallel_increments(open).await;
    parallel_transfers(open).await;
    reopened(open).await;
}

/// 64 tasks over two instances add to one number: none is lost.
async fn parallel_increments(open: &Reopen) {
    let stores = [open(), open()];
    let tasks: Vec<_> = (0..64)
        .map(|task: usize| {
            let store = stores[task % 2].clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    patiently(|| store.update(add(&key("parallel"), "n", 1))).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!(read(&*stores[0], &key("parallel")).await.expect("an item")["n"], 320);
}

/// Transfers between two rows from two instances; whoever looks at both at once always sees the same sum.
async fn parallel_transfers(open: &Reopen) {
    let stores = [open(), open()];
    let (left, right) = (key("left"), key("right"));
    let tasks: Vec<_> = (0..16)
        .map(|task: usize| {
            let store = stores[task % 2].clone();
            let (left, right) = (left.clone(), right.clone());
            tokio::spawn(async move {
                for _ in 0..8 {
                    patiently(|| store.transact(vec![add(&left, "n", -1), add(&right, "n", 1)])).await;
                    let seen = store.get_many(&[left.clone(), right.clone()]).await.expect("get_many");
                    let sum: i64 = seen
                        .iter()
                        .map(|item| item.attributes["n"].as_i64().expect("a number"))
                        .sum();
                    assert_eq!((seen.len(), sum), (2, 0), "a transaction is seen whole");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!(read(&*stores[1], &right).await.expect("an item")["n"], 128);
}

/// Conflict and unavailable are answers a caller lives with; in these calls nothing was applied.
async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(mut call: impl FnMut() -> F) {
    for _ in 0..1000 {
        match call().await {
            Ok(_) => return,
            Err(StoreError::Conflict | StoreError::Unavailable(_)) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("1,000 conflicts in a row");
}

/// A second instance sees at once what the first wrote, and a later one sees all of it.
async fn reopened(open: &Reopen) {
    let (first, second) = (open(), open());
    first
        .update(Write::put(key("shared"), attributes(json!({"v": 1}))))
        .await
        .expect("put");
    assert_eq!(read(&*second, &key("shared")).await, Some(json!({"v": 1})));
    second
        .update(Write::set(key("shared"), attributes(json!({"v": 2}))))
        .await
        .expect("set");
    assert_eq!(read(&*first, &key("shared")).await, Some(json!({"v": 2})));
    drop((first, second));
    assert_eq!(read(&*open(), &key("shared")).await, Some(json!({"v": 2})));
}
