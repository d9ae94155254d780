//! What a policy of the tenant asks for beside a token: the claims of a challenge, in words, and fit to be sent back.
//!
//! "Claims challenges, claims requests, and client capabilities"; "How to use Continuous Access Evaluation". Postroom does not
//! say that it understands challenges (`cp1`), so they are rare; where one comes, the same token is never tried again for it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use serde_json::Value;

/// The most bytes of claims that are kept; a challenge of Microsoft's has some hundred.
const MOST: usize = 4 * 1024;

/// Claims that are asked for, as JSON that may be sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge(String);

/// That an answer challenges; with the claims, if they can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked(pub(crate) Option<Challenge>);

impl Challenge {
    /// From the `claims` of an answer; nothing if they are none.
    pub(crate) fn parse(claims: &str) -> Option<Self> {
        let object = claims.len() <= MOST && serde_json::from_str::<Value>(claims).is_ok_and(|json| json.is_object());
        object.then(|| Self(claims.to_owned()))
    }

    /// From `WWW-Authenticate` (RFC 9110 section 11.6.1): `error="insufficient_claims"`, with `claims` in base64.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Asked> {
        let all = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let texts: Vec<&str> = all.filter_map(|value| value.to_str().ok()).collect();
        let asks = |text: &&&str| parameter(text, "error").is_some_and(|error| error == "insufficient_claims");
        let text = texts.iter().find(asks)?;
        let claims = parameter(text, "claims")
            .and_then(|claims| STANDARD.decode(claims).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        Some(Asked(claims.and_then(|claims| Self::parse(&claims))))
    }

    /// The JSON.
    pub(crate) fn claims(&self) -> &str {
        &self.0
    }

    /// Which kind of policy asks, as far as the claims tell.
    pub(crate) fn policy(&self) -> Option<&'static str> {
        let json: Value = serde_json::from_str(&self.0).ok()?;
        let asked = json.get("access_token").or_else(|| json.get("id_token"))?;
        let kinds = [
            ("acrs", "an authentication context asks for a stronger sign-in"),
            ("amr", "the way of signing in (a second factor) is not enough"),
            ("deviceid", "the device must be known to the tenant"),
            (
                "xms_rp_ipaddr",
                "the place (network location) from which Postroom asks is not allowed",
            ),
            ("capolids", "a Conditional Access policy must be met"),
            (
                "nbf",
                "the access was revoked or changed after the sign-in (continuous access evaluation)",
            ),
        ];
        kinds
            .into_iter()
            .find_map(|(claim, words)| asked.get(claim).map(|_| words))
    }
}

/// Which kind of help a `suberror` of Entra's says there is; the policy itself is in the number.
pub(super) fn help(suberror: &str) -> Option<&'static str> {
    Some(match suberror {
        "basic_action" => "a person can meet it by signing in again",
        "additional_action" => {
            "a person can meet it, but not on Microsoft's sign-in pages alone (a device to be enrolled, for example)"
        }
        "message_only" => "no sign-in helps: the policy must be changed, or the app excluded from it",
        "user_password_expired" => "the person must set a new password first",
        "protection_policy_required" => {
            "an app protection policy is asked for, which a server cannot meet: the app must be excluded from it"
        }
        "device_authentication_failed" => "the device could not prove itself",
        _ => return None,
    })
}

/// A parameter of a challenge, quoted or not, whatever stands before it.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let apart = before.is_empty() || before.ends_with([' ', ',', '\t']);
        match after.strip_prefix('=') {
            Some(value) if apart => {
                return Some(match value.strip_prefix('"') {
                    Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                    None => value.split([',', ' ']).next().unwrap_or_default(),
                });
            }
            _ => rest = after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Option<Asked> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(header::WWW_AUTHENTICATE, text.parse().unwrap());
        }
        Challenge::of_headers(&headers)
    }

    #[test]
    fn challenges_are_read_in_any_order_and_nonsense_is_none() {
        let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
        let encoded = STANDARD.encode(claims);
        for text in [
            format!(
                r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="{encoded}""#
            ),
            format!(r#"Bearer claims="{encoded}",error="insufficient_claims",realm="""#),
        ] {
            let challenge = of(&["Negotiate", &text]).unwrap().0.unwrap();
            assert_eq!(challenge.claims(), claims);
            assert!(challenge.policy().is_some_and(|policy| policy.contains("revoked")));
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[r#"Bearer error="invalid_token""#]), None);
        assert_eq!(
            of(&[r#"Bearer error="insufficient_claims", claims="!""#]),
            Some(Asked(None))
        );
        for bad in ["", "[]", "x", "\"a\""] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
        assert_eq!(Challenge::parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(MOST))), None);
    }

    #[test]
    fn each_kind_of_policy_has_words() {
        for claim in ["acrs", "amr", "deviceid", "xms_rp_ipaddr", "capolids", "nbf"] {
            let claims = format!(r#"{{"access_token":{{"{claim}":{{"essential":true}}}}}}"#);
            assert!(Challenge::parse(&claims).unwrap().policy().is_some(), "{claim}");
        }
        let other = r#"{"access_token":{"colour":{}}}"#;
        assert_eq!(Challenge::parse(other).unwrap().policy(), None);
    }
}
