//! The error catalogue: what each answer of Entra and Graph means, who must act, on which screen, and whether to try again.
//!
//! HTTP status and `error` (Entra) or `code` (Graph) decide what Postroom does; a row says it in an admin's words. The
//! documentation page, the console page and `postroom explain` are drawn from these rows, and so are the sentences that
//! go with a failure.

mod app;
mod entra;
mod graph;
mod page;
mod sign_in;

use serde::Serialize;

pub use page::markdown;

/// AADSTS50053: the account of one person is locked. Microsoft calls that `unauthorized_client` now and then.
const LOCKED: u32 = 50053;

/// What Postroom does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It is tried again by itself; no verdict on anybody.
    Retry,
    /// The app is refused: its secret, its certificate, or the app itself. Every credential of the app waits.
    App,
    /// The request cannot work as the credential is set: scope, tenant, endpoint.
    Settings,
    /// Somebody must sign in, or what they signed in with is not enough.
    SignIn,
    /// A right on the mailbox is missing.
    Forbidden,
    /// There is no such mailbox in Exchange Online.
    Mailbox,
    /// What was asked for is not there (any more).
    Gone,
    /// The folder is walked anew; nothing is emitted twice.
    Reset,
    /// This one message is set aside or built from its parts.
    Message,
    /// Refused for good, and not by anything an admin set.
    Refused,
}

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The person whose sign-in it is.
    User,
    /// An admin of the Microsoft 365 tenant.
    TenantAdmin,
    /// Whoever looks after the app registration and its credential in Postroom.
    AppOwner,
    /// Microsoft.
    Microsoft,
    /// Nobody: it heals.
    Nobody,
}

/// Whether and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// By itself, after `Retry-After` or a growing pause.
    ByItself,
    /// By itself, not before five minutes are over.
    InFiveMinutes,
    /// When whoever must act has acted. Sign-ins and apps are probed in between, since they may heal.
    WhenMended,
    /// Never: the same request has the same answer.
    Never,
}

/// A screen to go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// None: nobody must act, or not on a screen.
    None,
    /// Secrets and certificates of the app.
    Secrets,
    /// Federated credentials of the app.
    Federated,
    /// Platforms and redirect URIs of the app.
    Authentication,
    /// Permissions of the app.
    Permissions,
    /// Ids of the app.
    Overview,
    /// Who may sign in to the app.
    AppProperties,
    /// Who is assigned to the app.
    AppUsers,
    /// Consent that waits for an admin.
    ConsentRequests,
    /// Conditional Access.
    ConditionalAccess,
    /// A person's sign-ins, each with the policy that refused it.
    SignInLogs,
    /// A person.
    User,
    /// Licences of a person or shared mailbox.
    Licences,
    /// Who may read which mailbox, in Exchange.
    Exchange,
    /// The credential in Postroom.
    Credential,
    /// The key of the credential in Postroom.
    Key,
    /// The account in Postroom.
    Account,
    /// Microsoft's service health.
    ServiceHealth,
}

impl Screen {
    /// The way to it; empty for none.
    pub fn path(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Secrets => "Azure portal, App registrations, your app, Certificates & secrets",
            Self::Federated => {
                "Azure portal, App registrations, your app, Certificates & secrets, Federated credentials"
            }
            Self::Authentication => "Azure portal, App registrations, your app, Authentication",
            Self::Permissions => "Azure portal, App registrations, your app, API permissions",
            Self::Overview => "Azure portal, App registrations, your app, Overview",
            Self::AppProperties => "Azure portal, Enterprise applications, your app, Properties",
            Self::AppUsers => "Azure portal, Enterprise applications, your app, Users and groups",
            Self::ConsentRequests => "Azure portal, Enterprise applications, Admin consent requests",
            Self::ConditionalAccess => "Microsoft Entra admin center, Conditional Access, Policies",
            Self::SignInLogs => "Microsoft Entra admin center, Sign-in logs, the failed sign-in, Conditional Access",
            Self::User => "Microsoft Entra admin center, Users, the person",
            Self::Licences => "Microsoft 365 admin center, Active users, the mailbox, Licenses and apps",
            Self::Exchange => "Exchange Online PowerShell",
            Self::Credential => "Postroom, Credentials, the credential, Edit",
            Self::Key => "Postroom, Credentials, the key of the credential",
            Self::Account => "Postroom, Accounts, the account",
            Self::ServiceHealth => "Microsoft 365 admin center, Service health",
        }
    }
}

