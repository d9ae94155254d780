//! The store's suite of queries: ranges, order, limits, marks.

use serde_json::json;
use shared::ports::{Key, Page, PageMark, Query, Store, Write};

use super::store::{attributes, refused};

/// Everything the contract says of queries.
pub(crate) async fn all(store: &dyn Store) {
    let sorts = ["", "a", "a0", "b", "B", "c", "é", "z", "\u{ffff}", "\u{1f980}"].map(|sort| format!("k{sort}"));
    for sort in &sorts {
        store
            .update(Write::put(Key::new("pages", sort), attributes(json!({"sort": sort}))))
            .await
            .expect("put");
    }
    // Neighbours in the order of keys must not be seen.
    for partition in ["page", "pages\u{0}", "pagess", "Pages"] {
        store
            .update(Write::put(Key::new(partition, "kb"), attributes(json!({}))))
            .await
            .expect("put");
    }
    let mut ordered: Vec<String> = sorts.to_vec();
    ordered.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    ranges(store, &ordered).await;
    limits(store).await;
    marks(store, &ordered).await;
    large(store).await;
}

/// All pages of a query, each of at most its limit.
async fn walk(store: &dyn Store, mut query: Query) -> Vec<String> {
    let mut sorts = Vec::new();
    for _ in 0..10_000 {
        let page = store.query(&query).await.expect("query");
        assert!(page.items.len() <= query.limit, "a page over its limit");
        for item in page.items {
            assert_eq!(item.key.partition, query.partition);
            sorts.push(item.key.sort);
        }
        query.after = page.next;
        if query.after.is_none() {
            return sorts;
        }
    }
    panic!("a query without an end");
}

async fn ranges(store: &dyn Store, ordered: &[String]) {
    let bounds = [
        None,
        Some("a"),
        Some("k"),
        Some("ka"),
        Some("kaa"),
        Some("kb"),
        Some("kz"),
        Some("kzz"),
        Some("z"),
    ];
    for from in bounds {
        for until in bounds {
            for descending in [false, true] {
                for limit in [1, 2, 3, 200] {
                    let mut query = Query {
                        descending,
                        limit,
                        ..Query::all("pages")
                    };
                    (query.from, query.until) = (from.map(Into::into), until.map(Into::into));
                    let mut wanted: Vec<_> = ordered
                        .iter()
                        .filter(|sort| {
                            from.is_none_or(|from| sort.as_str() >= from)
                                && until.is_none_or(|until| sort.as_str() < until)
                        })
                        .cloned()
                        .collect();
                    if descending {
                        wanted.reverse();
                    }
                    assert_eq!(walk(store, query.clone()).await, wanted, "{query:?}");
                }
            }
        }
    }
    assert_eq!(
        store.query(&Query::all("no such partition")).await.expect("query"),
        Page {
            items: Vec::new(),
            next: None
        }
    );
}

async fn limits(store: &dyn Store) {
    for limit in [0, 1001, usize::MAX] {
        refused(
            store
                .query(&Query {
                    limit,
                    ..Query::all("pages")
                })
                .await,
            "a bad limit",
        );
    }
    store
        .query(&Query {
            limit: 1000,
            ..Query::all("pages")
        })
        .await
        .expect("1,000 are fine");
    refused(store.query(&Query::all("")).await, "an empty partition");
    refused(
        store
            .query(&Query {
                after: Some(PageMark("made up".into())),
                ..Query::all("pages")
            })
            .await,
        "a mark that is none",
    );
    let page = store
        .query(&Query {
            limit: 1,
            ..Query::all("pages")
        })
        .await
        .expect("query");
    assert!(page.next.is_some());
    refused(
        store
            .query(&Query {
                after: page.next,
                ..Query::all("page")
            })
            .await,
        "a mark of another partition",
    );
}

/// A mark stays good while rows come and go; it need not name a row that still exists.
async fn marks(store: &dyn Store, ordered: &[String]) {
    let query = Query {
        limit: 3,
        ..Query::all("pages")
    };
    let first = store.query(&query).await.expect("query");
    let last = first.items.last().expect("three items").key.clone();
    store.update(Write::delete(last.clone())).await.expect("delete");
    store
        .update(Write::put(
            Key::new("pages", format!("{}+", last.sort)),
            attributes(json!({})),
        ))
        .await
        .expect("put");
    let rest = walk(
        store,
        Query {
            after: first.next,
            ..query
        },
    )
    .await;
    assert_eq!(rest[0], format!("{}+", last.sort));
    assert_eq!(rest[1..], ordered[3..]);
}

/// A page ends early rather than fill the memory, and goes on where it ended.
async fn large(store: &dyn Store) {
    let text = "x".repeat(300_000);
    for at in 0..10 {
        store
            .update(Write::put(
                Key::new("large", format!("{at}")),
                attributes(json!({"text": text})),
            ))
            .await
            .expect("put");
    }
    for descending in [false, true] {
        let query = Query {
            descending,
            ..Query::all("large")
        };
        let page = store.query(&query).await.expect("query");
        assert!(
            (1..=5).contains(&page.items.len()),
            "{} items of 300 KB in a page",
            page.items.len()
        );
        assert_eq!(walk(store, query).await.len(), 10);
    }
}
