//! Metrics in CloudWatch's embedded metric format: one line of JSON on standard output for each set of values.
//!
//! There is one dimension, the stack. A metric per account would cost more than the import; which account a value belongs
//! to stands beside it in the same line and can be searched for. Alarms use the names of [`TABLE`].

use std::io::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Postroom";
/// Their dimension.
pub const DIMENSION: &str = "Stack";

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Messages recorded.
    Imported,
    /// Age of the oldest message that a run recorded, when it was recorded.
    OldestMailAge,
    /// How long a run took.
    RunDuration,
    /// Requests to Graph.
    GraphRequests,
    /// Answers of 429.
    Throttled,
    /// Messages owed.
    Owed,
    /// Messages set aside, for an admin to decide.
    SetAside,
    /// Events recorded and not sent yet.
    UnsentEvents,
    /// Runs that stopped until an admin or an operator acts.
    RunsFailed,
    /// The longest time since the last success, over all enabled accounts.
    LastSuccessAge,
    /// Accounts that are silent for three of their intervals.
    SilentAccounts,
    /// Accounts whose state needs an admin, an operator or somebody to sign in.
    AccountsInTrouble,
    /// The oldest access token of a credential in use.
    TokenAge,
    /// Tokens that could not be got.
    RefreshFailures,
}

/// Names and units, as alarms and dashboards know them.
pub const TABLE: [(Metric, &str, &str); 14] = [
    (Metric::Imported, "Imported", "Count"),
    (Metric::OldestMailAge, "OldestMailAge", "Seconds"),
    (Metric::RunDuration, "RunDuration", "Milliseconds"),
    (Metric::GraphRequests, "GraphRequests", "Count"),
    (Metric::Throttled, "Throttled", "Count"),
    (Metric::Owed, "Owed", "Count"),
    (Metric::SetAside, "SetAside", "Count"),
    (Metric::UnsentEvents, "UnsentEvents", "Count"),
    (Metric::RunsFailed, "RunsFailed", "Count"),
    (Metric::LastSuccessAge, "LastSuccessAge", "Seconds"),
    (Metric::SilentAccounts, "SilentAccounts", "Count"),
    (Metric::AccountsInTrouble, "AccountsInTrouble", "Count"),
    (Metric::TokenAge, "TokenAge", "Seconds"),
    (Metric::RefreshFailures, "RefreshFailures", "Count"),
];

/// Prints values of one moment; `beside` are fields that can be searched for.
pub fn print(stack: &str, now: Timestamp, values: &[(Metric, u64)], beside: &[(&str, &str)]) {
    let line = line(stack, now, values, beside);
    // A pipe that is gone takes the sandbox with it; a metric is no reason to fail before that.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn line(stack: &str, now: Timestamp, values: &[(Metric, u64)], beside: &[(&str, &str)]) -> Value {
    let mut fields = Map::new();
    let mut definitions = Vec::new();
    for (metric, value) in values {
        if let Some((_, name, unit)) = TABLE.iter().find(|(one, ..)| one == metric) {
            definitions.push(json!({"Name": name, "Unit": unit}));
            fields.insert((*name).to_owned(), (*value).into());
        }
    }
    for (name, text) in beside {
        fields.insert((*name).to_owned(), (*text).into());
    }
    fields.insert(DIMENSION.to_owned(), stack.into());
    fields.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions}],
        }),
    );
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_one_name_and_a_line_says_what_cloudwatch_reads() {
        let mut names: Vec<&str> = TABLE.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let line = line(
            "post",
            now,
            &[(Metric::Imported, 3), (Metric::RunDuration, 12)],
            &[("account", "desk")],
        );
        assert_eq!(line["Imported"], 3);
        assert_eq!(line["Stack"], "post");
        assert_eq!(line["account"], "desk");
        let block = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(block["Dimensions"], json!([["Stack"]]));
        assert_eq!(
            block["Metrics"][1],
            json!({"Name": "RunDuration", "Unit": "Milliseconds"})
        );
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000_000_000_i64);
    }
}
