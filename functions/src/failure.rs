//! Why an invocation failed: the one table of `shared::error` decides the type that reaches Lambda.
//!
//! An invocation fails only where trying again may help by itself or an operator must look. What an admin must mend is the
//! state of an account, which pages and metrics show; failing for it would fill the dead-letter queue with every tick.

use lambda_runtime::Diagnostic;
use shared::{config::ConfigError, error::Next, import::RunError, records::RecordError};

/// Why an invocation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// The type that reaches Lambda.
    pub error_type: &'static str,
    /// What happened, why, and where to mend it.
    pub what: String,
}

impl Failure {
    /// With the type that belongs to what happens next.
    pub fn new(next: &Next, what: impl Into<String>) -> Self {
        Self {
            error_type: next.meaning().error_type,
            what: what.into(),
        }
    }

    /// An event that nobody should send: a defect of whoever sends it, which repeating does not mend.
    pub fn malformed(what: impl std::fmt::Display) -> Self {
        Self::new(&Next::Fail, format!("the event cannot be read: {what}"))
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.error_type.to_owned(),
            error_message: failure.what,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(&Next::Operator, error.to_string())
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::new(&error.next(), error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Record(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::ports::{Key, StoreError};

    use super::*;

    #[test]
    fn the_one_table_decides_the_type() {
        let of = |error: RecordError| Diagnostic::from(Failure::from(error)).error_type;
        assert_eq!(of(StoreError::Unavailable("busy".into()).into()), "Transient");
        assert_eq!(of(StoreError::CannotWrite("denied".into()).into()), "Operator");
        let newer = RecordError::Unreadable {
            key: Key::new("accounts", "desk"),
            reason: "settings".into(),
        };
        assert_eq!(of(newer), "Operator", "a table of another version");
        assert_eq!(Failure::malformed("x").error_type, "Defect");
    }
}
