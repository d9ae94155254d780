//! Paths below `/v1.0`: what a request is about, in all the forms `OData` allows.

use crate::faults::RequestKind;
use http::Method;

/// Whose mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    Me,
    User(String),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    ListFolders,
    CreateFolder,
    FoldersDelta,
    GetFolder,
    ListMessages,
    Delta,
    GetMessage,
    PatchMessage,
    DeleteMessage,
    PermanentDelete,
    Value,
    Move,
    Copy,
    ListAttachments,
    GetAttachment,
    AttachmentValue,
    Translate,
    /// The person, not the mailbox.
    Profile,
    /// A path that exists, with a method it does not take.
    WrongMethod,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) root: Root,
    pub(crate) act: Act,
    pub(crate) folder: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) attachment: Option<String>,
    /// `/me` or `/users/{id}` with nothing below.
    pub(crate) person: bool,
}

impl Route {
    pub(crate) fn kind(&self) -> RequestKind {
        match self.act {
            Act::ListFolders | Act::GetFolder | Act::CreateFolder => RequestKind::Folders,
            Act::FoldersDelta => RequestKind::FoldersDelta,
            Act::ListMessages => RequestKind::List,
            Act::Delta => RequestKind::Delta,
            Act::GetMessage => RequestKind::Get,
            Act::PatchMessage => RequestKind::Patch,
            Act::DeleteMessage | Act::PermanentDelete => RequestKind::Delete,
            Act::Value => RequestKind::Value,
            Act::Move => RequestKind::Move,
            Act::Copy => RequestKind::Copy,
            Act::ListAttachments | Act::GetAttachment | Act::AttachmentValue => RequestKind::Attachment,
            Act::Translate => RequestKind::Translate,
            Act::Profile | Act::WrongMethod => RequestKind::Other,
        }
    }

    /// Whether Mail.Read is not enough.
    pub(crate) fn writes(&self) -> bool {
        matches!(
            self.act,
            Act::PatchMessage | Act::DeleteMessage | Act::PermanentDelete | Act::Move | Act::Copy | Act::CreateFolder
        )
    }
}

/// Reads decoded path segments (without `v1.0`).
pub(crate) fn parse(method: &Method, segments: &[String]) -> Option<Route> {
    let parts: Vec<String> = segments.iter().flat_map(|s| unfold(s)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (root, rest) = match parts.as_slice() {
        ["me", rest @ ..] => (Root::Me, rest),
        ["users", user, rest @ ..] => (Root::User((*user).to_owned()), rest),
        _ => return None,
    };
    let mut route = Route {
        root,
        act: Act::WrongMethod,
        folder: None,
        message: None,
        attachment: None,
        person: rest.is_empty(),
    };
    let allowed = |wanted: &Method, act: Act| {
        if method == wanted { act } else { Act::WrongMethod }
    };
    if rest.is_empty() {
        route.act = allowed(&Method::GET, Act::Profile);
        return Some(route);
    }
    let mut rest = rest;
    if let ["mailFolders", after @ ..] = rest {
        match after {
            [] => {
                route.act = if *method == Method::POST {
                    Act::CreateFolder
                } else {
                    allowed(&Method::GET, Act::ListFolders)
                };
                return Some(route);
            }
            ["delta"] => {
                route.act = allowed(&Method::GET, Act::FoldersDelta);
                return Some(route);
            }
            [folder, after @ ..] => {
                route.folder = Some((*folder).to_owned());
                rest = after;
            }
        }
        while let ["childFolders", folder, after @ ..] = rest {
            route.folder = Some((*folder).to_owned());
            rest = after;
        }
        match rest {
            [] => {
                route.act = allowed(&Method::GET, Act::GetFolder);
                return Some(route);
            }
            ["childFolders"] => {
                route.act = if *method == Method::POST {
                    Act::CreateFolder
                } else {
                    allowed(&Method::GET, Act::ListFolders)
                };
                return Some(route);
            }
            _ => {}
        }
    }
    let rest = match rest {
        ["messages", rest @ ..] => rest,
        ["translateExchangeIds" | "microsoft.graph.translateExchangeIds"] => {
            route.act = allowed(&Method::POST, Act::Translate);
            return Some(route);
        }
        _ => return None,
    };
    route.act = match rest {
        [] => allowed(&Method::GET, Act::ListMessages),
        ["delta"] => allowed(&Method::GET, Act::Delta),
        [message, rest @ ..] => {
            route.message = Some((*message).to_owned());
            match rest {
                [] if *method == Method::PATCH => Act::PatchMessage,
                [] if *method == Method::DELETE => Act::DeleteMessage,
                [] => allowed(&Method::GET, Act::GetMessage),
                ["$value"] => allowed(&Method::GET, Act::Value),
                ["move"] => allowed(&Method::POST, Act::Move),
                ["copy"] => allowed(&Method::POST, Act::Copy),
                ["permanentDelete"] => allowed(&Method::POST, Act::PermanentDelete),
                ["attachments"] => allowed(&Method::GET, Act::ListAttachments),
                ["attachments", id, rest @ ..] => {
                    route.attachment = Some((*id).to_owned());
                    match rest {
                        [] => allowed(&Method::GET, Act::GetAttachment),
                        ["$value"] => allowed(&Method::GET, Act::AttachmentValue),
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    };
    Some(route)
}

/// `mailFolders('inbox')` is two segments; `microsoft.graph.delta()` and `delta()` are `delta`.
fn unfold(segment: &str) -> Vec<String> {
    if let Some((name, key)) = segment.strip_suffix("')").and_then(|s| s.split_once("('")) {
        return vec![name.to_owned(), key.replace("''", "'")];
    }
    let bare = segment.strip_suffix("()").unwrap_or(segment);
    let bare = bare.strip_prefix("microsoft.graph.").unwrap_or(bare);
    vec![bare.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &Method, path: &str) -> Option<Route> {
        let segments: Vec<String> = path
            .split('/')
            .filter(|s| !s.is_empty())
            .map(crate::wire::percent_decode)
            .collect();
        parse(method, &segments)
    }

    #[test]
    fn all_forms_of_a_path_lead_to_the_same_place() {
        let plain = route(&Method::GET, "/users/a@b.example/mailFolders/inbox/messages/delta");
        assert_eq!(
            plain,
            route(
                &Method::GET,
                "/users('a@b.example')/mailFolders('inbox')/messages/microsoft.graph.delta()"
            )
        );
        assert_eq!(plain.unwrap().act, Act::Delta);
        let deep = route(
            &Method::GET,
            "/users/u/mailFolders/x/childFolders/y/childFolders/z/messages",
        )
        .unwrap();
        assert_eq!((deep.folder.as_deref(), deep.act), (Some("z"), Act::ListMessages));
    }

    #[test]
    fn an_encoded_slash_belongs_to_the_id_and_a_bare_one_does_not() {
        let good = route(&Method::GET, "/users/u/messages/AA%2Fbb%2B=/$value").unwrap();
        assert_eq!((good.message.as_deref(), good.act), (Some("AA/bb+="), Act::Value));
        assert_eq!(route(&Method::GET, "/users/u/messages/AA/bb+=/$value"), None);
    }

    #[test]
    fn a_wrong_method_is_told_from_a_wrong_path() {
        assert_eq!(
            route(&Method::PUT, "/users/u/messages/x").unwrap().act,
            Act::WrongMethod
        );
        assert_eq!(route(&Method::GET, "/users/u/calendar"), None);
    }
}
