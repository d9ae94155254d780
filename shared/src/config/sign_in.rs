//! The settings of the sign-in to the console: who says who somebody is, and who of those may do what.

use url::{Host, Url};

use crate::{
    origin::{Origin, TrustedOrigins},
    records::api_keys::Scope,
};

use super::ConfigError;

const ISSUER: &str = "POSTROOM_SIGN_IN_ISSUER";
const CLIENT_ID: &str = "POSTROOM_SIGN_IN_CLIENT_ID";
/// Claims that tell names and addresses (OpenID Connect Core section 5.1, Entra ID's optional claims): no proof of what somebody may do.
const CHOSEN: [&str; 9] = [
    "email",
    "preferred_username",
    "upn",
    "unique_name",
    "name",
    "nickname",
    "given_name",
    "family_name",
    "phone_number",
];
const CLAIM: &str = "POSTROOM_SIGN_IN_CLAIM";
const OPERATORS: &str = "POSTROOM_SIGN_IN_OPERATORS";
const VIEWERS: &str = "POSTROOM_SIGN_IN_VIEWERS";
const FIRST_ADMIN: &str = "POSTROOM_SIGN_IN_FIRST_ADMIN";

/// Names of Entra ID that stand for every tenant: whoever administers one of those could make themselves an operator here.
const MANY_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

/// Where people sign in to the console, and what their claims come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInSettings {
    /// The issuer of id tokens, exactly as its discovery document names it.
    pub issuer: String,
    /// The app that is registered there for the console.
    pub client_id: String,
    /// The claim that says what somebody may do, such as `roles` or `groups`.
    pub claim: String,
    /// Values of the claim that make an operator.
    pub operators: Vec<String>,
    /// Values of the claim that make a viewer.
    pub viewers: Vec<String>,
    /// One person who is an operator whatever the claim says: `oid` at Entra ID, `sub` at other issuers. Both are given by
    /// the issuer alone and never reused; an address is neither: people can change it, and issuers do not always verify it.
    pub first_admin: Option<String>,
}

impl SignInSettings {
    /// Reads them. `None` if no issuer is set; an error names the setting that cannot be used.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
        trusted: &TrustedOrigins,
    ) -> Result<Option<Self>, ConfigError> {
        let text = |name: &'static str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let list = |name: &'static str, usual: &str| -> Vec<String> {
            let all = text(name).unwrap_or_else(|| usual.to_owned());
            let each = all.split(',').map(str::trim).filter(|one| !one.is_empty());
            each.map(str::to_owned).collect()
        };
        let Some(issuer) = text(ISSUER) else {
            if text(CLIENT_ID).is_some() {
                return Err(wrong(ISSUER, "it is missing, though a client id is set"));
            }
            return Ok(None);
        };
        check_issuer(&issuer, trusted).map_err(|reason| wrong(ISSUER, reason))?;
        let client_id = text(CLIENT_ID).ok_or_else(|| {
            wrong(
                CLIENT_ID,
                "it is missing; give the client id of the app registered for the console",
            )
        })?;
        let settings = Self {
            issuer,
            client_id,
            claim: text(CLAIM).unwrap_or_else(|| "roles".to_owned()),
            operators: list(OPERATORS, "Postroom.Operator"),
            viewers: list(VIEWERS, "Postroom.Viewer"),
            first_admin: text(FIRST_ADMIN),
        };
        if settings.first_admin.as_ref().is_some_and(|who| who.contains('@')) {
            let reason = "it is an address, and addresses can change hands; give the person's object id (Entra ID: Users, the person, Object ID) or, at another issuer, the subject (`sub`)";
            return Err(wrong(FIRST_ADMIN, reason));
        }
        if let Some(claim) = CHOSEN.into_iter().find(|one| settings.claim.eq_ignore_ascii_case(one)) {
            let reason = format!(
                "`{claim}` says how somebody is called, and at many issuers people choose that themselves; give a claim that the issuer's admin fills, such as `roles` or `groups`"
            );
            return Err(wrong(CLAIM, reason));
        }
        if settings.operators.iter().any(|one| settings.viewers.contains(one)) {
            return Err(wrong(
                VIEWERS,
                "a value in it makes an operator, too; take it out of one of the two",
            ));
        }
        Ok(Some(settings))
    }

    /// What these claims allow; `None`: nothing. `values` is what the claim holds.
    pub fn scope_of(&self, subject: &str, values: &[String]) -> Option<Scope> {
        let any = |wanted: &[String]| wanted.iter().any(|one| values.contains(one));
        if self.first_admin.as_deref() == Some(subject) || any(&self.operators) {
            return Some(Scope::Operator);
        }
        any(&self.viewers).then_some(Scope::Viewer)
    }

    /// A digest of all of them: a session that was begun under others is over.
    pub fn digest(&self) -> String {
        crate::oauth::sha256_hex(&format!("{self:?}"))
    }
}

