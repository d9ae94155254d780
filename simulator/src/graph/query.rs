//! `OData` query options, read as strictly as Graph reads them.

use super::error::GraphError;
use super::render;
use crate::clock::parse_time;
use crate::mailbox::{Item, Mailbox};
use crate::wire::Call;

/// One comparison of a `$filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) property: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// The value of a system option, with or without its `$`.
pub(crate) fn option<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.parameter(&format!("${name}")).or_else(|| call.parameter(name))
}

/// Refuses options that a request does not know.
pub(crate) fn only(call: &Call, known: &[&str]) -> Result<(), GraphError> {
    for (name, _) in &call.query {
        let bare = name.strip_prefix('$').unwrap_or(name);
        if !known.contains(&bare) {
            return Err(if name.starts_with('$') {
                GraphError::bad(format!("The query parameter '{name}' is not supported."))
            } else {
                GraphError::bad(format!("Invalid query option '{name}'."))
            });
        }
        if call.query.iter().filter(|(n, _)| n == name).count() > 1 {
            return Err(GraphError::bad(format!(
                "Query option '{name}' was specified more than once, but it must be specified at most once."
            )));
        }
    }
    Ok(())
}

/// `$select` of messages.
pub(crate) fn select(call: &Call) -> Result<Vec<String>, GraphError> {
    let Some(text) = option(call, "select") else {
        return Ok(Vec::new());
    };
    let names: Vec<String> = text
        .split(',')
        .map(|n| n.trim().to_owned())
        .filter(|n| !n.is_empty())
        .collect();
    match names.iter().find(|n| !render::selectable(n)) {
        Some(unknown) => Err(GraphError::bad(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{unknown}' on type 'Microsoft.OutlookServices.Message'."
        ))),
        None => Ok(names),
    }
}

/// A number option within bounds.
pub(crate) fn number(call: &Call, name: &str, least: usize, most: usize) -> Result<Option<usize>, GraphError> {
    let Some(text) = option(call, name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            format!(
                "The value '{text}' of the query option '${name}' is invalid: it must be between {least} and {most}."
            ),
        )),
    }
}

/// `$filter`: comparisons joined by `and`.
pub(crate) fn filter(call: &Call) -> Result<Vec<Comparison>, GraphError> {
    let Some(text) = option(call, "filter") else {
        return Ok(Vec::new());
    };
    text.split(" and ").map(comparison).collect()
}

fn comparison(text: &str) -> Result<Comparison, GraphError> {
    let refused = |why: &str| GraphError::bad(format!("Invalid filter clause: {why} in '{}'.", text.trim()));
    let mut words = text.trim().splitn(3, ' ');
    let (Some(property), Some(operator), Some(raw)) = (words.next(), words.next(), words.next()) else {
        return Err(refused("a comparison is expected"));
    };
    let raw = raw.trim();
    let value = match property {
        "receivedDateTime" | "sentDateTime" | "lastModifiedDateTime" => parse_time(raw)
            .ok_or_else(|| refused("a time such as 2026-01-31T00:00:00Z is expected"))?
            .to_string(),
        "isRead" | "isDraft" | "hasAttachments" if raw == "true" || raw == "false" => raw.to_owned(),
        "internetMessageId" | "subject" | "parentFolderId" | "importance" => raw
            .strip_prefix('\'')
            .and_then(|r| r.strip_suffix('\''))
            .filter(|r| !r.replace("''", "").contains('\''))
            .ok_or_else(|| refused("a quoted text is expected"))?
            .replace("''", "'"),
        _ => return Err(refused("the property cannot be filtered")),
    };
    let known = if property.ends_with("DateTime") {
        &["ge", "gt", "le", "lt", "eq"][..]
    } else {
        &["eq", "ne"][..]
    };
    if !known.contains(&operator) {
        return Err(refused("the operator is not supported"));
    }
    Ok(Comparison {
        property: property.to_owned(),
        operator: operator.to_owned(),
        value,
    })
}

