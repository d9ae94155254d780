//! What Graph's answers mean. Branches on status and code (case does not count), never on the text.
//!
//! Sources: Microsoft Graph "error responses and resource types", "Throttling", "delta query overview"; what is only
//! reported by practitioners is marked so where it is used.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    catalogue,
    error::Next,
    message::cut,
    oauth::{Challenge, TokenError},
    ports::HttpError,
    time::between,
};

/// The kinds of failure.
#[derive(Debug)]
pub enum GraphErrorKind {
    /// Microsoft wants a longer wait than this run has patience for.
    Throttled {
        /// Not before this instant.
        until: Timestamp,
    },
    /// Not to be had now, after all tries: 5xx, the network, answers that are none.
    Unavailable,
    /// There is no access token.
    Token(Box<TokenError>),
    /// The access token is refused, and a new one, too.
    Unauthorized,
    /// A policy of the tenant wants more than the token shows (claims challenge): the same sign-in brings no other token.
    Challenged {
        /// Somebody signed in and can do so again; else the app itself is meant.
        person: bool,
    },
    /// A right is missing.
    Forbidden,
    /// There is no Exchange Online mailbox of that name.
    NoMailbox,
    /// What was asked for is not there.
    NotFound,
    /// The delta state is gone: walk the folder anew.
    Reset,
    /// This one item cannot be read.
    Corrupt,
    /// Exchange cannot make MIME of this item.
    NoMime,
    /// A link leads elsewhere; nothing was sent there.
    Foreign,
    /// Graph's host is, or leads to, what no request may go to; nothing was sent.
    Closed,
    /// Refused for good.
    Refused,
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct GraphError {
    /// The kind.
    pub kind: GraphErrorKind,
    /// What happened, for an admin.
    pub what: String,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Graph's code, if there was one.
    pub code: Option<String>,
    /// Microsoft's `request-id`.
    pub request_id: Option<String>,
    /// A 403 whose text says that an application access policy was the reason; its code is that of any other 403.
    pub kept_out: bool,
}

/// The error envelope, as far as it is read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) error: Option<EnvelopeError>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct EnvelopeError {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

/// What an answer that is no success means for the retry place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wait, then send it again: throttled.
    Wait(Option<Duration>),
    /// Send it again: trouble that passes.
    Again(Option<Duration>),
    /// The access token is refused.
    Token,
    /// It stays so.
    Final,
}

impl GraphError {
    /// What next, seen from a run.
    pub fn next(&self, now: Timestamp) -> Next {
        match &self.kind {
            GraphErrorKind::Throttled { until } => Next::Retry {
                after: Some(between(now, *until)),
            },
            GraphErrorKind::Unavailable => Next::Retry { after: None },
            GraphErrorKind::Token(error) => error.next(),
            GraphErrorKind::Challenged { person: true } => Next::Reauthorize,
            GraphErrorKind::Challenged { person: false }
            | GraphErrorKind::Unauthorized
            | GraphErrorKind::Forbidden
            | GraphErrorKind::Closed => Next::FixCredential,
            GraphErrorKind::NoMailbox | GraphErrorKind::NotFound => Next::FixAccount,
            GraphErrorKind::Reset => Next::ResetCursor,
            GraphErrorKind::Corrupt | GraphErrorKind::NoMime => Next::Quarantine,
            GraphErrorKind::Foreign | GraphErrorKind::Refused => Next::Fail,
        }
    }

    pub(super) fn new(kind: GraphErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            status: None,
            code: None,
            request_id: None,
            kept_out: false,
        }
    }

    /// Whether the whole mailbox or app is concerned, not this one item.
    pub fn stops_the_run(&self) -> bool {
        matches!(
            self.kind,
            GraphErrorKind::Throttled { .. }
                | GraphErrorKind::Token(_)
                | GraphErrorKind::Unauthorized
                | GraphErrorKind::Forbidden
                | GraphErrorKind::NoMailbox
                | GraphErrorKind::Closed
                | GraphErrorKind::Challenged { .. }
        )
    }
}

