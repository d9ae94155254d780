//! Entra's `error` values: they count where a number is not known.
//!
//! Meanings: RFC 6749 sections 4.1.2.1 and 5.2; Microsoft, "OAuth 2.0 authorization code flow", error response.

use super::{Again, Class, Row, Screen, Who};

/// By `error`.
pub(super) const ERRORS: &[Row] = &[
    Row::new(
        Class::App,
        &[],
        &["invalid_client"],
        "Microsoft does not accept the app's secret, certificate or federated token",
    )
    .fix(Screen::Secrets, "compare it with what is registered here"),
    Row::new(
        Class::App,
        &[],
        &["unauthorized_client"],
        "the app may not be used in this tenant",
    )
    .fix(
        Screen::AppProperties,
        "check that it is there and enabled, and that an admin consented",
    )
    .status(400)
    .by(Who::TenantAdmin),
    Row::new(
        Class::Settings,
        &[],
        &["invalid_resource"],
        "what the scope names does not exist in this tenant",
    )
    .fix(Screen::Credential, "check that the scope names the Graph of your cloud"),
    Row::new(Class::Settings, &[], &["invalid_scope"], "the scope is not valid").fix(
        Screen::Credential,
        "client credentials take exactly `https://graph.microsoft.com/.default` (of your cloud)",
    ),
    Row::new(
        Class::Settings,
        &[],
        &["unsupported_grant_type"],
        "the endpoint does not know this grant type",
    )
    .fix(
        Screen::Credential,
        "check that the access token URL ends in `/oauth2/v2.0/token`",
    ),
    Row::new(
        Class::Settings,
        &[],
        &["invalid_request"],
        "Microsoft says that the request cannot work",
    )
    .fix(Screen::Credential, "check the URLs and the scope"),
    Row::new(
        Class::Settings,
        &[],
        &["unsupported_response_type"],
        "the authorization URL asks for something that is no code",
    )
    .fix(Screen::Credential, "take `response_type` out of it"),
    Row::new(
        Class::Settings,
        &[],
        &["access_denied"],
        "the person who signed in, or a policy of the tenant, said no",
    )
    .fix(
        Screen::Key,
        "click the key again and accept; if it stays, ask an admin of the tenant",
    )
    .by(Who::User),
    Row::new(Class::SignIn, &[], &["invalid_grant"], "the sign-in is no longer valid")
        .fix(Screen::Key, "click the key and sign in again"),
    Row::new(
        Class::SignIn,
        &[],
        &["interaction_required"],
        "Microsoft wants to ask the person something: a second factor, a password, a policy",
    )
    .fix(Screen::Key, "click the key and sign in again"),
    Row::new(
        Class::SignIn,
        &[],
        &["consent_required"],
        "nobody has consented to the app's permissions",
    )
    .fix(
        Screen::Permissions,
        "press Grant admin consent; then click the key in Postroom",
    )
    .by(Who::TenantAdmin),
    Row::new(Class::SignIn, &[], &["login_required"], "nobody is signed in")
        .fix(Screen::Key, "click the key and sign in"),
    Row::new(
        Class::Retry,
        &[],
        &["temporarily_unavailable"],
        "Microsoft's login is not available for the moment; it is asked again by itself",
    ),
    Row::new(
        Class::Retry,
        &[],
        &["server_error"],
        "Microsoft's login had trouble; it is asked again by itself",
    ),
];

/// What nobody foresaw.
pub(super) const UNKNOWN: Row = Row::new(
    Class::Refused,
    &[],
    &[],
    "Microsoft refused for a reason that Postroom does not know",
)
.fix(
    Screen::Credential,
    "read Microsoft's own words, and check the credential",
)
.by(Who::AppOwner)
.again(Again::WhenMended);