/// A row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// AADSTS numbers without their letters; empty for a row of Graph's or an OAuth `error`.
    pub numbers: &'static [u32],
    /// Graph codes, or OAuth `error` values; for numbers the `error` that usually comes with them.
    pub codes: &'static [&'static str],
    /// The HTTP status that usually comes with it.
    pub status: u16,
    /// What Postroom does.
    pub class: Class,
    /// Who must act.
    pub who: Who,
    /// Where.
    pub screen: Screen,
    /// Whether to try again.
    pub again: Again,
    /// What is the matter: a sentence without its full stop.
    pub cause: &'static str,
    /// What to do there; empty if nothing.
    pub fix: &'static str,
}

impl Row {
    /// A row with what is usual for its class.
    const fn new(class: Class, numbers: &'static [u32], codes: &'static [&'static str], cause: &'static str) -> Self {
        let (status, who, again) = match class {
            Class::App => (401, Who::AppOwner, Again::WhenMended),
            Class::Settings => (400, Who::AppOwner, Again::WhenMended),
            Class::SignIn => (400, Who::User, Again::WhenMended),
            Class::Retry => (503, Who::Nobody, Again::ByItself),
            Class::Forbidden => (403, Who::TenantAdmin, Again::WhenMended),
            Class::Mailbox => (404, Who::AppOwner, Again::WhenMended),
            Class::Gone => (404, Who::Nobody, Again::Never),
            Class::Reset => (410, Who::Nobody, Again::ByItself),
            Class::Message => (500, Who::Nobody, Again::Never),
            Class::Refused => (400, Who::Microsoft, Again::Never),
        };
        Self {
            numbers,
            codes,
            status,
            class,
            who,
            screen: Screen::None,
            again,
            cause,
            fix: "",
        }
    }

    const fn fix(mut self, screen: Screen, fix: &'static str) -> Self {
        self.screen = screen;
        self.fix = fix;
        self
    }

    const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    const fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    const fn again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    /// Cause, screen and deed as one text for an admin.
    pub fn sentence(&self) -> String {
        match (self.screen.path(), self.fix) {
            ("", "") => self.cause.to_owned(),
            ("", fix) => format!("{}. {fix}", self.cause),
            (path, "") => format!("{}. {path}", self.cause),
            (path, fix) => format!("{}. {path}: {fix}", self.cause),
        }
    }

    /// The names it is found by.
    pub fn names(&self) -> Vec<String> {
        if self.numbers.is_empty() {
            return self.codes.iter().map(|&code| code.to_owned()).collect();
        }
        self.numbers.iter().map(|number| format!("AADSTS{number}")).collect()
    }
}

/// The rows of Entra's numbers.
pub fn entra_numbers() -> impl Iterator<Item = &'static Row> {
    app::NUMBERS.iter().chain(sign_in::NUMBERS)
}

/// The rows of Entra's `error` values: what counts where no number is known.
pub fn entra_errors() -> impl Iterator<Item = &'static Row> {
    entra::ERRORS.iter()
}

/// The rows of Graph's codes.
pub fn graph_codes() -> impl Iterator<Item = &'static Row> {
    graph::CODES.iter()
}

/// The row of the first of these AADSTS numbers that is known.
pub fn of_numbers(numbers: &[u32]) -> Option<&'static Row> {
    numbers
        .iter()
        .find_map(|number| entra_numbers().find(|row| row.numbers.contains(number)))
}

/// The class of a number that counts more than the `error` beside it: trouble that heals and is called something else, and
/// one person's locked account that is called the app's fault. `None`: the answer decides.
pub fn overrules(number: u32) -> Option<Class> {
    let row = of_numbers(&[number])?;
    (row.again == Again::InFiveMinutes || number == LOCKED).then_some(row.class)
}

/// The row of an `error` value of Entra's; for a value nobody knows, the default row.
pub fn of_error(error: &str) -> &'static Row {
    named(entra::ERRORS, error).unwrap_or(&entra::UNKNOWN)
}

