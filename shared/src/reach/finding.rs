//! What a look at the reach comes to, in the admin's words: what is wrong, why, and who does what.

use crate::{credential::GrantType, records::credentials::CredentialRow};

use super::{Everywhere, Found, Probe, Reach};

/// How a mailbox was found, in one sentence.
pub(super) fn of_mailbox(probe: &Probe) -> String {
    let mailbox = &probe.mailbox;
    match (probe.found, probe.must_read) {
        (Some(Found::Reads), true) => format!("{mailbox} can be read, as it must be"),
        (Some(Found::Reads), false) => format!("{mailbox} can be read, and must not be"),
        (Some(Found::KeptOut), true) => format!("{mailbox} must be readable, and Microsoft refuses"),
        (Some(Found::KeptOut), false) => format!("{mailbox} is closed, as it must be"),
        (Some(Found::NoMailbox), true) => {
            format!("{mailbox} must be readable, and there is no such mailbox in Exchange Online")
        }
        (Some(Found::NoMailbox), false) => {
            format!("{mailbox} is no mailbox in Exchange Online, which proves nothing; name one that there is")
        }
        (None, _) => format!("{mailbox} could not be tried yet"),
    }
}

/// Whether it reads everything, in one sentence.
pub(super) fn of_everywhere(reach: &Reach) -> String {
    let wide = reach.tenant_wide().join(" ");
    match reach.everywhere() {
        Everywhere::Yes => format!(
            "the app can read every mailbox of the tenant: its token carries {wide}, granted in Entra without any scope"
        ),
        Everywhere::Presumably => format!(
            "the app presumably reads every mailbox of the tenant: its token carries {wide}, granted in Entra without any scope; name a mailbox it must not read, and trying it tells"
        ),
        Everywhere::No if wide.is_empty() => "the token carries no permission on mail for the whole tenant".into(),
        Everywhere::No => {
            format!("its token carries {wide} for the whole tenant, but a policy keeps it out of some mailboxes")
        }
    }
}

impl Reach {
    /// Everything that is not as meant, with what to do, one paragraph each; nothing if all is well.
    pub fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.everywhere() != Everywhere::No {
            found.push(sentence(&of_everywhere(self)));
        }
        for probe in self.probes.iter().filter(|probe| !probe.is_as_meant()) {
            let mut text = sentence(&of_mailbox(probe));
            match (probe.found, probe.must_read) {
                (Some(Found::KeptOut), true) => text.push_str(
                    " An Exchange admin adds it to the group of the scope or policy; `Test-ServicePrincipalAuthorization` tells at once, Graph after 30 minutes to 2 hours.",
                ),
                (Some(Found::Reads), false) if self.tenant_wide().is_empty() => text.push_str(
                    " The token carries no permission for the whole tenant, so the scope in Exchange is wider than meant: look with `Get-ManagementRoleAssignment` and `Get-ManagementScope`. A change needs 30 minutes to 2 hours.",
                ),
                _ => {}
            }
            found.push(text);
        }
        for probe in &self.probes {
            if let Some(trouble) = &probe.trouble {
                found.push(format!("The last try of {} told nothing: {trouble}", probe.mailbox));
            }
        }
        found
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    // An address stays as it is written.
    match chars.next() {
        Some(first) if text.starts_with("the ") => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        _ => format!("{text}."),
    }
}

/// What is to be told of a credential whose reach is not as meant; nothing while it is, or nobody expects anything.
pub fn warning(row: &CredentialRow) -> Option<String> {
    let reach = row.reach.as_ref()?;
    if row.expected.is_empty() || reach.is_as_meant() || row.credential.grant_type != GrantType::ClientCredentials {
        return None;
    }
    let id = &row.credential.id;
    let first = reach.findings().into_iter().next().unwrap_or_default();
    let summary = reach.summary();
    Some(format!(
        "credential `{id}` {summary}. {first} `postroom credential reach {id}` says what to do"
    ))
}
