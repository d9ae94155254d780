//! Metrics in CloudWatch's embedded metric format: one line of JSON on standard output for each set of values.
//!
//! Their one dimension is the stack; failures have their type beside it. A metric per account would cost more than the
//! import; which account a value belongs to stands beside it in the same line and can be searched for. Alarms and
//! dashboard of the template use the names of [`TABLE`]: `tests/aws/metrics.json` is this table for the rules over the
//! template, and the test below keeps it true.

use std::io::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Postroom";
/// The dimension of all of them.
pub const STACK: &str = "Stack";
/// The dimension that tells failures apart: the type that reaches Lambda.
pub const ERROR_TYPE: &str = "ErrorType";

const OF_THE_STACK: &[&str] = &[STACK];
const BY_TYPE: &[&str] = &[STACK, ERROR_TYPE];

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Messages recorded in a run.
    Imported,
    /// Age of the oldest message that a run recorded, when it was recorded.
    OldestMailAge,
    /// How long a run took.
    RunDuration,
    /// Requests to Graph in a run.
    GraphRequests,
    /// Answers of 429 in a run.
    Throttled,
    /// Messages set aside in a run, for an admin to decide.
    NewlySetAside,
    /// Runs that stopped until an admin or an operator acts.
    RunsFailed,
    /// The longest time since the last success, over all enabled accounts.
    LastSuccessAge,
    /// Accounts that are silent for three of their intervals. It is there whenever `watch` is.
    SilentAccounts,
    /// Accounts whose state needs an admin, an operator or somebody to sign in.
    AccountsInTrouble,
    /// Messages owed, over all accounts.
    Owed,
    /// Messages set aside, over all accounts.
    SetAside,
    /// Events recorded and not sent yet, over all accounts.
    UnsentEvents,
    /// The oldest access token of a credential in use.
    TokenAge,
    /// Tokens that could not be got. It is there whenever `token-refresh` is.
    RefreshFailures,
    /// Apps that Microsoft refuses: nothing is asked for with their secret but a probe now and then.
    OpenCircuits,
    /// Whole days until the first credential ends.
    CredentialDaysLeft,
    /// Credentials whose app reads a mailbox it must not, or not one it must.
    ReachNotAsMeant,
    /// Invocations that failed, by type.
    Failures,
}

/// A metric, as CloudWatch knows it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Which.
    pub metric: Metric,
    /// Its name.
    pub name: &'static str,
    /// CloudWatch's unit.
    pub unit: &'static str,
    /// Its dimensions.
    pub dimensions: &'static [&'static str],
    /// Whether an alarm of the template watches it; the dashboard shows all.
    pub alarms: bool,
}

const fn entry(metric: Metric, name: &'static str, unit: &'static str, alarms: bool) -> Entry {
    Entry {
        metric,
        name,
        unit,
        dimensions: OF_THE_STACK,
        alarms,
    }
}

/// All metrics, as alarms and dashboard know them.
pub const TABLE: [Entry; 19] = [
    entry(Metric::Imported, "Imported", "Count", false),
    entry(Metric::OldestMailAge, "OldestMailAge", "Seconds", false),
    entry(Metric::RunDuration, "RunDuration", "Milliseconds", false),
    entry(Metric::GraphRequests, "GraphRequests", "Count", false),
    entry(Metric::Throttled, "Throttled", "Count", true),
    entry(Metric::NewlySetAside, "NewlySetAside", "Count", true),
    // The account is in trouble afterwards, which alarms; and its failure has a type.
    entry(Metric::RunsFailed, "RunsFailed", "Count", false),
    entry(Metric::LastSuccessAge, "LastSuccessAge", "Seconds", false),
    entry(Metric::SilentAccounts, "SilentAccounts", "Count", true),
    entry(Metric::AccountsInTrouble, "AccountsInTrouble", "Count", true),
    entry(Metric::Owed, "Owed", "Count", true),
    entry(Metric::SetAside, "SetAside", "Count", false),
    entry(Metric::UnsentEvents, "UnsentEvents", "Count", true),
    entry(Metric::TokenAge, "TokenAge", "Seconds", false),
    entry(Metric::RefreshFailures, "RefreshFailures", "Count", true),
    entry(Metric::OpenCircuits, "OpenCircuits", "Count", true),
    entry(Metric::CredentialDaysLeft, "CredentialDaysLeft", "Count", true),
    entry(Metric::ReachNotAsMeant, "ReachNotAsMeant", "Count", true),
    Entry {
        dimensions: BY_TYPE,
        ..entry(Metric::Failures, "Failures", "Count", true)
    },
];

