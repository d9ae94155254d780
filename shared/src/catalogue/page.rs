//! The catalogue as a page of the documentation.

use super::{Again, Class, Row, Who, entra, entra_errors, entra_numbers, graph_codes};

impl Class {
    /// What Postroom does, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Retry => "tries again",
            Self::App => "the app waits",
            Self::Settings => "the credential waits",
            Self::SignIn => "waits for a sign-in",
            Self::Forbidden | Self::Mailbox => "the account waits",
            Self::Gone => "goes on",
            Self::Reset => "walks the folder anew",
            Self::Message => "this message only",
            Self::Refused => "stops and says so",
        }
    }
}

impl Who {
    /// Who, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::User => "the person who signs in",
            Self::TenantAdmin => "an admin of the tenant",
            Self::AppOwner => "the owner of the app",
            Self::Microsoft => "Microsoft",
            Self::Nobody => "nobody: it heals",
        }
    }
}

impl Again {
    /// When, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ByItself => "by itself",
            Self::InFiveMinutes => "by itself, after 5 minutes",
            Self::WhenMended => "when that is done",
            Self::Never => "no",
        }
    }
}

/// The whole catalogue in Markdown: `docs/error-catalogue.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Error catalogue\n\n\
         Written by `postroom explain --markdown`; a test fails when it is stale. HTTP status and `error` (Entra) or `code` \
         (Graph) decide what Postroom does; a number refines the words, and a few numbers, marked with *, what is done.\n\
         `postroom explain CODE` prints one row.\n",
    );
    let mut table = |title: &str, rows: &mut dyn Iterator<Item = &'static Row>| {
        text.push_str(&format!(
            "\n## {title}\n\n| code | usual answer | cause | Postroom | who acts | where, what | again |\n|---|---|---|---|---|---|---|\n"
        ));
        for row in rows {
            text.push_str(&line(row));
        }
    };
    table("Entra: AADSTS numbers", &mut entra_numbers());
    table(
        "Entra: `error`, where the number is not known",
        &mut entra_errors().chain([&entra::UNKNOWN]),
    );
    table(
        "Graph",
        &mut graph_codes()
            .chain(super::graph::STATUSES)
            .chain([&super::graph::UNKNOWN]),
    );
    text
}

fn line(row: &Row) -> String {
    let mut names = row.names().join(", ");
    if names.is_empty() {
        names = if row.status == 400 {
            "anything else".into()
        } else {
            "any other code".into()
        };
    }
    let star = if row.numbers.iter().any(|&number| super::overrules(number).is_some()) {
        " *"
    } else {
        ""
    };
    let answer = match (row.numbers.is_empty(), row.codes) {
        (false, [error, ..]) => format!("{} {error}", row.status),
        _ => row.status.to_string(),
    };
    let place = match (row.screen.path(), row.fix) {
        ("", fix) => fix.to_owned(),
        (path, "") => path.to_owned(),
        (path, fix) => format!("{path}: {fix}"),
    };
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| {names}{star} | {answer} | {} | {} | {} | {} | {} |\n",
        cell(row.cause),
        row.class.words(),
        row.who.words(),
        cell(&place),
        row.again.words()
    )
}
