//! The commands of Exchange Online PowerShell that would scope an app to the mailboxes it must read.

use crate::credential::Credential;

use super::{Expected, Reach};

/// What an Exchange admin runs, with what goes wrong with it as comments ("Role Based Access Control for Applications in
/// Exchange Online"). The same as `infra/exchange/limit.ps1`, for the mailboxes of this credential.
pub fn scoping(credential: &Credential, expected: &Expected, reach: &Reach) -> String {
    let app = quoted(&credential.client_id);
    let writes = reach
        .roles
        .iter()
        .any(|role| role.eq_ignore_ascii_case("Mail.ReadWrite"));
    // Without a token that tells, the smaller right.
    let role = if writes { "Mail.ReadWrite" } else { "Mail.Read" };
    let name = quoted(&format!("Postroom {}", credential.id));
    let members: Vec<String> = expected.must_read.iter().map(|one| quoted(one)).collect();
    let members = match members.as_slice() {
        [] => "'ADDRESS', 'ADDRESS'".to_owned(),
        some => some.join(", "),
    };
    let mut text = format!(
        "# Exchange Online PowerShell, as a member of Organization Management: Connect-ExchangeOnline
# OBJECT-ID: Entra admin center, Enterprise applications, your app, Overview, Object ID (not the one of the app registration)
New-ServicePrincipal -AppId {app} -ObjectId OBJECT-ID -DisplayName {name}
$group = New-DistributionGroup -Name {name} -Type Security -Members {members}
New-ManagementScope -Name {name} -RecipientRestrictionFilter \"MemberOfGroup -eq '$($group.DistinguishedName)'\"
New-ManagementRoleAssignment -App {app} -Role 'Application {role}' -CustomResourceScope {name}
"
    );
    for (mailbox, must_read) in expected.all() {
        let says = if must_read { "True" } else { "False" };
        let mailbox = quoted(mailbox);
        text.push_str(&format!(
            "Test-ServicePrincipalAuthorization -Identity {app} -Resource {mailbox}   # InScope must be {says}\n"
        ));
    }
    text.push_str(&format!(
        "# Grants add up: as long as the app has {role} of type Application in Entra, the scope changes nothing. Remove it last:
# Entra admin center, App registrations, your app, API permissions: Mail.Read and Mail.ReadWrite (Application), Remove permission,
# and revoke the admin's consent. New tokens lack it at once; `postroom credential reach {}` asks for one.
# Graph follows a change in Exchange after 30 minutes to 2 hours. Members of groups inside the group do not count.
",
        credential.id
    ));
    text
}

/// As a literal of PowerShell: all of these end a literal in single quotes, doubled they stand for themselves.
fn quoted(text: &str) -> String {
    let mut literal = String::from("'");
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            literal.push(c);
        }
        literal.push(c);
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn an_address_cannot_leave_its_quotes() {
        assert_eq!(quoted("o'brien@x.example"), "'o''brien@x.example'");
        assert_eq!(quoted("a\u{2019};b"), "'a\u{2019}\u{2019};b'");
    }
}