impl From<TokenError> for GraphError {
    fn from(error: TokenError) -> Self {
        let what = error.what.clone();
        Self::new(GraphErrorKind::Token(Box::new(error)), what)
    }
}

impl From<&HttpError> for GraphError {
    fn from(error: &HttpError) -> Self {
        let kind = match error {
            HttpError::Closed { .. } => GraphErrorKind::Closed,
            _ => GraphErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): whole seconds, and as Graph does it a decimal fraction; or a date. Nothing
/// if it is absent, negative or nonsense.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after_text(headers.get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

/// The same from the text of the header.
pub(super) fn retry_after_text(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date = Timestamp::try_from(date).ok()?;
    Some(between(now, date))
}

/// Decides by status and code.
pub(super) fn verdict(status: u16, code: &str, empty: bool, after: Option<Duration>) -> Verdict {
    match status {
        429 | 509 => Verdict::Wait(after),
        401 => Verdict::Token,
        // Empty 404s were seen for messages that do exist (practitioners' reports); a real one has a code.
        404 if empty => Verdict::Again(None),
        500 if is_item_trouble(code) => Verdict::Final,
        // Somebody else changed the message at the same moment: nothing was done.
        409 if any(code, &["ErrorIrresolvableConflict"]) => Verdict::Again(after),
        503 if after.is_some() => Verdict::Wait(after),
        408 | 500 | 502 | 503 | 504 => Verdict::Again(after),
        _ => Verdict::Final,
    }
}

fn any(code: &str, codes: &[&str]) -> bool {
    codes.iter().any(|known| known.eq_ignore_ascii_case(code))
}

fn is_item_trouble(code: &str) -> bool {
    any(
        code,
        &[
            "ErrorMimeContentConversionFailed",
            "ErrorCorruptData",
            "ErrorItemCorrupt",
            "ErrorInvalidRecipients",
        ],
    )
}

/// Whether the answer says that the delta state is gone. Practitioners saw the codes in both cases and with 400, 404
/// and 410.
pub(super) fn is_reset(status: u16, code: &str) -> bool {
    status == 410
        || any(
            code,
            &[
                "syncStateNotFound",
                "syncStateInvalid",
                "resyncRequired",
                "InvalidSyncStateData",
            ],
        )
}

/// The final meaning of an answer.
pub(super) fn final_kind(status: u16, code: &str) -> GraphErrorKind {
    if is_reset(status, code) {
        return GraphErrorKind::Reset;
    }
    if any(code, &["ErrorMimeContentConversionFailed"]) {
        return GraphErrorKind::NoMime;
    }
    if is_item_trouble(code) {
        return GraphErrorKind::Corrupt;
    }
    if any(
        code,
        &[
            "ErrorInvalidUser",
            "ResourceNotFound",
            "Request_ResourceNotFound",
            "MailboxNotEnabledForRESTAPI",
            "MailboxNotSupportedForRESTAPI",
            "ErrorNonExistentMailbox",
        ],
    ) {
        return GraphErrorKind::NoMailbox;
    }
    match status {
        401 => GraphErrorKind::Unauthorized,
        403 => GraphErrorKind::Forbidden,
        404 => GraphErrorKind::NotFound,
        409 if any(code, &["ErrorIrresolvableConflict"]) => GraphErrorKind::Unavailable,
        408 | 429 | 500..=599 => GraphErrorKind::Unavailable,
        _ => GraphErrorKind::Refused,
    }
}

/// Whether an application access policy was the reason (practitioners' reports): only the text tells.
pub(super) fn is_kept_out(status: u16, code: &str, message: &str) -> bool {
    matches!(final_kind(status, code), GraphErrorKind::Forbidden)
        && (message.contains("[RAOP]") || message.contains("OData is disabled"))
}

/// The kind of policy that wants more, in words, as far as the answer says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy(pub(super) Option<&'static str>);

/// Whether the answer wants more of a policy.
pub(super) fn challenge(status: u16, headers: &HeaderMap, code: &str) -> Option<Policy> {
    match (status, Challenge::of_headers(headers)) {
        (401 | 403, Some(asked)) => Some(Policy(asked.0.and_then(|asked| asked.policy()))),
        (401 | 403, None) if any(code, &["insufficient_claims", "insufficientClaims"]) => Some(Policy(None)),
        _ => None,
    }
}

/// The sentence for an admin about a challenge.
pub(super) fn challenged(call: &str, status: u16, policy: Option<&str>, person: bool) -> String {
    let advice = catalogue::of_graph(status, "insufficient_claims").sentence();
    let policy = policy.map_or_else(String::new, |policy| format!(". Microsoft says: {policy}"));
    let app = if person {
        ""
    } else {
        ". No person signs in here: the policy is one for workload identities"
    };
    format!("{call}: {advice}{policy}{app} (HTTP {status}, insufficient_claims)")
}

/// The sentence for an admin: what, why, where to mend it.
pub(super) fn sentence(call: &str, status: u16, code: &str, message: &str) -> String {
    let row = if is_kept_out(status, code, message) {
        catalogue::kept_out()
    } else {
        catalogue::of_graph(status, code)
    };
    let advice = row.sentence();
    let said = cut(message.lines().next().unwrap_or_default(), 200);
    let code = if code.is_empty() {
        String::new()
    } else {
        format!(", {code}")
    };
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    format!("{call}: {advice} (HTTP {status}{code}{said})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, Timestamp::from_second(784_111_777).unwrap())
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("2.128"), Some(Duration::from_secs_f64(2.128)));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("1000000000"), Some(Duration::from_secs(1_000_000_000)));
        for nonsense in ["-5", "soon", "", "NaN", "inf", "1e300"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn status_and_code_decide() {
        assert_eq!(verdict(429, "", true, None), Verdict::Wait(None));
        assert_eq!(verdict(404, "", true, None), Verdict::Again(None));
        assert_eq!(verdict(404, "ErrorItemNotFound", false, None), Verdict::Final);
        assert_eq!(verdict(500, "ErrorCorruptData", false, None), Verdict::Final);
        assert_eq!(verdict(500, "", true, None), Verdict::Again(None));
        for (status, code) in [
            (410, ""),
            (400, "SYNCSTATENOTFOUND"),
            (404, "ResyncRequired"),
            (400, "syncStateInvalid"),
        ] {
            assert!(
                matches!(final_kind(status, code), GraphErrorKind::Reset),
                "{status} {code}"
            );
        }
        assert!(matches!(
            final_kind(404, "MailboxNotEnabledForRESTAPI"),
            GraphErrorKind::NoMailbox
        ));
        assert!(matches!(final_kind(404, "ErrorItemNotFound"), GraphErrorKind::NotFound));
        assert!(matches!(
            final_kind(400, "ErrorInvalidIdMalformed"),
            GraphErrorKind::Refused
        ));
    }

    /// What the catalogue says Postroom does is what it does.
    #[test]
    fn rows_of_the_catalogue_agree_with_the_meaning() {
        use crate::catalogue::{self, Class};
        for row in catalogue::graph_codes() {
            for code in row.codes {
                let kind = final_kind(row.status, code);
                let fits = match row.class {
                    Class::Retry => {
                        matches!(kind, GraphErrorKind::Unavailable)
                            || !matches!(verdict(row.status, code, false, None), Verdict::Final)
                    }
                    Class::App => matches!(kind, GraphErrorKind::Unauthorized),
                    Class::SignIn => matches!(kind, GraphErrorKind::Unauthorized | GraphErrorKind::Forbidden),
                    Class::Forbidden => matches!(kind, GraphErrorKind::Forbidden),
                    Class::Mailbox => matches!(kind, GraphErrorKind::NoMailbox),
                    Class::Gone => matches!(kind, GraphErrorKind::NotFound),
                    Class::Reset => matches!(kind, GraphErrorKind::Reset),
                    Class::Message => matches!(kind, GraphErrorKind::Corrupt | GraphErrorKind::NoMime),
                    Class::Settings => false,
                    Class::Refused => matches!(kind, GraphErrorKind::Refused | GraphErrorKind::Unavailable),
                };
                assert!(fits, "{code}: {kind:?}, {:?}", row.class);
            }
        }
    }
}
