//! The rules of the store's contract as code: limits, conditions, changes. For adapters that judge them themselves.

use std::{
    collections::{BTreeSet, HashSet},
    io,
};

use serde_json::Value;

use crate::ports::{
    Attributes, Change, Condition, GET_MANY_KEYS, ITEM_BYTES, Item, Key, PageMark, Query, StoreError,
    TRANSACTION_BYTES, TRANSACTION_ITEMS, Write,
};

/// The most bytes a part of a key may have (the limit of a `DynamoDB` sort key).
pub const KEY_BYTES: usize = 1024;
/// The most items one page may have.
pub const PAGE_ITEMS: usize = 1000;
/// A page ends early once it holds this many bytes (`DynamoDB` `Query` answers at most 1 MB).
pub const PAGE_BYTES: usize = 1000 * 1000;
/// How deeply lists and maps may be nested in an attribute. `DynamoDB` takes 32 levels, the value in the innermost included.
pub const NESTING: usize = 31;

/// What a write comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The item stays as it is (a check, or the deletion of nothing).
    Unchanged(Option<Item>),
    /// The item is to be stored.
    Store(Item),
    /// The item is to be removed.
    Remove,
}

impl Outcome {
    /// The item after the write.
    pub fn into_item(self) -> Option<Item> {
        match self {
            Self::Unchanged(item) => item,
            Self::Store(item) => Some(item),
            Self::Remove => None,
        }
    }
}

fn contract(text: impl Into<String>) -> StoreError {
    StoreError::Contract(text.into())
}

/// Both parts of a key have 1 to [`KEY_BYTES`] bytes.
pub fn check_key(key: &Key) -> Result<(), StoreError> {
    for (name, part) in [("partition", &key.partition), ("sort key", &key.sort)] {
        if part.is_empty() || part.len() > KEY_BYTES {
            return Err(contract(format!(
                "the {name} of a key has {} bytes; it must have 1 to {KEY_BYTES}",
                part.len()
            )));
        }
    }
    Ok(())
}

/// The keys of one `get_many`: at most [`GET_MANY_KEYS`], none twice.
pub fn check_keys(keys: &[Key]) -> Result<(), StoreError> {
    if keys.len() > GET_MANY_KEYS {
        return Err(contract(format!(
            "{} keys asked for at once; at most {GET_MANY_KEYS}",
            keys.len()
        )));
    }
    let mut seen = HashSet::new();
    for key in keys {
        check_key(key)?;
        if !seen.insert(key) {
            return Err(contract(format!("the key {key} is asked for twice")));
        }
    }
    Ok(())
}

/// A query's limits; answers the sort key its page mark stands for.
pub fn check_query(query: &Query) -> Result<Option<String>, StoreError> {
    if query.partition.is_empty() || query.partition.len() > KEY_BYTES {
        return Err(contract(format!(
            "the partition of a query has {} bytes; it must have 1 to {KEY_BYTES}",
            query.partition.len()
        )));
    }
    if query.limit == 0 || query.limit > PAGE_ITEMS {
        return Err(contract(format!(
            "a page of {} items; a page has 1 to {PAGE_ITEMS}",
            query.limit
        )));
    }
    let Some(PageMark(mark)) = &query.after else {
        return Ok(None);
    };
    match serde_json::from_str::<(String, String)>(mark) {
        Ok((partition, sort)) if partition == query.partition => Ok(Some(sort)),
        _ => Err(contract("a page mark that does not come from this partition")),
    }
}

/// The mark after this item.
pub fn mark_after(key: &Key) -> PageMark {
    PageMark(Value::from(vec![key.partition.as_str(), key.sort.as_str()]).to_string())
}

/// The writes of one transaction, as far as they can be judged without the items.
pub fn check_writes(writes: &[Write]) -> Result<(), StoreError> {
    if writes.len() > TRANSACTION_ITEMS {
        return Err(contract(format!(
            "{} writes in one transaction; at most {TRANSACTION_ITEMS}",
            writes.len()
        )));
    }
    let mut seen = HashSet::new();
    for write in writes {
        check_write(write)?;
        if !seen.insert(&write.key) {
            return Err(contract(format!(
                "the item {} is written twice in one transaction",
                write.key
            )));
        }
    }
    Ok(())
}

/// One write, as far as it can be judged without the item.
pub fn check_write(write: &Write) -> Result<(), StoreError> {
    check_key(&write.key)?;
    for condition in &write.when {
        if let Condition::Equals(name, Value::Null) = condition {
            return Err(contract(format!(
                "a condition that {name} equals null on {}; null is absent, ask for Missing",
                write.key
            )));
        }
    }
    match &write.change {
        Change::Put(attributes) => check_attributes(&write.key, attributes),
        Change::Update { set, add } => {
            let set_names: BTreeSet<_> = set.keys().collect();
            if let Some(name) = add.keys().find(|name| set_names.contains(name)) {
                return Err(contract(format!(
                    "the attribute {name} of {} is set and added to in one write",
                    write.key
                )));
            }
            if add.contains_key("") {
                return Err(contract(format!("an attribute of {} has no name", write.key)));
            }
            check_attributes(&write.key, set)
        }
        Change::Check if write.when.is_empty() => {
            Err(contract(format!("a check of {} without a condition", write.key)))
        }
        Change::Check | Change::Delete => Ok(()),
    }
}

/// The sum of the items after a transaction stays within [`TRANSACTION_BYTES`].
pub fn check_transaction_bytes(bytes: usize) -> Result<(), StoreError> {
    if bytes > TRANSACTION_BYTES {
        return Err(contract(format!(
            "a transaction over {bytes} bytes; at most {TRANSACTION_BYTES}"
        )));
    }
    Ok(())
}

