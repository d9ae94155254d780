//! Every route of the room, so that no test of all routes forgets one.

use std::{collections::BTreeSet, fs, path::Path};

/// As they stand in the source.
pub(crate) const ROUTES: [&str; 34] = [
    "/",
    "/OAuth2Callback",
    "/accounts",
    "/accounts/new",
    "/accounts/{id}",
    "/accounts/{id}/check",
    "/accounts/{id}/import",
    "/accounts/{id}/pause",
    "/accounts/{id}/remove",
    "/accounts/{id}/resume",
    "/authorizations/{key}",
    "/credentials",
    "/credentials/new",
    "/credentials/{id}",
    "/credentials/{id}/authorize",
    "/credentials/{id}/consent",
    "/credentials/{id}/edit",
    "/credentials/{id}/reach",
    "/credentials/{id}/remove",
    "/errors",
    "/health",
    "/healthz",
    "/launch",
    "/launch/{token}",
    "/messages",
    "/messages/{mailbox}/{key}",
    "/owed",
    "/owed/{account}/{key}/retry",
    "/redirect-uri/check",
    "/runs",
    "/sign-in",
    "/sign-in/callback",
    "/sign-out",
    "/style.css",
];

/// Every name of a value that a page reads, in queries and in forms.
pub(crate) const NAMES: [&str; 39] = [
    "account",
    "admin_consent",
    "after",
    "after_import",
    "authorization_url",
    "before",
    "certificate",
    "certificate_password",
    "client_id",
    "client_secret",
    "code",
    "credential",
    "csrf",
    "description",
    "error",
    "error_description",
    "every",
    "federated_aws",
    "federated_token_file",
    "folders",
    "grant_type",
    "graph_url",
    "id",
    "iss",
    "kms_key",
    "mailbox",
    "max_message",
    "must_not_read",
    "must_read",
    "rebind",
    "roll",
    "scope",
    "search",
    "secret_expires",
    "start",
    "state",
    "subfolders",
    "token",
    "token_url",
];

/// A route with this text in each of its places.
pub(crate) fn filled(route: &str, text: &str) -> String {
    let parts = route
        .split('/')
        .map(|part| if part.starts_with('{') { text } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn source(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            source(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a file"));
        }
    }
}

/// What stands in quotes behind any of these.
fn quoted<'a>(source: &'a str, before: &[&str]) -> BTreeSet<&'a str> {
    let all = before.iter().flat_map(|before| source.split(before).skip(1));
    all.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_lists_are_what_stands_in_the_source() {
    let mut all = String::new();
    source(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/web"),
        &mut all,
    );
    let (api, pages): (BTreeSet<_>, BTreeSet<_>) = quoted(&all, &[".route(\""])
        .into_iter()
        .partition(|route| route.starts_with("/api/"));
    assert_eq!(pages, BTreeSet::from(ROUTES));
    assert_eq!(
        api,
        BTreeSet::from(crate::api::ROUTES),
        "of the API, whose tests know them by method"
    );
    let names = quoted(&all, &[".text(\"", "given(\"", ".ticked(\"", " one(\"", "query.get(\""]);
    assert_eq!(names, BTreeSet::from(NAMES));
}
