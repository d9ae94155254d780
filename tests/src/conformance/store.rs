//! The store's suite: conditions, changes, limits, transactions, two instances, and what survives a reopening.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use shared::ports::{Attributes, Change, Condition, ITEM_BYTES, Key, Store, StoreError, TRANSACTION_BYTES, Write};

/// Opens the same store once more: another process, or the next life of this one.
pub type Reopen = Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>;

/// Everything the store's contract says. `open` must start on an empty store.
pub async fn all(open: &Reopen) {
    let store = open();
    conditions(&*store).await;
    changes(&*store).await;
    numbers(&*store).await;
    transactions(&*store).await;
    limits(&*store).await;
    refused_calls(&*store).await;
    keys_and_values(&*store).await;
    super::store_pages::all(&*store).await;
    parallel_increments(open).await;
    parallel_transfers(open).await;
    reopened(open).await;
}

/// Attributes from a JSON object.
pub(crate) fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("an object")
}

pub(crate) fn key(sort: &str) -> Key {
    Key::new("suite", sort)
}

async fn read(store: &dyn Store, key: &Key) -> Option<Value> {
    store.get(key).await.expect("get").map(|item| json!(item.attributes))
}

/// Whether a check under this condition passes.
async fn passes(store: &dyn Store, key: &Key, condition: Condition) -> bool {
    match store.transact(vec![Write::check(key.clone()).when(condition)]).await {
        Ok(()) => true,
        Err(StoreError::ConditionFailed { key: named, .. }) if named == *key => false,
        Err(error) => panic!("a check answered {error}"),
    }
}

async fn conditions(store: &dyn Store) {
    let (there, absent) = (key("conditions"), key("conditions-absent"));
    let row =
        json!({"text": "a", "number": 5, "half": 4.5, "yes": true, "list": [1, 2], "map": {"a": 1}, "none": null});
    store
        .update(Write::put(there.clone(), attributes(row)))
        .await
        .expect("put");
    let below = |name: &str, bound| Condition::MissingOrBelow(name.into(), bound);
    let missing = |name: &str| Condition::Missing(name.into());
    for (condition, on_item, on_nothing) in [
        (Condition::Absent, false, true),
        (Condition::Exists, true, false),
        (Condition::equals("text", "a"), true, false),
        (Condition::equals("text", "b"), false, false),
        (Condition::equals("number", 5), true, false),
        (Condition::equals("number", 5.0), true, false),
        (Condition::equals("number", "5"), false, false),
        (Condition::equals("yes", true), true, false),
        (Condition::equals("yes", false), false, false),
        (Condition::equals("list", json!([1, 2])), true, false),
        (Condition::equals("list", json!([2, 1])), false, false),
        (Condition::equals("map", json!({"a": 1})), true, false),
        (Condition::equals("nothing", 1), false, false),
        (missing("nothing"), true, true),
        (missing("none"), true, true),
        (missing("text"), false, true),
        (below("number", 6), true, true),
        (below("number", 5), false, true),
        (below("number", 4), false, true),
        (below("half", 5), true, true),
        (below("half", 4), false, true),
        (below("text", 6), false, true),
        (below("nothing", i64::MIN), true, true),
    ] {
        assert_eq!(
            passes(store, &there, condition.clone()).await,
            on_item,
            "{condition:?} on an item"
        );
        assert_eq!(
            passes(store, &absent, condition.clone()).await,
            on_nothing,
            "{condition:?} on nothing"
        );
    }
    // All must hold, and the failure hands the item back as it stands.
    let write = Write::set(there.clone(), attributes(json!({"text": "z"})))
        .when(Condition::Exists)
        .when(Condition::equals("number", 6));
    match store.update(write).await {
        Err(StoreError::ConditionFailed {
            key,
            current: Some(item),
        }) => {
            assert_eq!((key, item.key.clone()), (there.clone(), there.clone()));
            assert_eq!(item.attributes["text"], "a");
            assert_eq!(item.attributes.get("none"), None);
        }
        other => panic!("a failed condition answered {other:?}"),
    }
    match store
        .update(Write::delete(absent.clone()).when(Condition::Exists))
        .await
    {
        Err(StoreError::ConditionFailed { current: None, .. }) => {}
        other => panic!("a failed condition on nothing answered {other:?}"),
    }
}

