//! The range of a query as a key condition. DynamoDB has one condition on the sort key, and refuses ranges that are empty
//! and start keys that lie outside.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::ports::{Key, Query};

use super::dynamo_values::{PARTITION, Row, SORT, key_of};

/// A range that has room for something.
pub(super) struct Range<'a> {
    query: &'a Query,
    from: Option<&'a str>,
    start: Option<String>,
}

impl<'a> Range<'a> {
    /// The range of a query that goes on after a sort key; `None` if nothing can be in it.
    pub(super) fn of(query: &'a Query, after: Option<String>) -> Option<Self> {
        // No sort key is empty.
        let from = query.from.as_deref().filter(|from| !from.is_empty());
        let until = query.until.as_deref();
        if until.is_some_and(|until| until.is_empty() || from.is_some_and(|from| from >= until)) {
            return None;
        }
        // A mark may come from a query with other bounds.
        let (low, high) = match &after {
            None => (false, false),
            Some(mark) => (
                from.is_some_and(|from| mark.as_str() < from),
                until.is_some_and(|until| mark.as_str() > until),
            ),
        };
        let (before, behind) = if query.descending { (high, low) } else { (low, high) };
        if behind {
            return None;
        }
        Some(Self {
            query,
            from,
            start: after.filter(|_| !before),
        })
    }

    /// The key condition. `until` is included, since there is no half-open range; it is left out of the answer.
    pub(super) fn condition(&self) -> String {
        let sort = match (self.from, &self.query.until) {
            (None, None) => "",
            (Some(_), None) => " AND #s >= :from",
            (None, Some(_)) => " AND #s <= :until",
            (Some(_), Some(_)) => " AND #s BETWEEN :from AND :until",
        };
        format!("#p = :p{sort}")
    }

    pub(super) fn names(&self) -> HashMap<String, String> {
        let mut names = HashMap::from([("#p".to_owned(), PARTITION.to_owned())]);
        if self.from.is_some() || self.query.until.is_some() {
            names.insert("#s".to_owned(), SORT.to_owned());
        }
        names
    }

    pub(super) fn values(&self) -> Row {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut values = HashMap::from([(":p".to_owned(), text(&self.query.partition))]);
        if let Some(from) = self.from {
            values.insert(":from".to_owned(), text(from));
        }
        if let Some(until) = &self.query.until {
            values.insert(":until".to_owned(), text(until));
        }
        values
    }

    /// Where to go on.
    pub(super) fn start(&self) -> Option<Row> {
        let sort = self.start.as_deref()?;
        Some(key_of(&Key::new(&self.query.partition, sort)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(from: Option<&str>, until: Option<&str>, descending: bool) -> Query {
        Query {
            from: from.map(Into::into),
            until: until.map(Into::into),
            descending,
            ..Query::all("p")
        }
    }

    #[test]
    fn empty_ranges_are_not_asked_for() {
        for (from, until) in [(Some("b"), Some("b")), (Some("c"), Some("b")), (None, Some(""))] {
            assert!(
                Range::of(&query(from, until, false), None).is_none(),
                "{from:?} {until:?}"
            );
        }
        assert!(Range::of(&query(Some(""), None, false), None).unwrap().from.is_none());
    }

    #[test]
    fn marks_outside_the_bounds_are_before_or_behind_them() {
        let up = query(Some("b"), Some("d"), false);
        let down = query(Some("b"), Some("d"), true);
        let start = |query: &Query, mark: &str| Range::of(query, Some(mark.into())).map(|range| range.start);
        assert_eq!(start(&up, "a"), Some(None));
        assert_eq!(start(&up, "c"), Some(Some("c".into())));
        assert_eq!(start(&up, "e"), None);
        assert_eq!(start(&down, "e"), Some(None));
        assert_eq!(start(&down, "a"), None);
    }
}