impl Comparison {
    pub(crate) fn holds(&self, mailbox: &Mailbox, item: &Item) -> bool {
        let time = match self.property.as_str() {
            "receivedDateTime" => Some(item.received_ms),
            "sentDateTime" => Some(item.facts.sent_ms.unwrap_or(item.received_ms)),
            "lastModifiedDateTime" => Some(item.modified_ms),
            _ => None,
        };
        if let Some(time) = time {
            let with: i64 = self.value.parse().unwrap_or(0);
            return match self.operator.as_str() {
                "ge" => time >= with,
                "gt" => time > with,
                "le" => time <= with,
                "lt" => time < with,
                _ => time == with,
            };
        }
        let equal = match self.property.as_str() {
            "isRead" => item.read.to_string() == self.value,
            "isDraft" => item.draft.to_string() == self.value,
            "hasAttachments" => item.facts.has_attachments.to_string() == self.value,
            "internetMessageId" => item.facts.message_id.as_deref() == Some(&self.value),
            "subject" => item.facts.subject == self.value,
            "importance" => item.importance == self.value,
            _ => mailbox.folders.get(item.folder).is_some_and(|f| f.id == self.value),
        };
        equal == (self.operator == "eq")
    }
}

/// `$orderby`: property and whether it descends. Newest first if absent.
pub(crate) fn order(call: &Call, filters: &[Comparison]) -> Result<(String, bool), GraphError> {
    let Some(text) = option(call, "orderby") else {
        return Ok(("receivedDateTime".to_owned(), true));
    };
    let mut keys = Vec::new();
    for one in text.split(',') {
        let mut words = one.split_whitespace();
        let property = words.next().unwrap_or_default();
        let descending = match words.next() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(GraphError::bad(format!("Invalid orderby clause '{one}'."))),
        };
        if !["receivedDateTime", "sentDateTime", "lastModifiedDateTime", "subject"].contains(&property) {
            return Err(GraphError::bad(format!(
                "The property '{property}' cannot be used in $orderby here."
            )));
        }
        keys.push((property.to_owned(), descending));
    }
    // Every orderby property must stand in the filter, in the same order, before all others.
    let in_filter = filters.iter().zip(&keys).all(|(f, k)| f.property == k.0) && filters.len() >= keys.len();
    if !filters.is_empty() && !in_filter {
        return Err(GraphError::new(
            400,
            "InefficientFilter",
            "The restriction or sort order is too complex for this operation.",
        ));
    }
    Ok(keys.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pairs;

    fn call(query: &str) -> Call {
        Call {
            method: http::Method::GET,
            path: String::new(),
            query: pairs(query.as_bytes()),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
            origin: String::new(),
        }
    }

    #[test]
    fn sorting_by_what_is_not_filtered_first_is_too_complex() {
        let refused = |query: &str| {
            let call = call(query);
            order(&call, &filter(&call).unwrap()).is_err()
        };
        assert!(refused("$filter=isRead eq false&$orderby=receivedDateTime desc"));
        assert!(refused(
            "$filter=isRead eq false and receivedDateTime ge 2026-01-01T00:00:00Z&$orderby=receivedDateTime"
        ));
        assert!(!refused(
            "$filter=receivedDateTime ge 2026-01-01T00:00:00Z and isRead eq false&$orderby=receivedDateTime"
        ));
        assert!(!refused("$orderby=receivedDateTime"));
    }

    #[test]
    fn filters_are_read_strictly() {
        assert_eq!(
            filter(&call("$filter=internetMessageId eq '<o''x@y>'")).unwrap()[0].value,
            "<o'x@y>"
        );
        for bad in [
            "isRead eq maybe",
            "receivedDateTime ge 'x'",
            "subject eq x",
            "foo eq 1",
            "isRead",
            "receivedDateTime has 2026-01-01T00:00:00Z",
        ] {
            assert!(filter(&call(&format!("$filter={bad}"))).is_err(), "{bad}");
        }
        assert!(number(&call("$top=1001"), "top", 1, 1000).is_err());
        assert!(only(&call("$foo=1"), &["top"]).is_err());
    }
}