async fn changes(store: &dyn Store) {
    let at = key("changes");
    let after = store
        .update(Write::put(
            at.clone(),
            attributes(json!({"a": 1, "b": null, "c": {"inner": null}})),
        ))
        .await
        .expect("put");
    assert_eq!(
        json!(after.expect("an item").attributes),
        json!({"a": 1, "c": {"inner": null}}),
        "a null attribute is absent, an inner null stays"
    );
    let after = store
        .update(Write::set(at.clone(), attributes(json!({"a": null, "d": "x"}))))
        .await
        .expect("set")
        .expect("an item");
    assert_eq!(json!(after.attributes), json!({"c": {"inner": null}, "d": "x"}));
    assert_eq!(read(store, &at).await, Some(json!({"c": {"inner": null}, "d": "x"})));
    store
        .update(Write::put(at.clone(), attributes(json!({"e": 1}))))
        .await
        .expect("put");
    assert_eq!(
        read(store, &at).await,
        Some(json!({"e": 1})),
        "a put replaces the whole item"
    );
    assert_eq!(store.update(Write::delete(at.clone())).await.expect("delete"), None);
    assert_eq!(
        store.update(Write::delete(at.clone())).await.expect("delete again"),
        None
    );
    assert_eq!(read(store, &at).await, None);
    // An update makes the item, even one without attributes.
    store
        .update(Write::set(at.clone(), attributes(json!({"x": null}))))
        .await
        .expect("set");
    assert_eq!(read(store, &at).await, Some(json!({})));
    assert!(!passes(store, &at, Condition::Absent).await);
    let seen = store
        .update(Write::check(at.clone()).when(Condition::Exists))
        .await
        .expect("check");
    assert_eq!(seen.map(|item| item.key), Some(at), "a check answers the item");
}

fn add(key: &Key, name: &str, number: i64) -> Write {
    Write {
        key: key.clone(),
        change: Change::Update {
            set: Attributes::new(),
            add: BTreeMap::from([(name.to_owned(), number)]),
        },
        when: Vec::new(),
    }
}

async fn numbers(store: &dyn Store) {
    let at = key("numbers");
    for (number, sum) in [(3, 3), (-5, -2), (i64::MAX, i64::MAX - 2)] {
        let after = store
            .update(add(&at, "n", number))
            .await
            .expect("add")
            .expect("an item");
        assert_eq!(after.attributes["n"], sum);
    }
    let exact = read(store, &at).await.expect("an item")["n"].as_i64();
    assert_eq!(exact, Some(i64::MAX - 2), "large numbers are kept exactly");
    refused(store.update(add(&at, "n", 10)).await, "an overflow");
    store
        .update(Write::set(at.clone(), attributes(json!({"t": "x"}))))
        .await
        .expect("set");
    refused(store.update(add(&at, "t", 1)).await, "adding to a text");
    let both = Change::Update {
        set: attributes(json!({"n": 1})),
        add: BTreeMap::from([("n".to_owned(), 1)]),
    };
    refused(
        store
            .update(Write {
                key: at.clone(),
                change: both,
                when: Vec::new(),
            })
            .await,
        "set and add of one attribute",
    );
    assert_eq!(
        read(store, &at).await.expect("an item")["n"],
        i64::MAX - 2,
        "a refused call changes nothing"
    );
}

async fn transactions(store: &dyn Store) {
    let put = |name: &str| Write::put(key(name), attributes(json!({"v": 1})));
    store
        .transact(Vec::new())
        .await
        .expect("an empty transaction does nothing");
    store.transact(vec![put("t-1"), put("t-2")]).await.expect("transact");
    let writes = vec![
        put("t-3"),
        Write::delete(key("t-1")),
        Write::check(key("t-2")).when(Condition::equals("v", 2)),
        Write::check(key("t-4")).when(Condition::Exists),
    ];
    match store.transact(writes).await {
        Err(StoreError::ConditionFailed { key: named, current }) => {
            assert_eq!(named, key("t-2"), "the first failed write is named");
            assert_eq!(current.expect("its item").attributes["v"], 1);
        }
        other => panic!("a transaction with a failed condition answered {other:?}"),
    }
    assert_eq!(
        read(store, &key("t-3")).await,
        None,
        "nothing of a failed transaction is there"
    );
    assert!(
        read(store, &key("t-1")).await.is_some(),
        "nothing of a failed transaction is gone"
    );
    // A transaction that fails for another reason than a condition is undone as well.
    refused(
        store.transact(vec![put("t-5"), add(&key("t-1"), "v", i64::MAX)]).await,
        "an overflow in a transaction",
    );
    assert_eq!(read(store, &key("t-5")).await, None);
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
    // Each part fits, the item that comes of it does not.
    let grown = Write::set(key("large"), attributes(json!({"w": "x".repeat(200)})));
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
        .update(Write::put(key("nested"), attributes(json!({"v": nested(32)}))))
        .await
        .expect("32 levels are fine");
    refused(
        store
            .update(Write::put(key("nested"), attributes(json!({"v": nested(33)}))))
            .await,
        "33 levels",
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
            Err(StoreError::Conflict | StoreError::Unavailable(_)) => tokio::task::yield_now().await,
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

/// The call must break the contract.
#[expect(clippy::needless_pass_by_value, reason = "an answer is used up by being judged")]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>, what: &str) {
    assert!(
        matches!(answer, Err(StoreError::Contract(_))),
        "{what} answered {answer:?}"
    );
}
