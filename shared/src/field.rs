//! Typed fields: ids, and errors that say which field is wrong and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A field that cannot be taken as typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field, in the words of the form.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl FieldError {
    /// For `field`, because of `reason`.
    pub fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self {
            field,
            reason: reason.into(),
        }
    }
}

/// A short name of a credential or account: 1 to 63 of `a-z`, `0-9` and `-`, beginning with a letter or digit.
///
/// It stands in keys, file names, addresses and commands, so it needs no quoting anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Checks the text.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        let good = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(FieldError::new(
                field,
                format!(
                    "`{}` cannot be used; take 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit",
                    text.escape_debug()
                ),
            ))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Id {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse("id", &text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// One line of free text of at most `max` characters, trimmed.
pub fn one_line(field: &'static str, text: &str, max: usize) -> Result<String, FieldError> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(FieldError::new(field, format!("it is longer than {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(field, "it holds a line break or control character"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn ids_need_no_quoting() {
        for good in ["a", "desk-1", "0", &"a".repeat(63)] {
            assert!(Id::parse("id", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a/b", "..", "a\0", "ä", &"a".repeat(64)] {
            assert!(Id::parse("id", bad).is_err(), "{bad}");
        }
    }
}
