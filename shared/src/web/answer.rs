//! What a login host's answer to a browser says (RFC 6749 section 4.1.2), read before any of it is believed.

use crate::secret::Secret;

/// The most parameters of an answer (O-22).
const MOST_PARAMETERS: usize = 100;
/// Parameters that may come once only.
const SINGLE: [&str; 6] = ["state", "code", "error", "iss", "error_description", "admin_consent"];

/// An answer in good shape.
pub(super) struct Answer {
    pub(super) state: String,
    pub(super) code: Option<Secret>,
    pub(super) error: Option<String>,
    pub(super) description: String,
    pub(super) issuer: Option<String>,
    pub(super) consented: bool,
}

impl Answer {
    /// Reads a query; `None` if it is none of ours: without a `state` of ours, with a parameter twice, with too many.
    pub(super) fn read(query: &str) -> Option<Self> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .take(MOST_PARAMETERS + 1)
            .collect();
        let twice = |name: &str| pairs.iter().filter(|(one, _)| one == name).count() > 1;
        if pairs.len() > MOST_PARAMETERS || SINGLE.into_iter().any(twice) {
            return None;
        }
        let one = |name: &str| {
            let found = pairs.iter().find(|(one, _)| one == name);
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let state = one("state")?;
        let ours = state.len() == 43
            && state
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ours.then(|| Self {
            state,
            code: one("code").map(Secret::new),
            error: one("error"),
            description: one("error_description").unwrap_or_default(),
            issuer: one("iss"),
            consented: one("admin_consent").is_some_and(|said| said.eq_ignore_ascii_case("true")),
        })
    }
}