/// The row of a Graph code, in any case of letters.
pub fn of_graph_code(code: &str) -> Option<&'static Row> {
    named(graph::CODES, code)
}

/// The row of an answer of Graph: by its code, then by its status; for what nobody knows, the default row.
pub fn of_graph(status: u16, code: &str) -> &'static Row {
    of_graph_code(code)
        .or_else(|| graph::STATUSES.iter().find(|row| row.status == status))
        .unwrap_or(if status >= 500 {
            &graph::TROUBLE
        } else {
            &graph::UNKNOWN
        })
}

/// The 403 of a mailbox that an application access policy keeps the app out of. Its code is that of any other 403; the
/// marker in the text is all there is to tell it by (practitioners' reports), so it only refines the words.
pub fn kept_out() -> &'static Row {
    &graph::KEPT_OUT
}

fn named(rows: &'static [Row], code: &str) -> Option<&'static Row> {
    rows.iter()
        .find(|row| row.codes.iter().any(|known| known.eq_ignore_ascii_case(code)))
}

/// What an admin may ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// The row.
    pub row: &'static Row,
    /// The catalogue has no such code; the row is the default one.
    pub unknown: bool,
}

/// The row of a code as an admin types it: `AADSTS7000222`, `7000222`, `invalid_client`, `ErrorAccessDenied`, `403`.
pub fn explain(typed: &str) -> Explained {
    let typed = typed.trim().trim_end_matches([':', '.']);
    let known = |row| Explained { row, unknown: false };
    let number = match typed.get(..6) {
        Some(letters) if letters.eq_ignore_ascii_case("AADSTS") => &typed[6..],
        _ => typed,
    };
    if let Ok(number) = number.parse::<u32>() {
        if let Some(row) = of_numbers(&[number]) {
            return known(row);
        }
        let status = graph::STATUSES.iter().find(|row| u32::from(row.status) == number);
        return status.map_or(
            Explained {
                row: &entra::UNKNOWN,
                unknown: true,
            },
            known,
        );
    }
    named(entra::ERRORS, typed).or_else(|| of_graph_code(typed)).map_or(
        Explained {
            row: if typed.contains('_') {
                &entra::UNKNOWN
            } else {
                &graph::UNKNOWN
            },
            unknown: true,
        },
        known,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static Row> {
        entra_numbers().chain(entra_errors()).chain(graph_codes())
    }

    #[test]
    fn there_are_enough_and_none_twice() {
        let names: Vec<String> = all().flat_map(Row::names).map(|name| name.to_lowercase()).collect();
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len());
        assert!(names.len() >= 60, "{}", names.len());
    }

    #[test]
    fn who_must_act_has_a_screen_or_a_deed_and_who_need_not_has_none() {
        for row in all() {
            let name = row.names().join(" ");
            let acts = !matches!(row.who, Who::Nobody | Who::Microsoft);
            assert!(!acts || row.screen != Screen::None || !row.fix.is_empty(), "{name}");
            assert!(row.who != Who::Nobody || row.screen == Screen::None, "{name}");
            assert_eq!(
                row.class == Class::Retry,
                matches!(row.again, Again::ByItself | Again::InFiveMinutes) && row.class != Class::Reset,
                "{name}"
            );
            assert!(!row.cause.ends_with('.') && !row.fix.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn codes_are_found_as_they_are_typed() {
        for typed in ["AADSTS7000222", "aadsts7000222:", "7000222", " AADSTS7000222 "] {
            let found = explain(typed);
            assert!(!found.unknown && found.row.numbers.contains(&7_000_222), "{typed}");
        }
        assert_eq!(explain("ERRORACCESSDENIED").row.class, Class::Forbidden);
        assert_eq!(explain("invalid_client").row.class, Class::App);
        assert_eq!(explain("403").row.class, Class::Forbidden);
        for unknown in [
            "AADSTS1",
            "AADSTS",
            "AADST\u{e9}S",
            "error_of_tomorrow",
            "ErrorOfTomorrow",
            "",
        ] {
            assert!(explain(unknown).unknown, "{unknown}");
        }
    }
}
