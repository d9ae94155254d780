//! Graph's answers: codes, and the HTTP statuses that count where a code is not known.
//!
//! Meanings: Microsoft Graph "error responses and resource types", "Throttling"; "Limit mailbox access"; practitioners'
//! reports for what Exchange says through Graph.

use super::{Again, Class, Row, Screen, Who};

/// By code.
pub(super) const CODES: &[Row] = &[
Row::new(Class::App, &[], &["InvalidAuthenticationToken"], "Microsoft refuses the access token, and a new one, too").fix(Screen::Key, "click the key (`postroom credential authorize ID`), and check that the scope belongs to this Graph"),
Row::new(Class::SignIn, &[], &["insufficient_claims"], "a Conditional Access policy wants more than the sign-in had (claims challenge)").fix(Screen::SignInLogs, "see which policy it was; click the key, or exclude the app from the policy").status(401).by(Who::TenantAdmin),
Row::new(Class::Forbidden, &[], &["ErrorAccessDenied", "AccessDenied"], "the app has no right on this mailbox").fix(Screen::Permissions, "Mail.ReadWrite (or Mail.Read) of type Application with admin consent; then `postroom credential authorize ID`. If Exchange RBAC limits the app, check that the mailbox is in its scope"),
Row::new(Class::Forbidden, &[], &["Authorization_RequestDenied"], "the token lacks a permission that this call needs").fix(Screen::Permissions, "add Mail.ReadWrite (or Mail.Read), grant admin consent, and click the key, since a token keeps the permissions it was made with"),
Row::new(Class::Gone, &[], &["ErrorItemNotFound"], "the message was moved or deleted"),
Row::new(Class::Gone, &[], &["ErrorSyncFolderNotFound", "ErrorFolderNotFound"], "the folder is not there any more").fix(Screen::Account, "choose another folder").by(Who::AppOwner).again(Again::WhenMended),
Row::new(Class::Mailbox, &[], &["ErrorInvalidUser"], "there is no mailbox of this address in the tenant").fix(Screen::Account, "check the account's mailbox (a distribution list is no mailbox)"),
Row::new(Class::Mailbox, &[], &["ResourceNotFound", "Request_ResourceNotFound"], "there is no such person or mailbox in the tenant").fix(Screen::Account, "check the account's mailbox (a distribution list is no mailbox)"),
Row::new(Class::Mailbox, &[], &["ErrorNonExistentMailbox"], "no mailbox belongs to this address").fix(Screen::Account, "check the account's mailbox"),
Row::new(Class::Mailbox, &[], &["MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI"], "this mailbox is inactive, without a licence, or on premises; only Exchange Online mailboxes can be imported").fix(Screen::Licences, "give it a licence of Exchange Online; a new one needs a quarter of an hour to work").by(Who::TenantAdmin),
Row::new(Class::Retry, &[], &["ErrorMailboxMoveInProgress"], "Microsoft is moving the mailbox to another server; it is tried again by itself"),
Row::new(Class::Retry, &[], &["ErrorMailboxStoreUnavailable"], "the mailbox cannot be reached for the moment; it is tried again by itself"),
Row::new(Class::Refused, &[], &["ErrorInvalidIdMalformed", "ErrorInvalidMailboxItemId"], "the id belongs to no message of this mailbox").by(Who::Nobody),
Row::new(Class::Refused, &[], &["InefficientFilter"], "Microsoft finds the query too complex; Postroom lists the folder in another way"),
Row::new(Class::Refused, &[], &["BadRequest", "invalidRequest"], "Microsoft refuses the request as it stands"),
Row::new(Class::Reset, &[], &["syncStateNotFound", "syncStateInvalid", "resyncRequired", "InvalidSyncStateData"], "Microsoft has forgotten how far this folder was read; it is walked anew, and nothing is imported twice"),
Row::new(Class::Message, &[], &["ErrorMimeContentConversionFailed"], "Exchange cannot make MIME of this message; Postroom builds it from its parts"),
Row::new(Class::Message, &[], &["ErrorCorruptData", "ErrorItemCorrupt", "ErrorInvalidRecipients"], "Exchange cannot read this message").fix(Screen::None, "Open it in Outlook; `postroom owed` lists it, and it can be tried again there").by(Who::AppOwner).again(Again::WhenMended),
Row::new(Class::Retry, &[], &["ErrorInternalServerError", "ErrorInternalServerTransientError"], "Microsoft's service had trouble; it is tried again by itself").status(500),
Row::new(Class::Refused, &[], &["NotImplemented"], "Microsoft does not offer this call in this cloud; a folder is listed instead").status(501),
Row::new(Class::Retry, &[], &["ErrorServerBusy", "serviceNotAvailable"], "Exchange is busy; it is tried again by itself"),
Row::new(Class::Retry, &[], &["UnknownError"], "Microsoft's service did not finish in time; it is tried again by itself, with smaller pages").status(504),
Row::new(Class::Retry, &[], &["ApplicationThrottled"], "the app has asked this mailbox for too much at once; it is tried again after the time Microsoft names").status(429),
Row::new(Class::Retry, &[], &["TooManyRequests", "activityLimitReached"], "the app has asked too often; it is tried again after the time Microsoft names").status(429),
Row::new(Class::Refused, &[], &["ErrorExceededMessageLimit", "ErrorQuotaExceeded"], "the mailbox is full").fix(Screen::Licences, "make room in it, or give it a larger one; import goes on, only moves and marks fail").status(507).by(Who::TenantAdmin).again(Again::WhenMended),
Row::new(Class::Refused, &[], &["ErrorMessageSizeExceeded"], "the message is larger than the mailbox takes").status(413).by(Who::Nobody),
Row::new(Class::Retry, &[], &["ErrorTooManyObjectsOpened"], "Exchange has too many things open for this mailbox; it is tried again by itself").status(500),
Row::new(Class::Retry, &[], &["ErrorIrresolvableConflict"], "somebody else changed the message at the same moment; it is tried again by itself").status(409),
];

