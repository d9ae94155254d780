//! Why there is no token, and what follows from it.
//!
//! Microsoft says to act on `error` and the HTTP status; AADSTS numbers only refine the text and the few exceptions
//! ("Microsoft Entra authentication and authorization error codes").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{self, Class},
    error::Next,
    ports::{HttpError, VaultError},
    records::RecordError,
};

use super::{
    challenge::{self, Challenge},
    entra::ErrorBody,
};

/// How long a number that heals by itself is left alone (AADSTS50196: Microsoft saw a loop, and more of it prolongs it).
const LATER: Duration = Duration::from_secs(300);

/// The kinds of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenErrorKind {
    /// The network, a busy server, a rate limit: never a verdict on the credential (P6).
    Transient {
        /// What the server asked for.
        after: Option<Duration>,
    },
    /// The app's own trouble: its secret is wrong or expired, the app is unknown or disabled.
    Client,
    /// The request itself cannot work: scope, tenant, endpoint.
    Settings,
    /// Somebody must sign in.
    SignIn,
    /// A sign-in that just happened is not taken: another person, a missing permission, a token that proves nothing.
    Refused,
    /// Disk, store or vault.
    Storage,
    /// An answer nobody foresaw.
    Unforeseen,
}

/// Why there is no token. The text is for an admin; it names no secret. It travels where tokens are asked for in another
/// function.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{what}")]
pub struct TokenError {
    /// The kind.
    pub kind: TokenErrorKind,
    /// What happened, why, and where to mend it.
    pub what: String,
    /// AADSTS numbers, if there were any.
    pub codes: Vec<u32>,
    /// What Microsoft's support asks for: trace and correlation id.
    pub trace: Option<String>,
    /// The wait was Microsoft's own wish or a number that stands for one, not ours.
    #[serde(default)]
    pub(super) microsofts_wish: bool,
    /// What a policy asks for: to be sent along when somebody signs in again (`claims`, JSON).
    #[serde(default)]
    pub(super) claims: Option<String>,
    /// Microsoft refused this very grant (`invalid_grant`), not the person's present rights.
    pub(super) grant: bool,
}

impl TokenError {
    /// What next?
    pub fn next(&self) -> Next {
        match &self.kind {
            TokenErrorKind::Transient { after } => Next::Retry { after: *after },
            TokenErrorKind::Client | TokenErrorKind::Settings => Next::FixCredential,
            TokenErrorKind::SignIn | TokenErrorKind::Refused => Next::Reauthorize,
            TokenErrorKind::Storage => Next::Operator,
            TokenErrorKind::Unforeseen => Next::Fail,
        }
    }

    /// The AADSTS numbers in a text: digits only, at most three.
    pub(crate) fn numbers_in(text: &str) -> Vec<u32> {
        let after = text.split("AADSTS").skip(1).take(3);
        after
            .filter_map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).take(9).collect();
                digits.parse().ok()
            })
            .collect()
    }

    /// Our words for the first number that is known.
    pub(crate) fn words_for(numbers: &[u32]) -> Option<String> {
        catalogue::of_numbers(numbers).map(catalogue::Row::sentence)
    }

    /// An error of this kind in these words.
    pub fn plain(kind: TokenErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            codes: Vec::new(),
            trace: None,
            microsofts_wish: false,
            claims: None,
            grant: false,
        }
    }

    pub(super) fn from_wire(whom: &str, error: &HttpError) -> Self {
        if let HttpError::Closed { .. } = error {
            return Self::plain(TokenErrorKind::Settings, error.to_string());
        }
        Self::plain(
            TokenErrorKind::Transient { after: None },
            format!("{whom} could not be reached: {error}"),
        )
    }

    pub(super) fn from_body(status: u16, after: Option<Duration>, body: &ErrorBody) -> Self {
        let codes = body.error_codes.clone();
        let kind = classify(status, after, &body.error, &codes);
        let code = codes
            .first()
            .map_or_else(|| body.error.clone(), |code| format!("AADSTS{code}"));
        let what = match catalogue::of_numbers(&codes) {
            Some(row) => format!("{} ({code})", row.sentence()),
            None => {
                let said = crate::message::cut(first_line(&body.error_description), 300);
                let said = if said.is_empty() { body.error.clone() } else { said };
                format!(
                    "Microsoft refused to give a token: {}. Microsoft's words: {said} (HTTP {status}, {})",
                    catalogue::of_error(&body.error).sentence(),
                    body.error
                )
            }
        };
        let challenge = body.claims.as_deref().and_then(Challenge::parse);
        let what = if kind == TokenErrorKind::SignIn {
            with_policy(what, challenge.as_ref(), body.suberror.as_deref())
        } else {
            what
        };
        let trace = match (&body.trace_id, &body.correlation_id) {
            (None, None) => None,
            (trace, correlation) => Some(format!(
                "trace id {}, correlation id {}",
                trace.as_deref().unwrap_or("-"),
                correlation.as_deref().unwrap_or("-")
            )),
        };
        Self {
            what,
            grant: kind == TokenErrorKind::SignIn
                && body.error == "invalid_grant"
                && body.suberror.as_deref() != Some("consent_required"),
            microsofts_wish: matches!(kind, TokenErrorKind::Transient { after: Some(_) }),
            kind,
            codes,
            trace,
            claims: challenge.map(|challenge| challenge.claims().to_owned()),
        }
    }

    pub(super) fn from_status(status: u16, after: Option<Duration>) -> Self {
        if status == 429 || status >= 500 {
            Self {
                microsofts_wish: true,
                ..Self::plain(
                    TokenErrorKind::Transient { after },
                    format!("the login host is busy (HTTP {status}); it is asked again by itself"),
                )
            }
        } else {
            Self::plain(
                TokenErrorKind::Unforeseen,
                format!(
                    "the login host answered HTTP {status} with something that is no OAuth answer; check the access token URL"
                ),
            )
        }
    }
}

