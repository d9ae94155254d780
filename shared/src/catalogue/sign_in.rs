//! Entra's numbers about the person who signs in, the tenant's policies, and trouble that heals.
//!
//! Meanings: "Microsoft Entra authentication and authorization error codes".

use super::{Again, Class, Row, Screen, Who};

/// By number. The `error` beside them is the usual one; the answer's own decides.
pub(super) const NUMBERS: &[Row] = &[
Row::new(Class::SignIn, &[500_133], &["invalid_grant"], "an assertion is outside its time window").fix(Screen::None, "Set the clock of this machine by a time server").by(Who::AppOwner),
Row::new(Class::SignIn, &[50013], &["invalid_grant"], "an assertion is not valid").fix(Screen::Key, "click the key; if it stays, check the clock of this machine").by(Who::AppOwner),
Row::new(Class::SignIn, &[65001], &["invalid_grant"], "nobody has consented to the app's permissions").fix(Screen::Permissions, "press Grant admin consent; then click the key in Postroom").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[50034], &["invalid_grant"], "the person is not known in this tenant").fix(Screen::Key, "sign in with an account of the tenant in the authorization URL"),
Row::new(Class::SignIn, &[50053], &["invalid_grant"], "the person's account is locked after too many wrong passwords, or their address is blocked").fix(Screen::User, "wait, or let an admin unlock the account"),
Row::new(Class::SignIn, &[50055], &["invalid_grant"], "the person's password has expired").fix(Screen::Key, "set a new password, then click the key"),
Row::new(Class::SignIn, &[50057], &["invalid_grant"], "the person's account is disabled").fix(Screen::User, "enable the account, or let another person sign in").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[50058], &["login_required"], "nobody is signed in to this browser").fix(Screen::Key, "click the key; if the authorization URL says `prompt=none`, take that away"),
Row::new(Class::SignIn, &[50072, 50079], &["interaction_required"], "the person must set up a second factor").fix(Screen::Key, "click the key and follow Microsoft's pages"),
Row::new(Class::SignIn, &[50074, 50076], &["interaction_required"], "a second factor is needed, which the sign-in did not have").fix(Screen::Key, "click the key and sign in with it; for an import that nobody attends, prefer client credentials"),
Row::new(Class::SignIn, &[50078], &["interaction_required"], "the second factor has expired by a policy of the tenant").fix(Screen::Key, "click the key; an admin may exclude the app from the policy"),
Row::new(Class::SignIn, &[50089], &["invalid_grant"], "the sign-in took too long").fix(Screen::Key, "click the key again"),
Row::new(Class::SignIn, &[50126], &["invalid_grant"], "user name or password is wrong").fix(Screen::Key, "click the key and sign in again"),
Row::new(Class::SignIn, &[50131], &["interaction_required"], "a Conditional Access policy refused the device, the place or the risk").fix(Screen::SignInLogs, "see which policy it was, and exclude the person or app from it, or prefer client credentials").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[50158], &["interaction_required"], "a check outside Microsoft, which a policy asks for, was not passed").fix(Screen::Key, "click the key and pass it"),
Row::new(Class::SignIn, &[50173], &["invalid_grant"], "the sign-in was revoked: the password was reset, or an admin ended all sessions").fix(Screen::Key, "click the key and sign in again; what came in meanwhile is imported then"),
Row::new(Class::SignIn, &[70000], &["invalid_grant"], "the sign-in is no longer valid").fix(Screen::Key, "click the key and sign in again"),
Row::new(Class::SignIn, &[70008, 700_082], &["invalid_grant"], "the sign-in has ended because it was not used for 90 days").fix(Screen::Key, "click the key and sign in again; `postroom serve` keeps sign-ins alive"),
Row::new(Class::SignIn, &[700_081], &["invalid_grant"], "the sign-in has reached its longest life").fix(Screen::Key, "click the key and sign in again"),
Row::new(Class::SignIn, &[700_084], &["invalid_grant"], "the sign-in of a single-page app ends after a day").fix(Screen::Authentication, "register the redirect URI under Web instead; then click the key").by(Who::AppOwner),
Row::new(Class::SignIn, &[70043, 70044], &["invalid_grant"], "a policy of the tenant limits how long a sign-in lasts (sign-in frequency)").fix(Screen::ConditionalAccess, "exclude the app or the person from it, or prefer client credentials, which it does not touch; until then, click the key each time").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[53000], &["interaction_required"], "a Conditional Access policy asks for a device that complies").fix(Screen::SignInLogs, "exclude the app or person from the policy, or prefer client credentials").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[53001], &["interaction_required"], "a Conditional Access policy asks for a device that is joined to the domain").fix(Screen::SignInLogs, "exclude the app or person from the policy, or prefer client credentials").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[53002], &["interaction_required"], "a Conditional Access policy asks for an approved app").fix(Screen::SignInLogs, "exclude the app or person from the policy, or prefer client credentials").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[53003], &["interaction_required"], "a Conditional Access policy of the tenant blocks access").fix(Screen::SignInLogs, "see which policy it was, and exclude the app or person, or allow the address Postroom comes from").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[53004], &["interaction_required"], "the person must prove who they are before a second factor may be set up").fix(Screen::Key, "sign in to a Microsoft page with that account first, then click the key"),
Row::new(Class::SignIn, &[530_032, 530_034, 530_035], &["interaction_required"], "a security policy of the tenant, or its security defaults, blocks access").fix(Screen::ConditionalAccess, "allow the app there").by(Who::TenantAdmin),
Row::new(Class::SignIn, &[54005], &["invalid_grant"], "the code was used before").fix(Screen::Key, "click the key again").again(Again::Never),
Row::new(Class::SignIn, &[501_481, 501_471, 50148, 50147], &["invalid_grant"], "the code belongs to another sign-in (PKCE)").fix(Screen::Key, "click the key again").again(Again::Never),
Row::new(Class::SignIn, &[700_005], &["invalid_grant"], "the authorization URL and the access token URL name different tenants").fix(Screen::Credential, "let both name the same one; then click the key").by(Who::AppOwner),
Row::new(Class::SignIn, &[9_002_341], &["invalid_grant"], "the person must allow the sign-in on this device").fix(Screen::Key, "click the key and accept"),
Row::new(Class::Retry, &[50196], &["invalid_grant"], "Microsoft saw too many requests for tokens in a row; it is asked again later, and the sign-in is not lost").status(400).again(Again::InFiveMinutes),
Row::new(Class::Retry, &[90055], &["temporarily_unavailable"], "Microsoft has too many requests for this tenant; it is asked again later").status(400).again(Again::InFiveMinutes),
Row::new(Class::Retry, &[50033, 50087], &["server_error"], "Microsoft's login had trouble that passes; it is asked again later").status(400).again(Again::InFiveMinutes),
Row::new(Class::Retry, &[90006, 90012, 90024, 90033, 90090], &["temporarily_unavailable"], "Microsoft's login is not available for the moment; it is asked again later").status(400).again(Again::InFiveMinutes),
Row::new(Class::SignIn, &[80001, 80002, 80005, 80014], &["invalid_grant"], "the tenant's own sign-in server (pass-through authentication) could not be reached or did not answer well").fix(Screen::User, "check the agents of pass-through authentication; then click the key").by(Who::TenantAdmin),
Row::new(Class::Retry, &[90036, 90092], &["server_error"], "Microsoft's login failed and does not say why").fix(Screen::ServiceHealth, "look whether Microsoft reports trouble; Postroom asks again").by(Who::Microsoft),
];
