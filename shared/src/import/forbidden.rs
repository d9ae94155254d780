//! The causes of a 403: a permission that is missing, a consent that is missing, or Exchange that keeps the app or person out.
//!
//! Graph answers all with the same code. The token tells: what it carries was consented to, so that a refusal in spite of it
//! comes from Exchange; what it lacks is missing in the registration, or nobody consented to it.

use crate::{
    account::{Account, AfterImport},
    credential::GrantType,
    graph::{GraphError, GraphErrorKind},
    ports::TokenInfo,
    records::credentials::CredentialRow,
};

use super::check::is_own;

/// Which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The token lacks the permission: it is not in the scope, or not among the app's permissions.
    Scope,
    /// The token carries no permission at all: nobody consented, or Exchange was to grant it and does not.
    Consent,
    /// Exchange: an application access policy keeps the app out.
    Policy,
    /// Exchange: RBAC for Applications does not cover the mailbox, or the person has no access to it.
    Exchange {
        /// A person who signed in, and not the app.
        person: bool,
    },
}

impl Cause {
    /// For an admin.
    pub fn words(self) -> &'static str {
        match self {
            Self::Scope => "access denied, and the token lacks the permission that is needed",
            Self::Consent => "access denied, and the token carries no permission: nobody has consented to any",
            Self::Policy => {
                "access denied by an application access policy of the tenant: the app is kept out of this mailbox"
            }
            Self::Exchange { person: false } => {
                "access denied though the token carries the permission: Exchange keeps the app out of this mailbox"
            }
            Self::Exchange { person: true } => {
                "access denied though the permission was granted: the person has no access to this mailbox in Exchange"
            }
        }
    }

    /// Who does what.
    pub fn fix(self, account: &Account, row: &CredentialRow) -> String {
        let id = &row.credential.id;
        let delegated = row.credential.grant_type == GrantType::AuthorizationCode;
        let kind = if delegated { "delegated" } else { "Application" };
        let mut needed = if account.after_import == AfterImport::Nothing {
            "Mail.Read"
        } else {
            "Mail.ReadWrite"
        }
        .to_owned();
        if delegated && row.sign_in.as_ref().is_some_and(|sign_in| !is_own(account, sign_in)) {
            needed.push_str(".Shared");
        }
        let mailbox = account.mailbox.as_str();
        match self {
            Self::Scope if delegated => format!(
                "add `{needed}` to the scope of credential `{id}` and to the app's API permissions ({kind}); then click the key"
            ),
            Self::Scope => format!(
                "an admin of the tenant: Azure portal, App registrations, your app, API permissions: add {needed} ({kind}), Grant admin consent; then `postroom credential authorize {id}`"
            ),
            Self::Consent => format!(
                "an admin of the tenant: Azure portal, App registrations, your app, API permissions: {needed} ({kind}), Grant admin consent; then `postroom credential authorize {id}`. If Exchange RBAC grants it: `Test-ServicePrincipalAuthorization -Identity {} -Resource {mailbox}` must say InScope; a change needs up to two hours",
                row.credential.client_id
            ),
            Self::Policy => format!(
                "an Exchange admin adds {mailbox} to the group of the policy; `Test-ApplicationAccessPolicy -AppId {} -Identity {mailbox}` tells at once, Graph after up to two hours",
                row.credential.client_id
            ),
            Self::Exchange { person: false } => format!(
                "an Exchange admin looks with `Test-ServicePrincipalAuthorization -Identity {0} -Resource {mailbox}` and `Get-ApplicationAccessPolicy`; a change needs up to two hours. A token got before a permission was granted lacks it, too: `postroom credential authorize {id}`",
                row.credential.client_id
            ),
            Self::Exchange { person: true } => format!(
                "an Exchange admin gives the person Full Access: `Add-MailboxPermission -Identity {mailbox} -User PERSON -AccessRights FullAccess`; it needs up to an hour"
            ),
        }
    }
}

/// Which cause; `None` if the error is no 403.
pub fn cause(error: &GraphError, account: &Account, row: &CredentialRow, info: &TokenInfo) -> Option<Cause> {
    if !matches!(error.kind, GraphErrorKind::Forbidden) {
        return None;
    }
    if error.kept_out {
        return Some(Cause::Policy);
    }
    let person = row.credential.grant_type == GrantType::AuthorizationCode;
    let carried = if person { &info.scopes } else { &info.roles };
    let mail = |scope: &&String| {
        scope
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
            .starts_with("mail.")
    };
    if carried.iter().filter(mail).count() == 0 {
        return Some(if carried.is_empty() && !person {
            Cause::Consent
        } else {
            Cause::Scope
        });
    }
    let writes = account.after_import != AfterImport::Nothing;
    let shared = person && row.sign_in.as_ref().is_some_and(|sign_in| !is_own(account, sign_in));
    let enough = carried.iter().filter(mail).any(|scope| {
        let scope = scope.to_ascii_lowercase();
        (!writes || scope.contains("readwrite"))
            && (!shared || scope.ends_with(".shared"))
            && !scope.contains("readbasic")
    });
    Some(if enough {
        Cause::Exchange { person }
    } else {
        Cause::Scope
    })
}
