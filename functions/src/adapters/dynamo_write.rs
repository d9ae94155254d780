//! Conditional writes as DynamoDB expressions.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use shared::ports::{Attributes, Condition, StoreError};

use super::dynamo_values::{MADE, PARTITION, Row, stored_name, value_of};

/// An expression under construction: placeholders for names and values, since either may be a reserved word.
#[derive(Debug, Default)]
pub(super) struct Expression {
    /// The condition, if there is one.
    pub(super) condition: Option<String>,
    /// What is changed, for an update.
    pub(super) update: Option<String>,
    names: HashMap<String, String>,
    values: Row,
}

impl Expression {
    /// The conditions of a write.
    pub(super) fn when(conditions: &[Condition]) -> Result<Self, StoreError> {
        let mut expression = Self::default();
        for condition in conditions {
            let text = expression.holds(condition)?;
            expression.also(&text);
        }
        Ok(expression)
    }

    /// The placeholders; DynamoDB refuses empty maps.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// The values of the placeholders.
    pub(super) fn values(&self) -> Option<Row> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    fn also(&mut self, text: &str) {
        self.condition = Some(match self.condition.take() {
            None => text.to_owned(),
            Some(before) => format!("{before} AND {text}"),
        });
    }

    fn name(&mut self, stored: String) -> String {
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), stored);
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn holds(&mut self, condition: &Condition) -> Result<String, StoreError> {
        Ok(match condition {
            Condition::Absent => format!("attribute_not_exists({})", self.name(PARTITION.into())),
            Condition::Exists => format!("attribute_exists({})", self.name(PARTITION.into())),
            Condition::Equals(name, wanted) => {
                let name = self.name(stored_name(name));
                format!("{name} = {}", self.value(value_of(wanted)?))
            }
            Condition::Missing(name) => format!("attribute_not_exists({})", self.name(stored_name(name))),
            Condition::MissingOrBelow(name, bound) => {
                let name = self.name(stored_name(name));
                let bound = self.value(whole(i128::from(*bound)));
                format!("(attribute_not_exists({name}) OR {name} < {bound})")
            }
            Condition::Above(name, bound) => {
                let name = self.name(stored_name(name));
                format!("{name} > {}", self.value(whole(i128::from(*bound))))
            }
        })
    }

    /// What an update sets, removes and adds. DynamoDB counts to 38 digits; the condition keeps sums within 64 bits,
    /// and what is added to a number.
    pub(super) fn change(&mut self, set: &Attributes, add: &BTreeMap<String, i64>) -> Result<(), StoreError> {
        let (mut sets, mut removes, mut adds) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in set {
            let name = self.name(stored_name(name));
            if value.is_null() {
                removes.push(name);
            } else {
                let value = value_of(value)?;
                sets.push(format!("{name} = {}", self.value(value)));
            }
        }
        for (name, number) in add {
            let name = self.name(stored_name(name));
            let number = i128::from(*number);
            let least = self.value(whole((i128::from(i64::MIN) - number).max(i128::from(i64::MIN))));
            let most = self.value(whole((i128::from(i64::MAX) - number).min(i128::from(i64::MAX))));
            self.also(&format!(
                "(attribute_not_exists({name}) OR {name} BETWEEN {least} AND {most})"
            ));
            adds.push(format!("{name} {}", self.value(whole(number))));
        }
        if sets.is_empty() && adds.is_empty() {
            let name = self.name(MADE.to_owned());
            sets.push(format!("{name} = {}", self.value(AttributeValue::Bool(true))));
        }
        let clauses = [("SET", sets), ("REMOVE", removes), ("ADD", adds)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let text: Vec<String> = clauses
            .map(|(word, parts)| format!("{word} {}", parts.join(", ")))
            .collect();
        self.update = Some(text.join(" "));
        Ok(())
    }
}

fn whole(number: i128) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The bytes an update brings, as far as they can be told without the item.
pub(super) fn bytes_of(set: &Attributes) -> usize {
    set.iter()
        .map(|(name, value)| name.len() + Value::to_string(value).len())
        .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_joined_and_use_placeholders() {
        let conditions = [
            Condition::Exists,
            Condition::equals("sort", 1),
            Condition::MissingOrBelow("n".into(), 5),
        ];
        let expression = Expression::when(&conditions).unwrap();
        assert_eq!(
            expression.condition.as_deref(),
            Some("attribute_exists(#n0) AND #n1 = :v0 AND (attribute_not_exists(#n2) OR #n2 < :v1)")
        );
        assert_eq!(expression.names().unwrap()["#n1"], "_sort");
        assert!(Expression::when(&[]).unwrap().names().is_none());
    }

    #[test]
    fn an_update_that_only_removes_makes_the_item_all_the_same() {
        let mut expression = Expression::default();
        let set = serde_json::from_value(json!({"a": null})).unwrap();
        expression.change(&set, &BTreeMap::new()).unwrap();
        assert_eq!(expression.update.as_deref(), Some("SET #n1 = :v0 REMOVE #n0"));
    }

    #[test]
    fn sums_stay_within_64_bits() {
        let mut expression = Expression::default();
        expression
            .change(&Attributes::new(), &BTreeMap::from([("n".to_owned(), 10)]))
            .unwrap();
        let values = expression.values().unwrap();
        assert_eq!(values[":v0"], AttributeValue::N(i64::MIN.to_string()));
        assert_eq!(values[":v1"], AttributeValue::N((i64::MAX - 10).to_string()));
        assert_eq!(expression.update.as_deref(), Some("ADD #n0 :v2"));
    }
}
