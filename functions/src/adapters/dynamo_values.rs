//! Attributes as native DynamoDB types, so that conditions and additions work on them; names that would clash with the
//! table's own are moved out of the way.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};
use shared::ports::{Attributes, Item, Key, StoreError};

/// The table's partition key.
pub(super) const PARTITION: &str = "partition";
/// The table's sort key.
pub(super) const SORT: &str = "sort";
/// Set where an update has nothing to set: an update that only removes would not make the item.
pub(super) const MADE: &str = "_";
/// The largest and the smallest magnitude a number may have.
const MAGNITUDES: std::ops::Range<f64> = 1e-130..1e126;

/// The item as the table keeps it.
pub(super) type Row = HashMap<String, AttributeValue>;

/// An attribute's name in the table. `partition` and `sort` are the keys', `_` is ours: an attribute of such a name gets
/// an underscore in front, and so does one that has these underscores already.
pub(super) fn stored_name(name: &str) -> String {
    if is_reserved(name) {
        format!("_{name}")
    } else {
        name.to_owned()
    }
}

fn is_reserved(name: &str) -> bool {
    matches!(name.trim_start_matches('_'), PARTITION | SORT | "")
}

/// The attribute a stored name stands for; `None` for the table's own.
fn own_name(stored: &str) -> Option<&str> {
    match stored {
        PARTITION | SORT | MADE => None,
        _ if is_reserved(stored) => stored.strip_prefix('_'),
        _ => Some(stored),
    }
}

/// A key as the table takes it.
pub(super) fn key_of(key: &Key) -> Row {
    HashMap::from([
        (PARTITION.to_owned(), AttributeValue::S(key.partition.clone())),
        (SORT.to_owned(), AttributeValue::S(key.sort.clone())),
    ])
}

/// A whole item as the table takes it; `null` attributes are absent.
pub(super) fn row_of(key: &Key, attributes: &Attributes) -> Result<Row, StoreError> {
    let mut row = key_of(key);
    for (name, value) in attributes.iter().filter(|(_, value)| !value.is_null()) {
        row.insert(stored_name(name), value_of(value)?);
    }
    Ok(row)
}

/// A value as the table takes it.
pub(super) fn value_of(value: &Value) -> Result<AttributeValue, StoreError> {
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(yes) => AttributeValue::Bool(*yes),
        Value::Number(number) => AttributeValue::N(number_of(number)?),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(value_of).collect::<Result<_, _>>()?),
        Value::Object(fields) => AttributeValue::M(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), value_of(value)?)))
                .collect::<Result<_, StoreError>>()?,
        ),
    })
}

fn number_of(number: &Number) -> Result<String, StoreError> {
    let fits = number.as_i64().is_some()
        || number.as_u64().is_some()
        || number
            .as_f64()
            .is_some_and(|number| number == 0.0 || MAGNITUDES.contains(&number.abs()));
    if fits {
        Ok(number.to_string())
    } else {
        Err(StoreError::Contract(format!(
            "the number {number} is too large or too small to be stored"
        )))
    }
}

/// An item as rooms see it.
pub(super) fn item_of(row: Row) -> Result<Item, StoreError> {
    let text = |name: &str| match row.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(StoreError::Damaged(format!("a row of the table has no text `{name}`"))),
    };
    let key = Key::new(text(PARTITION)?, text(SORT)?);
    let mut attributes = Attributes::new();
    for (name, value) in row {
        let Some(name) = own_name(&name) else {
            continue;
        };
        let value = json_of(value).map_err(|what| StoreError::Damaged(format!("{name} of {key}: {what}")))?;
        if !value.is_null() {
            attributes.insert(name.to_owned(), value);
        }
    }
    Ok(Item { key, attributes })
}

fn json_of(value: AttributeValue) -> Result<Value, String> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(yes) => yes.into(),
        AttributeValue::S(text) => text.into(),
        AttributeValue::N(number) => number_from(&number)?,
        AttributeValue::L(values) => Value::Array(values.into_iter().map(json_of).collect::<Result<_, _>>()?),
        AttributeValue::M(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| Ok((name, json_of(value)?)))
                .collect::<Result<Map<_, _>, String>>()?,
        ),
        other => return Err(format!("a value of a kind that is never written: {other:?}")),
    })
}

fn number_from(text: &str) -> Result<Value, String> {
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Ok(whole.into());
    }
    text.parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| format!("`{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn there_and_back(attributes: Value) -> Value {
        let attributes: Attributes = serde_json::from_value(attributes).unwrap();
        let item = item_of(row_of(&Key::new("p", "s"), &attributes).unwrap()).unwrap();
        assert_eq!(item.key, Key::new("p", "s"));
        json!(item.attributes)
    }

    #[test]
    fn attributes_come_back_as_they_went() {
        let all = json!({
            "partition": 1, "sort": "x", "_": true, "_sort": 2, "__partition": 3, "___": 4, "sorted": 5, "_x": 6,
            "text": "a\u{0}b", "largest": u64::MAX, "least": i64::MIN, "third": 1.0 / 3.0, "list": [null, [], {}],
            "map": {"sort": 1}, "no": false,
        });
        assert_eq!(there_and_back(all.clone()), all);
        assert_eq!(there_and_back(json!({"a": null, "b": 1})), json!({"b": 1}));
    }

    #[test]
    fn numbers_beyond_the_table_are_refused() {
        for bad in [1e200, 1e-200, -1e126] {
            assert!(matches!(value_of(&json!(bad)), Err(StoreError::Contract(_))), "{bad}");
        }
        assert!(value_of(&json!(0.0)).is_ok());
    }
}