fn wrong(name: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError {
        name,
        reason: reason.into(),
    }
}

fn check_issuer(issuer: &str, trusted: &TrustedOrigins) -> Result<(), String> {
    const EXAMPLE: &str = "give for example https://login.microsoftonline.com/TENANT-ID/v2.0";
    let url = Url::parse(issuer).map_err(|_| format!("`{}` is no URL; {EXAMPLE}", issuer.escape_debug()))?;
    if issuer.contains('{')
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(format!(
            "it has a placeholder, a query, a fragment or a user name; {EXAMPLE}"
        ));
    }
    let named = matches!(url.host(), Some(Host::Domain(_))) && url.scheme() == "https";
    if !named && trusted.check(&url).is_err() {
        return Err(format!("it is not https and a host name; {EXAMPLE}"));
    }
    let first = url.path_segments().and_then(|mut all| all.next()).unwrap_or_default();
    if MANY_TENANTS.iter().any(|name| name.eq_ignore_ascii_case(first)) {
        return Err(format!(
            "`{first}` stands for many tenants, whose administrators could all make themselves operators here; name one tenant by its id"
        ));
    }
    Ok(())
}

/// Whether a URL that an issuer's discovery document names may be used: https and a host name, or the issuer's own origin.
pub(crate) fn may_be_named(url: &Url, issuer: &Url) -> bool {
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let own = Origin::of(url).is_some() && Origin::of(url) == Origin::of(issuer);
    plain && (own || (url.scheme() == "https" && matches!(url.host(), Some(Host::Domain(_)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "https://login.microsoftonline.com/3e2d1c0b-0000-4000-8000-000000000001/v2.0";

    fn read(pairs: &[(&str, &str)]) -> Result<Option<SignInSettings>, ConfigError> {
        let lookup = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        SignInSettings::from_lookup(lookup, &TrustedOrigins::default())
    }

    #[test]
    fn nothing_set_is_no_sign_in_and_half_is_an_error() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(ISSUER, TENANT)]).unwrap_err().name, CLIENT_ID);
        assert_eq!(read(&[(CLIENT_ID, "c")]).unwrap_err().name, ISSUER);
        let settings = read(&[(ISSUER, TENANT), (CLIENT_ID, "c")]).unwrap().unwrap();
        assert_eq!((settings.claim.as_str(), settings.first_admin), ("roles", None));
    }

    #[test]
    fn issuers_of_many_tenants_and_of_plain_http_are_refused() {
        for bad in [
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/Organizations/v2.0",
            "http://issuer.example",
            "https://127.0.0.1/",
            "https://a:b@issuer.example",
            "https://issuer.example/?x",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "issuer.example",
        ] {
            assert_eq!(
                read(&[(ISSUER, bad), (CLIENT_ID, "c")]).unwrap_err().name,
                ISSUER,
                "{bad}"
            );
        }
    }

    #[test]
    fn what_people_can_choose_themselves_makes_nobody_an_operator() {
        for claim in ["email", "preferred_username", "UPN", "name"] {
            let wrong = read(&[(ISSUER, TENANT), (CLIENT_ID, "c"), (CLAIM, claim)]).unwrap_err();
            assert_eq!(wrong.name, CLAIM, "{claim}");
        }
        assert!(read(&[(ISSUER, TENANT), (CLIENT_ID, "c"), (CLAIM, "groups")]).is_ok());
    }

    #[test]
    fn an_address_is_no_first_admin_and_no_value_means_both() {
        let with = |name, value| read(&[(ISSUER, TENANT), (CLIENT_ID, "c"), (name, value)]);
        assert_eq!(with(FIRST_ADMIN, "ada@contoso.example").unwrap_err().name, FIRST_ADMIN);
        assert_eq!(with(VIEWERS, "a, Postroom.Operator").unwrap_err().name, VIEWERS);
    }

    #[test]
    fn only_whole_values_count_and_the_first_admin_needs_none() {
        let pairs = [
            (ISSUER, TENANT),
            (CLIENT_ID, "c"),
            (OPERATORS, "ops, leads"),
            (VIEWERS, "readers"),
            (FIRST_ADMIN, "oid-1"),
        ];
        let settings = read(&pairs).unwrap().unwrap();
        let scope = |who, values: &[&str]| {
            let values: Vec<String> = values.iter().map(|one| (*one).to_owned()).collect();
            settings.scope_of(who, &values)
        };
        assert_eq!(scope("x", &["leads"]), Some(Scope::Operator));
        assert_eq!(scope("x", &["readers"]), Some(Scope::Viewer));
        assert_eq!(scope("x", &["readers", "ops"]), Some(Scope::Operator));
        assert_eq!(scope("oid-1", &[]), Some(Scope::Operator));
        for none in [&[][..], &["OPS"], &["ops, leads"], &["op"], &[""]] {
            assert_eq!(scope("x", none), None, "{none:?}");
        }
    }
}