/// Judges the conditions against the item as it stands and applies the change.
pub fn decide(write: Write, current: Option<Item>) -> Result<Outcome, StoreError> {
    let attributes = current.as_ref().map(|item| &item.attributes);
    if !write.when.iter().all(|condition| holds(condition, attributes)) {
        return Err(StoreError::ConditionFailed {
            key: write.key,
            current: current.map(Box::new),
        });
    }
    let mut after = match write.change {
        Change::Check => return Ok(Outcome::Unchanged(current)),
        Change::Delete => {
            return Ok(if current.is_some() {
                Outcome::Remove
            } else {
                Outcome::Unchanged(None)
            });
        }
        Change::Put(attributes) => attributes,
        Change::Update { set, add } => {
            let mut after = current.map(|item| item.attributes).unwrap_or_default();
            after.extend(set);
            for (name, number) in add {
                let sum = match after.get(&name) {
                    None => Some(number),
                    Some(value) => value.as_i64().and_then(|value| value.checked_add(number)),
                };
                let sum = sum.ok_or_else(|| {
                    contract(format!(
                        "{name} of {} is no whole number that {number} can be added to",
                        write.key
                    ))
                })?;
                after.insert(name, sum.into());
            }
            after
        }
    };
    after.retain(|_, value| !value.is_null());
    let item = Item {
        key: write.key,
        attributes: after,
    };
    let bytes = item_bytes(&item);
    if bytes > ITEM_BYTES {
        return Err(contract(format!(
            "the item {} has {bytes} bytes; at most {ITEM_BYTES}",
            item.key
        )));
    }
    Ok(Outcome::Store(item))
}

/// Whether the condition holds on an item with these attributes (`None`: no item).
pub fn holds(condition: &Condition, attributes: Option<&Attributes>) -> bool {
    let value = |name: &str| {
        attributes
            .and_then(|attributes| attributes.get(name))
            .filter(|value| !value.is_null())
    };
    match condition {
        Condition::Absent => attributes.is_none(),
        Condition::Exists => attributes.is_some(),
        Condition::Equals(name, wanted) => value(name).is_some_and(|value| same(value, wanted)),
        Condition::Missing(name) => value(name).is_none(),
        Condition::MissingOrBelow(name, bound) => value(name).is_none_or(|value| below(value, *bound)),
        Condition::Above(name, bound) => value(name).is_some_and(|value| above(value, *bound)),
    }
}

/// The bytes of an item: its key and the JSON text of its attributes. Never less than `DynamoDB` counts, but for
/// a few bytes on tiny items.
pub fn item_bytes(item: &Item) -> usize {
    item.key.partition.len() + item.key.sort.len() + json_bytes(&item.attributes)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x == y,
            _ => x == y || x.as_f64().is_some_and(|x| y.as_f64() == Some(x)),
        },
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

fn above(value: &Value, bound: i64) -> bool {
    match value.as_i64() {
        Some(number) => number > bound,
        None if value.is_u64() => true,
        None => value
            .as_f64()
            .is_some_and(|number| !below(value, bound) && !is_whole_at(number, bound)),
    }
}

fn below(value: &Value, bound: i64) -> bool {
    match value.as_i64() {
        Some(number) => number < bound,
        // A whole number beyond i64 is above any bound. A fraction lies below the bound iff its ceiling does not exceed it;
        // `bound as f64` would round large bounds, so the comparison is made in i128, which holds every i64 exactly.
        None if value.is_u64() => false,
        None => value
            .as_f64()
            .is_some_and(|number| ceiling(number) <= i128::from(bound) && !is_whole_at(number, bound)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float beyond i128 saturates, which keeps the order"
)]
fn ceiling(number: f64) -> i128 {
    number.ceil() as i128
}

fn is_whole_at(number: f64, bound: i64) -> bool {
    number.fract() == 0.0 && ceiling(number) == i128::from(bound)
}

fn check_attributes(key: &Key, attributes: &Attributes) -> Result<(), StoreError> {
    for (name, value) in attributes {
        if name.is_empty() {
            return Err(contract(format!("an attribute of {key} has no name")));
        }
        if nests_deeper(value, NESTING) {
            return Err(contract(format!(
                "the attribute {name} of {key} is nested deeper than {NESTING} levels"
            )));
        }
    }
    Ok(())
}

fn nests_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| nests_deeper(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|field| nests_deeper(field, levels - 1)),
        _ => false,
    }
}

fn json_bytes(attributes: &Attributes) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, attributes) {
        Ok(()) => counter.0,
        // A map with text keys always serialises; should that ever change, the item is refused as too large.
        Err(_) => usize::MAX / 4,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{above, below, same};

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(same(&json!(1), &json!(1.0)));
        assert!(!same(&json!(1), &json!("1")));
        assert!(!same(
            &json!(9_007_199_254_740_993_i64),
            &json!(9_007_199_254_740_992_i64)
        ));
        assert!(same(&json!([1, {"a": 2.0}]), &json!([1.0, {"a": 2}])));
    }

    #[test]
    fn above_is_exact() {
        assert!(above(&json!(6), 5) && above(&json!(5.5), 5) && above(&json!(u64::MAX), i64::MAX));
        assert!(!above(&json!(5), 5) && !above(&json!(5.0), 5) && !above(&json!(4.9), 5) && !above(&json!("6"), 5));
    }

    #[test]
    fn below_is_exact() {
        assert!(below(&json!(4), 5));
        assert!(!below(&json!(5), 5));
        assert!(below(&json!(4.5), 5));
        assert!(!below(&json!(5.0), 5));
        assert!(!below(&json!(5.5), 5));
        assert!(!below(&json!(u64::MAX), i64::MAX));
        assert!(!below(&json!("4"), 5));
        assert!(below(&json!(-1e300), i64::MIN + 1));
    }
}