/// By status.
pub(super) const STATUSES: &[Row] = &[
Row::new(Class::App, &[], &[], "Microsoft refuses the access token, and a new one, too").fix(Screen::Key, "click the key (`postroom credential authorize ID`), and check that the scope belongs to this Graph"),
Row::new(Class::Forbidden, &[], &[], "the app has no right on this mailbox").fix(Screen::Permissions, "Mail.ReadWrite (or Mail.Read) of type Application with admin consent; then `postroom credential authorize ID`. If Exchange RBAC limits the app, check that the mailbox is in its scope"),
Row::new(Class::Gone, &[], &[], "it is not there (any more)"),
Row::new(Class::Retry, &[], &[], "Microsoft waited too long for the request; it is tried again by itself").status(408),
Row::new(Class::Reset, &[], &[], "Microsoft has forgotten how far this folder was read; it is walked anew, and nothing is imported twice"),
Row::new(Class::Retry, &[], &[], "the app has asked too often; it is tried again after the time Microsoft names").status(429),
Row::new(Class::Retry, &[], &[], "the app has moved too many bytes; it is tried again after the time Microsoft names").status(509),
];

/// A mailbox that an application access policy keeps the app out of.
pub(super) const KEPT_OUT: Row = Row::new(Class::Forbidden, &[], &["ErrorAccessDenied"], "an application access policy of the tenant keeps this app out of this mailbox").fix(Screen::Exchange, "add the mailbox to the policy's group (it takes up to two hours to work); `Test-ApplicationAccessPolicy` tells at once");

/// Trouble of the service that nobody foresaw.
pub(super) const TROUBLE: Row = Row::new(
    Class::Retry,
    &[],
    &[],
    "Microsoft's service had trouble; it is tried again by itself",
)
.status(500);

/// What nobody foresaw.
pub(super) const UNKNOWN: Row = Row::new(Class::Refused, &[], &[], "Microsoft refused the request");
