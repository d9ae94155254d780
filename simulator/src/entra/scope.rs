//! Scopes: read from a request, judged by the rules of one resource and of `/.default`, written into answers.

use super::access_token::{GRAPH, GRAPH_APP_ID};
use super::error::Refusal;
use crate::readings::{GrantedScope, OfflineScope, Readings};
use std::collections::BTreeSet;

/// Delegated permissions this Graph knows; others do not exist on the resource.
const GRAPH_SCOPES: [&str; 14] = [
    "Mail.ReadBasic",
    "Mail.Read",
    "Mail.ReadWrite",
    "Mail.ReadBasic.Shared",
    "Mail.Read.Shared",
    "Mail.ReadWrite.Shared",
    "Mail.Send",
    "Mail.Send.Shared",
    "MailboxSettings.Read",
    "MailboxSettings.ReadWrite",
    "User.Read",
    "User.ReadBasic.All",
    "Calendars.Read",
    "Contacts.Read",
];

/// Scopes of `OpenID` Connect: they belong to no resource (Microsoft identity platform, "Scopes and permissions").
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Whose scope it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    OpenId,
    Graph,
    Other(String),
}

/// One scope; `.default` is a name like others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) resource: Resource,
    pub(crate) name: String,
}

impl Scope {
    pub(crate) fn graph(name: &str) -> Self {
        Self {
            resource: Resource::Graph,
            name: name.to_owned(),
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.name == ".default"
    }

    /// As a person or an answer reads it.
    pub(crate) fn short(&self) -> String {
        match &self.resource {
            Resource::OpenId | Resource::Graph => self.name.clone(),
            Resource::Other(resource) => format!("{resource}/{}", self.name),
        }
    }
}

/// Reads a `scope` parameter. The order of the request is kept, doubles are dropped.
pub(crate) fn read(text: &str, origin: &str) -> Result<Vec<Scope>, Refusal> {
    let mut scopes: Vec<Scope> = Vec::new();
    for word in text.split_whitespace() {
        let scope = one(word, origin)?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return Err(invalid(text, "at least one scope is needed."));
    }
    let of_resources: Vec<&Scope> = scopes.iter().filter(|s| s.resource != Resource::OpenId).collect();
    if of_resources.len() > 1 && of_resources.iter().any(|s| s.is_default()) {
        return Err(invalid(
            text,
            ".default scope can't be combined with resource-specific scopes.",
        ));
    }
    Ok(scopes)
}

fn one(word: &str, origin: &str) -> Result<Scope, Refusal> {
    if let Some(name) = OPENID_SCOPES.iter().find(|n| n.eq_ignore_ascii_case(word)) {
        return Ok(Scope {
            resource: Resource::OpenId,
            name: (*name).to_owned(),
        });
    }
    let (resource, name) = match word.rsplit_once('/') {
        None => (GRAPH, word),
        Some((resource, name)) => (resource.trim_end_matches('/'), name),
    };
    if name.eq_ignore_ascii_case(".default") && !word.contains('/') {
        return Err(invalid(word, "no resource is named."));
    }
    let resource = match resource {
        GRAPH | GRAPH_APP_ID => Resource::Graph,
        _ if resource == origin => Resource::Graph,
        "https://outlook.office365.com" | "https://outlook.office.com" => Resource::Other(resource.to_owned()),
        _ => {
            return Err(Refusal::bad(
                "invalid_resource",
                500_011,
                format!("The resource principal named {resource} was not found in the tenant named Harbour Homes."),
            ));
        }
    };
    if name.eq_ignore_ascii_case(".default") {
        return Ok(Scope {
            resource,
            name: ".default".to_owned(),
        });
    }
    if matches!(resource, Resource::Other(_)) {
        return Ok(Scope {
            resource,
            name: name.to_owned(),
        });
    }
    match GRAPH_SCOPES.iter().find(|n| n.eq_ignore_ascii_case(name)) {
        Some(name) => Ok(Scope::graph(name)),
        None => Err(Refusal::bad(
            "invalid_client",
            650_053,
            format!("The application asked for scope '{name}' that doesn't exist on the resource '{GRAPH_APP_ID}'."),
        )),
    }
}

fn invalid(given: &str, why: &str) -> Refusal {
    Refusal::bad(
        "invalid_scope",
        70011,
        format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {given} is not valid: {why}"
        ),
    )
}

/// The resource a token is for: the first one named, Graph if none is.
pub(crate) fn first_resource(scopes: &[Scope]) -> Resource {
    let named = scopes.iter().map(|s| &s.resource).find(|r| **r != Resource::OpenId);
    named.cloned().unwrap_or(Resource::Graph)
}

/// A token request may name one resource only.
pub(crate) fn single_resource(scopes: &[Scope], text: &str) -> Result<(), Refusal> {
    let resources: BTreeSet<&Resource> = scopes
        .iter()
        .map(|s| &s.resource)
        .filter(|r| **r != Resource::OpenId)
        .collect();
    if resources.len() > 1 {
        return Err(Refusal::bad(
            "invalid_scope",
            700_022,
            format!(
                "The provided value for the input parameter scope '{text}' is not valid because it contains more than one resource."
            ),
        ));
    }
    Ok(())
}

/// The audience of a token for this resource.
pub(crate) fn audience(resource: &Resource) -> String {
    match resource {
        Resource::OpenId | Resource::Graph => GRAPH.to_owned(),
        Resource::Other(resource) => resource.clone(),
    }
}

/// `scp` of an access token: names only, never `offline_access`.
pub(crate) fn scp(scopes: &BTreeSet<Scope>, resource: &Resource) -> String {
    let names: Vec<&str> = of(scopes, resource)
        .filter(|s| s.name != "offline_access")
        .map(|s| s.name.as_str())
        .collect();
    names.join(" ")
}

/// `scope` of a token answer, in the form the reading asks for.
pub(crate) fn granted(scopes: &BTreeSet<Scope>, resource: &Resource, readings: &Readings) -> String {
    let shown: Vec<String> = of(scopes, resource)
        .filter(|s| s.name != "offline_access" || readings.offline_scope == OfflineScope::Listed)
        .map(|s| match (&s.resource, readings.granted_scope) {
            (Resource::Graph, GrantedScope::Qualified) => format!("{GRAPH}/{}", s.name),
            _ => s.short(),
        })
        .collect();
    shown.join(" ")
}

fn of<'a>(scopes: &'a BTreeSet<Scope>, resource: &'a Resource) -> impl Iterator<Item = &'a Scope> {
    scopes
        .iter()
        .filter(move |s| s.resource == Resource::OpenId || s.resource == *resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://sim.test";

    #[test]
    fn all_forms_of_a_graph_scope_are_one() {
        let bare = read("mail.read", ORIGIN).unwrap();
        for form in [
            "https://graph.microsoft.com/Mail.Read",
            "00000003-0000-0000-c000-000000000000/Mail.Read",
            "https://sim.test/MAIL.READ",
        ] {
            assert_eq!(read(form, ORIGIN).unwrap(), bare);
        }
    }

    #[test]
    fn default_goes_with_openid_scopes_only() {
        let default = "https://graph.microsoft.com/.default";
        assert!(read(&format!("openid {default} offline_access"), ORIGIN).is_ok());
        for other in [
            "Mail.Read",
            "https://outlook.office.com/Mail.Read",
            "https://outlook.office.com/.default",
        ] {
            assert_eq!(read(&format!("{default} {other}"), ORIGIN).unwrap_err().code, 70011);
        }
    }
}
