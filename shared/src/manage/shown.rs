//! Accounts and credentials as JSON: the same for the command line's `--json` and the API. No secret is in them.

use serde_json::{Value, json};

use crate::{
    account::show_interval,
    reach::scoping,
    records::{accounts::AccountRow, credentials::CredentialRow},
};

/// An account, for scripts and the API.
pub fn account(row: &AccountRow) -> Value {
    let account = &row.account;
    json!({
        "id": account.id,
        "description": account.description,
        "mailbox": account.mailbox,
        "credential": account.credential,
        "folders": account.folders,
        "subfolders": account.subfolders,
        "start": account.start,
        "start_at": row.start_at.or_else(|| account.start.instant()).flatten(),
        "after_import": account.after_import,
        "every": show_interval(account.every),
        "max_message": account.max_message,
        "enabled": account.enabled,
        "created_at": row.created_at,
        "state": row.last_run.as_ref().map(|run| run.state),
        "last_run": row.last_run,
        "last_success": row.last_success,
        "recorded": row.recorded,
        "owed": row.owed,
        "quarantined": row.quarantined,
        "actions": row.actions,
        "undelivered": row.unsent(),
        "more": row.more,
        "paused_until": row.paused_until,
        "progress": row.folders.values().map(|folder| json!({
            "folder": folder.name,
            "walk": folder.walk,
            "walked_at": folder.walked_at,
            "before_start": folder.before,
            "listing": folder.listing,
            "problem": folder.problem,
        })).collect::<Vec<_>>(),
    })
}

/// A credential, for scripts and the API; `accounts` are those it is applied on.
pub fn credential(row: &CredentialRow, accounts: &[String]) -> Value {
    let credential = &row.credential;
    json!({
        "id": credential.id,
        "description": credential.description,
        "grant_type": credential.grant_type,
        "authorization_url": credential.authorization_url,
        "token_url": credential.token_url,
        "client_id": credential.client_id,
        "scope": credential.scope,
        "graph_url": credential.graph_url,
        "created_at": credential.created_at,
        "authentication": credential.authentication,
        "secret_expires_at": row.expires_at(),
        "next_secret": credential.next_secret.as_ref().map(|next| json!({
            "expires_at": next.expires_at,
            "refused": row.next_refused.as_ref().map(|refused| json!({"at": refused.at, "what": refused.what})),
        })),
        "token": row.token.as_ref().map(|token| json!({
            "expires_at": token.expires_at,
            "obtained_at": token.obtained_at,
            "roles": token.roles,
            "scopes": token.scopes,
            "tenant": token.tenant,
        })),
        "sign_in": row.sign_in.as_ref().map(|sign_in| json!({
            "who": sign_in.who(),
            "name": sign_in.name,
            "tenant": sign_in.identity.tenant,
            "object": sign_in.identity.object,
            "at": sign_in.at,
            "granted": sign_in.granted,
            "renewable": sign_in.renewable,
        })),
        "needs_sign_in": row.needs_sign_in,
        "problem": row.problem,
        "reach": reach(row),
        "accounts": accounts,
    })
}

/// What is expected of a credential's reach and what was found; null if nobody expects anything and nobody looked.
pub fn reach(row: &CredentialRow) -> Value {
    let (expected, found) = (&row.expected, row.reach.as_ref());
    if expected.is_empty() && found.is_none() {
        return Value::Null;
    }
    json!({
        "must_read": expected.must_read,
        "must_not_read": expected.must_not_read,
        "found": found.map(|reach| json!({
            "at": reach.at,
            "as_meant": reach.is_as_meant(),
            "everywhere": reach.everywhere(),
            "summary": reach.summary(),
            "roles": reach.roles,
            "mailboxes": reach.probes,
            "findings": reach.findings(),
            "commands": (!reach.is_as_meant()).then(|| scoping(&row.credential, expected, reach)),
        })),
    })
}
