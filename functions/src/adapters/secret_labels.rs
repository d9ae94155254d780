//! Which version of a secret holds which label.

use std::collections::HashMap;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use shared::ports::SecretVersion;

pub(super) const CURRENT: &str = "AWSCURRENT";
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";
pub(super) const PENDING: &str = "AWSPENDING";
/// The label of a version that is put and not current yet; at most one version of a secret holds it.
pub(super) const ARRIVED: &str = "POSTROOMARRIVED";
/// The version that stands for no value.
pub(super) const NOTHING: &str = "postroom-nothing-is-in-this-version";

/// A secret as it stands.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Which versions hold a label.
    pub(super) holders: HashMap<String, Vec<String>>,
    /// It is scheduled to be deleted.
    pub(super) removed: bool,
}

impl Labels {
    pub(super) fn of(described: &DescribeSecretOutput) -> Self {
        let mut holders = HashMap::<String, Vec<String>>::new();
        for (version, labels) in described.version_ids_to_stages.iter().flatten() {
            for label in labels {
                holders.entry(label.clone()).or_default().push(version.clone());
            }
        }
        let removed = described.deleted_date.is_some();
        Self { holders, removed }
    }

    pub(super) fn holder(&self, label: &str) -> Option<&str> {
        self.holders
            .get(label)
            .and_then(|versions| versions.first())
            .map(String::as_str)
    }

    /// The current version, unless it stands for nothing.
    pub(super) fn current(&self) -> Option<SecretVersion> {
        let current = self
            .holder(CURRENT)
            .filter(|version| *version != NOTHING && !self.removed);
        current.map(|version| SecretVersion(version.to_owned()))
    }

    pub(super) fn holds(&self, label: &str, version: &str) -> bool {
        self.holders
            .get(label)
            .is_some_and(|versions| versions.iter().any(|one| one == version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &[&str])]) -> Labels {
        let stages: HashMap<String, Vec<String>> = pairs
            .iter()
            .map(|(version, labels)| {
                (
                    (*version).to_owned(),
                    labels.iter().map(|label| (*label).to_owned()).collect(),
                )
            })
            .collect();
        Labels::of(
            &DescribeSecretOutput::builder()
                .set_version_ids_to_stages(Some(stages))
                .build(),
        )
    }

    #[test]
    fn nothing_is_no_version_and_a_removed_secret_has_none() {
        assert_eq!(labels(&[(NOTHING, &[CURRENT])]).current(), None);
        let mut there = labels(&[("a", &[CURRENT, "x"]), ("b", &[PENDING])]);
        assert_eq!(there.current(), Some(SecretVersion("a".into())));
        assert!(there.holds(PENDING, "b") && !there.holds(PENDING, "a"));
        there.removed = true;
        assert_eq!(there.current(), None);
    }

    #[test]
    fn a_version_name_is_what_aws_takes() {
        assert!((32..=64).contains(&NOTHING.len()));
    }
}