/// Prints values of one moment; `beside` are fields that can be searched for.
pub fn print(stack: &str, now: Timestamp, values: &[(Metric, u64)], beside: &[(&str, &str)]) {
    let line = line(stack, now, values, beside);
    // A pipe that is gone takes the sandbox with it; a metric is no reason to fail before that.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints that an invocation failed, and of which type.
pub fn print_failure(stack: &str, now: Timestamp, error_type: &str) {
    print(stack, now, &[(Metric::Failures, 1)], &[(ERROR_TYPE, error_type)]);
}

fn line(stack: &str, now: Timestamp, values: &[(Metric, u64)], beside: &[(&str, &str)]) -> Value {
    let mut fields = Map::new();
    // One directive per set of dimensions.
    let mut directives: Vec<(&[&str], Vec<Value>)> = Vec::new();
    for (metric, value) in values {
        let Some(entry) = TABLE.iter().find(|entry| entry.metric == *metric) else {
            continue;
        };
        let definition = json!({"Name": entry.name, "Unit": entry.unit});
        match directives.iter_mut().find(|(set, _)| *set == entry.dimensions) {
            Some((_, definitions)) => definitions.push(definition),
            None => directives.push((entry.dimensions, vec![definition])),
        }
        fields.insert(entry.name.to_owned(), (*value).into());
    }
    for (name, text) in beside {
        fields.insert((*name).to_owned(), (*text).into());
    }
    fields.insert(STACK.to_owned(), stack.into());
    let directives: Vec<Value> = directives
        .into_iter()
        .map(|(set, metrics)| json!({"Namespace": NAMESPACE, "Dimensions": [set], "Metrics": metrics}))
        .collect();
    fields.insert(
        "_aws".to_owned(),
        json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives}),
    );
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use shared::error::Next;

    use super::*;

    const EVERY_NEXT: [Next; 8] = [
        Next::Retry { after: None },
        Next::Reauthorize,
        Next::FixCredential,
        Next::FixAccount,
        Next::ResetCursor,
        Next::Quarantine,
        Next::Operator,
        Next::Fail,
    ];

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn every_metric_has_one_name_and_a_line_says_what_cloudwatch_reads() {
        let names: BTreeSet<&str> = TABLE.iter().map(|entry| entry.name).collect();
        let metrics: BTreeSet<Metric> = TABLE.iter().map(|entry| entry.metric).collect();
        assert_eq!((names.len(), metrics.len()), (TABLE.len(), TABLE.len()));
        let values = [(Metric::Imported, 3), (Metric::RunDuration, 12)];
        let line = line("post", now(), &values, &[("account", "desk")]);
        assert_eq!(line["Imported"], 3);
        assert_eq!(line["Stack"], "post");
        assert_eq!(line["account"], "desk");
        let block = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(block["Namespace"], "Postroom");
        assert_eq!(block["Dimensions"], json!([["Stack"]]));
        assert_eq!(
            block["Metrics"][1],
            json!({"Name": "RunDuration", "Unit": "Milliseconds"})
        );
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000_000_000_i64);
    }

    #[test]
    fn every_metric_of_the_table_is_a_field_of_its_line_with_all_its_dimensions() {
        for entry in TABLE {
            let line = line("post", now(), &[(entry.metric, 7)], &[(ERROR_TYPE, "Operator")]);
            assert_eq!(line[entry.name], 7);
            let block = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(block["Metrics"], json!([{"Name": entry.name, "Unit": entry.unit}]));
            assert_eq!(block["Dimensions"], json!([entry.dimensions]));
            for dimension in entry.dimensions {
                assert!(line[dimension].is_string(), "{}: no {dimension} beside it", entry.name);
            }
        }
    }

    #[test]
    fn values_of_different_dimensions_stand_in_directives_of_their_own() {
        let values = [(Metric::Owed, 1), (Metric::Failures, 1), (Metric::SetAside, 2)];
        let line = line("post", now(), &values, &[(ERROR_TYPE, "Defect")]);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 2);
        assert_eq!(directives[0]["Metrics"].as_array().unwrap().len(), 2);
        assert_eq!(directives[1]["Dimensions"], json!([["Stack", "ErrorType"]]));
    }

    #[test]
    fn the_table_of_the_rules_is_what_the_code_says() {
        let entries: Vec<Value> = TABLE
            .iter()
            .map(|entry| {
                json!({"name": entry.name, "unit": entry.unit, "dimensions": entry.dimensions, "alarms": entry.alarms})
            })
            .collect();
        let types: Vec<&str> = EVERY_NEXT.iter().map(|next| next.meaning().error_type).collect();
        let table = json!({"namespace": NAMESPACE, "metrics": entries, "error_types": types});
        let fresh = format!("{}\n", serde_json::to_string_pretty(&table).unwrap());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/aws/metrics.json");
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        let beside = std::env::temp_dir().join("postroom-metrics.json");
        if there != fresh {
            std::fs::write(&beside, &fresh).unwrap();
        }
        assert!(
            there == fresh,
            "tests/aws/metrics.json is stale; copy {} over it",
            beside.display()
        );
    }
}
