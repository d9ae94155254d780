//! The control of signing in over HTTP: acts by the same names as the Rust methods.

use super::ControlError;
use crate::entra::directory::{ConditionalAccess, User};
use crate::entra::grants::Rotation;
use crate::simulator::Simulator;
use serde::Deserialize;
use serde_json::{Value, json};

/// Names of the acts below.
pub(crate) const ACTS: [&str; 16] = [
    "add-user",
    "disable-user",
    "share",
    "register-redirect-uri",
    "remove-redirect-uri",
    "assign-app-roles",
    "set-permissions",
    "set-multi-tenant",
    "give-consent",
    "forget-consent",
    "require-admin-consent",
    "revoke-grants",
    "expire-grants",
    "end-sessions",
    "set-conditional-access",
    "set-rotation",
];

/// Every act about signing in.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "act",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum SignInAct {
    AddUser {
        user: User,
    },
    DisableUser {
        user: String,
        disabled: bool,
    },
    Share {
        mailbox: String,
        user: String,
        access: bool,
    },
    RegisterRedirectUri {
        client_id: String,
        redirect_uri: String,
    },
    RemoveRedirectUri {
        client_id: String,
        redirect_uri: String,
    },
    AssignAppRoles {
        client_id: String,
        user: String,
        roles: Vec<String>,
    },
    SetPermissions {
        client_id: String,
        permissions: Vec<String>,
    },
    SetMultiTenant {
        client_id: String,
        multi_tenant: bool,
    },
    GiveConsent {
        client_id: String,
        user: String,
        scopes: String,
    },
    ForgetConsent {
        user: Option<String>,
    },
    RequireAdminConsent {
        required: bool,
    },
    RevokeGrants {
        user: Option<String>,
    },
    ExpireGrants {
        user: Option<String>,
    },
    EndSessions {
        user: Option<String>,
    },
    SetConditionalAccess {
        access: ConditionalAccess,
    },
    SetRotation {
        rotation: Rotation,
    },
}

pub(crate) fn run(s: &Simulator, act: SignInAct) -> Result<Value, ControlError> {
    let done = |()| json!({"done": true});
    match act {
        SignInAct::AddUser { user } => Ok(json!({"id": s.add_user(user)})),
        SignInAct::DisableUser { user, disabled } => s.disable_user(&user, disabled).map(done),
        SignInAct::Share { mailbox, user, access } => s.share(&mailbox, &user, access).map(done),
        SignInAct::RegisterRedirectUri {
            client_id,
            redirect_uri,
        } => s.register_redirect_uri(&client_id, &redirect_uri).map(done),
        SignInAct::RemoveRedirectUri {
            client_id,
            redirect_uri,
        } => s.remove_redirect_uri(&client_id, &redirect_uri).map(done),
        SignInAct::AssignAppRoles { client_id, user, roles } => {
            let names: Vec<&str> = roles.iter().map(String::as_str).collect();
            s.assign_app_roles(&client_id, &user, &names).map(done)
        }
        SignInAct::SetPermissions { client_id, permissions } => {
            let names: Vec<&str> = permissions.iter().map(String::as_str).collect();
            s.set_permissions(&client_id, &names).map(done)
        }
        SignInAct::SetMultiTenant {
            client_id,
            multi_tenant,
        } => s.set_multi_tenant(&client_id, multi_tenant).map(done),
        SignInAct::GiveConsent {
            client_id,
            user,
            scopes,
        } => s.give_consent(&client_id, &user, &scopes).map(done),
        SignInAct::ForgetConsent { user } => Ok(json!({"forgotten": s.forget_consent(user.as_deref())?})),
        SignInAct::RequireAdminConsent { required } => {
            s.require_admin_consent(required);
            Ok(done(()))
        }
        SignInAct::RevokeGrants { user } => Ok(json!({"revoked": s.revoke_grants(user.as_deref())?})),
        SignInAct::ExpireGrants { user } => Ok(json!({"expired": s.expire_grants(user.as_deref())?})),
        SignInAct::EndSessions { user } => s.end_sessions(user.as_deref()).map(done),
        SignInAct::SetConditionalAccess { access } => {
            s.set_conditional_access(access);
            Ok(done(()))
        }
        SignInAct::SetRotation { rotation } => {
            s.set_rotation(rotation);
            Ok(done(()))
        }
    }
}
