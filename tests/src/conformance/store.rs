//! The store's suite: conditions, changes, limits, transactions.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use shared::ports::{Attributes, Change, Condition, Key, Store, StoreError, Write};

/// Opens the same store once more: another process, or the next life of this one.
pub type Reopen = Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>;

/// Everything the store's contract says. `open` must start on an empty store.
pub async fn all(open: &Reopen) {
    let store = open();
    conditions(&*store).await;
    changes(&*store).await;
    numbers(&*store).await;
    transactions(&*store).await;
    super::store_limits::all(&*store).await;
    super::store_pages::all(&*store).await;
    super::store_parallel::all(open).await;
}

/// Attributes from a JSON object.
pub(crate) fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("an object")
}

pub(crate) fn key(sort: &str) -> Key {
    Key::new("suite", sort)
}

pub(crate) async fn read(store: &dyn Store, key: &Key) -> Option<Value> {
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

pub(crate) fn add(key: &Key, name: &str, number: i64) -> Write {
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

/// The call must break the contract.
#[expect(clippy::needless_pass_by_value, reason = "an answer is used up by being judged")]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>, what: &str) {
    assert!(
        matches!(answer, Err(StoreError::Contract(_))),
        "{what} answered {answer:?}"
    );
}