impl From<VaultError> for TokenError {
    fn from(error: VaultError) -> Self {
        let kind = match error.next() {
            Next::Retry { after } => TokenErrorKind::Transient { after },
            _ => TokenErrorKind::Storage,
        };
        Self::plain(kind, error.to_string())
    }
}

impl From<RecordError> for TokenError {
    fn from(error: RecordError) -> Self {
        let kind = match error.next() {
            Next::Retry { after } => TokenErrorKind::Transient { after },
            Next::FixAccount => TokenErrorKind::Settings,
            _ => TokenErrorKind::Storage,
        };
        Self::plain(kind, error.to_string())
    }
}

/// The same with the kind of policy and the help there is, where the answer tells.
fn with_policy(what: String, challenge: Option<&Challenge>, suberror: Option<&str>) -> String {
    let policy = challenge.and_then(Challenge::policy);
    let help = suberror.and_then(challenge::help);
    let more: Vec<&str> = policy.into_iter().chain(help).collect();
    if more.is_empty() {
        what
    } else {
        format!("{what}. Microsoft says: {}", more.join("; "))
    }
}

fn first_line(text: &str) -> &str {
    text.split(" Trace ID:")
        .next()
        .unwrap_or(text)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
}

/// HTTP status and `error` decide; a number only where the catalogue says that it overrules them.
fn classify(status: u16, after: Option<Duration>, error: &str, codes: &[u32]) -> TokenErrorKind {
    if status == 429 || status >= 500 {
        return TokenErrorKind::Transient { after };
    }
    let class = codes.iter().find_map(|&code| catalogue::overrules(code));
    match class.unwrap_or_else(|| catalogue::of_error(error).class) {
        Class::Retry if class.is_some() => TokenErrorKind::Transient {
            after: Some(after.unwrap_or(LATER)),
        },
        Class::Retry => TokenErrorKind::Transient { after },
        Class::App => TokenErrorKind::Client,
        Class::Settings => TokenErrorKind::Settings,
        Class::SignIn => TokenErrorKind::SignIn,
        Class::Forbidden | Class::Mailbox | Class::Gone | Class::Reset | Class::Message | Class::Refused => {
            TokenErrorKind::Unforeseen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &str, code: u32) -> ErrorBody {
        ErrorBody {
            error: error.into(),
            error_description: format!("AADSTS{code}: Something. Trace ID: x Correlation ID: y Timestamp: z"),
            error_codes: vec![code],
            trace_id: Some("t".into()),
            correlation_id: Some("c".into()),
            ..ErrorBody::default()
        }
    }

    #[test]
    fn the_answer_decides_not_the_number() {
        let next = |status, error: &str, code| TokenError::from_body(status, None, &body(error, code)).next();
        assert_eq!(next(401, "invalid_client", 7_000_215), Next::FixCredential);
        assert_eq!(next(400, "invalid_scope", 70011), Next::FixCredential);
        assert_eq!(next(400, "invalid_grant", 70008), Next::Reauthorize);
        assert_eq!(next(400, "unauthorized_client", 50053), Next::Reauthorize);
        assert_eq!(next(400, "access_denied", 53003), Next::FixCredential);
        assert_eq!(next(400, "something_new", 1), Next::Fail);
        assert!(
            matches!(next(503, "invalid_client", 7_000_215), Next::Retry { .. }),
            "a busy server is no verdict"
        );
        assert!(matches!(
            next(400, "invalid_grant", 50196),
            Next::Retry { after: Some(_) }
        ));
        assert!(matches!(
            TokenError::from_status(429, Some(Duration::from_secs(60))).next(),
            Next::Retry { after: Some(_) }
        ));
    }

    #[test]
    fn the_text_is_for_people_and_keeps_the_trace() {
        let error = TokenError::from_body(401, None, &body("invalid_client", 7_000_222));
        assert!(
            error.what.contains("expired") && error.what.contains("AADSTS7000222"),
            "{}",
            error.what
        );
        assert_eq!(error.trace.as_deref(), Some("trace id t, correlation id c"));
        let unknown = TokenError::from_body(400, None, &body("something_new", 123));
        assert!(!unknown.what.contains("Trace ID"), "{}", unknown.what);
    }
}
