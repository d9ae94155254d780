//! The reach of an app: which mailboxes it must read and which it must not, what trying them found, and what to do about it.
//!
//! Only for client credentials. With the authorization code grant the app has no reach of its own: it reads what the person
//! who signed in may read.

mod commands;
mod finding;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{account::Mailbox, field::FieldError};

pub use commands::scoping;
pub use finding::warning;

/// The most mailboxes of each kind.
pub const MOST: usize = 50;

/// What an admin expects of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Expected {
    /// Addresses or object ids of mailboxes that must be readable.
    pub must_read: Vec<String>,
    /// Those that must not be.
    pub must_not_read: Vec<String>,
}

impl Expected {
    /// Checks what was typed; each mailbox once.
    pub fn parse(must_read: &[String], must_not_read: &[String]) -> Result<Self, FieldError> {
        const NOT: &str = "must not read";
        let (must_read, must_not_read) = (list("must read", must_read)?, list(NOT, must_not_read)?);
        if let Some(both) = must_not_read.iter().find(|one| must_read.contains(one)) {
            let reason = format!("`{both}` is to be readable, too; it cannot be both");
            return Err(FieldError::new(NOT, reason));
        }
        Ok(Self {
            must_read,
            must_not_read,
        })
    }

    /// Nobody expects anything.
    pub fn is_empty(&self) -> bool {
        self.must_read.is_empty() && self.must_not_read.is_empty()
    }

    /// All of them, and whether each must be readable.
    pub fn all(&self) -> impl Iterator<Item = (&str, bool)> {
        let must = self.must_read.iter().map(|one| (one.as_str(), true));
        must.chain(self.must_not_read.iter().map(|one| (one.as_str(), false)))
    }
}

fn list(field: &'static str, typed: &[String]) -> Result<Vec<String>, FieldError> {
    let mut all: Vec<String> = Vec::new();
    for text in typed {
        let mailbox = Mailbox::parse(text).map_err(|error| FieldError::new(field, error.reason))?;
        let Mailbox::Address(address) = mailbox else {
            return Err(FieldError::new(
                field,
                "`me` is nobody for an app of its own; give an address",
            ));
        };
        if !all.contains(&address) {
            all.push(address);
        }
    }
    if all.len() > MOST {
        return Err(FieldError::new(
            field,
            format!("give at most {MOST} mailboxes; a few tell enough"),
        ));
    }
    Ok(all)
}

/// What trying a mailbox found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Its mail can be read.
    Reads,
    /// Microsoft refuses: no permission covers it.
    KeptOut,
    /// There is no such mailbox in Exchange Online; that proves nothing.
    NoMailbox,
}

/// One mailbox, as it was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Address or object id.
    pub mailbox: String,
    /// Whether it must be readable; otherwise it must not be.
    pub must_read: bool,
    /// What was found last; `None`: that could never be told yet.
    pub found: Option<Found>,
    /// Why the last try told nothing; what was found before it stands.
    pub trouble: Option<String>,
}

impl Probe {
    /// Whether it is as expected, and known to be.
    pub fn is_as_meant(&self) -> bool {
        let wanted = if self.must_read { Found::Reads } else { Found::KeptOut };
        self.found == Some(wanted)
    }

    /// What is wanted, in words.
    pub fn wanted_words(&self) -> &'static str {
        if self.must_read {
            "must be readable"
        } else {
            "must not be"
        }
    }

    /// What was found, in words.
    pub fn found_words(&self) -> &'static str {
        match self.found {
            Some(Found::Reads) => "can be read",
            Some(Found::KeptOut) => "refused",
            Some(Found::NoMailbox) => "no such mailbox",
            None => "not known",
        }
    }
}

/// What trying all of them found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// When, by our clock.
    pub at: Timestamp,
    /// Application permissions that the access token carried: those granted in Entra, for the whole tenant.
    pub roles: Vec<String>,
    /// The mailboxes.
    pub probes: Vec<Probe>,
}

/// Whether the app reads every mailbox of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Everywhere {
    /// It does: a tenant-wide permission, and nothing keeps it out of a mailbox it must not read.
    Yes,
    /// It has a tenant-wide permission, and nothing was tried that would show a limit.
    Presumably,
    /// It has none, or an application access policy keeps it out somewhere.
    No,
}

impl Reach {
    /// How many of the mailboxes of one kind it reads, and how many there are.
    fn reads(&self, must_read: bool) -> (usize, usize) {
        let of_kind = self.probes.iter().filter(|probe| probe.must_read == must_read);
        let reads = of_kind
            .clone()
            .filter(|probe| probe.found == Some(Found::Reads))
            .count();
        (reads, of_kind.count())
    }

    /// `reads 3 of 3 allowed, 0 of 2 forbidden`.
    pub fn summary(&self) -> String {
        let ((allowed, of), (forbidden, of_forbidden)) = (self.reads(true), self.reads(false));
        format!("reads {allowed} of {of} allowed, {forbidden} of {of_forbidden} forbidden")
    }

    /// The permissions on mail among those of the token: they open every mailbox of the tenant.
    pub fn tenant_wide(&self) -> Vec<&str> {
        let mail = |role: &&str| role.to_ascii_lowercase().starts_with("mail.read");
        self.roles.iter().map(String::as_str).filter(mail).collect()
    }

    /// Whether it reads every mailbox.
    pub fn everywhere(&self) -> Everywhere {
        let forbidden = || self.probes.iter().filter(|probe| !probe.must_read);
        if self.tenant_wide().is_empty() || forbidden().any(|probe| probe.found == Some(Found::KeptOut)) {
            Everywhere::No
        } else if forbidden().any(|probe| probe.found == Some(Found::Reads)) {
            Everywhere::Yes
        } else {
            Everywhere::Presumably
        }
    }

    /// Whether everything is as the admin expects, and proven.
    pub fn is_as_meant(&self) -> bool {
        self.everywhere() == Everywhere::No && self.probes.iter().all(Probe::is_as_meant)
    }

    /// What differs from an earlier look, one short sentence each. Without one: what is not as meant.
    pub fn changes(&self, before: Option<&Self>) -> Vec<String> {
        let mut changes = Vec::new();
        for probe in &self.probes {
            let earlier = before.and_then(|reach| reach.probes.iter().find(|one| one.mailbox == probe.mailbox));
            let known = earlier.and_then(|one| one.found);
            let news = match (known, probe.found) {
                (_, None) => false,
                (None, Some(_)) => !probe.is_as_meant(),
                (Some(was), Some(is)) => was != is,
            };
            if news {
                changes.push(finding::of_mailbox(probe));
            }
        }
        let wide = self.everywhere();
        if before.map_or(wide == Everywhere::Yes, |before| before.everywhere() != wide) {
            changes.push(finding::of_everywhere(self));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(roles: &[&str], found: &[(&str, bool, Option<Found>)]) -> Reach {
        Reach {
            at: Timestamp::UNIX_EPOCH,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            probes: found
                .iter()
                .map(|&(mailbox, must_read, found)| Probe {
                    mailbox: mailbox.to_owned(),
                    must_read,
                    found,
                    trouble: None,
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_typed_is_checked() {
        let parse = |must: &[&str], not: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
            Expected::parse(&owned(must), &owned(not))
        };
        let both = parse(&["A@x.example", "a@x.example"], &["b@x.example"]).unwrap();
        assert_eq!((both.must_read.len(), both.must_not_read.len()), (1, 1), "each once");
        assert_eq!(parse(&["me"], &[]).unwrap_err().field, "must read");
        assert_eq!(parse(&[], &["no address"]).unwrap_err().field, "must not read");
        assert!(
            parse(&["a@x.example"], &["a@x.example"])
                .unwrap_err()
                .reason
                .contains("both")
        );
        let many: Vec<String> = (0..=MOST).map(|i| format!("m{i}@x.example")).collect();
        assert!(Expected::parse(&many, &[]).unwrap_err().reason.contains("50"));
    }

    #[test]
    fn a_tenant_wide_permission_is_no_harm_only_where_something_keeps_it_out() {
        use Found::{KeptOut, NoMailbox, Reads};
        for (roles, forbidden, wanted) in [
            (&["Mail.Read"][..], Some(Reads), Everywhere::Yes),
            (&["Mail.ReadWrite"], Some(NoMailbox), Everywhere::Presumably),
            (&["Mail.ReadWrite"], None, Everywhere::Presumably),
            (&["Mail.Read"], Some(KeptOut), Everywhere::No),
            (&[], Some(Reads), Everywhere::No),
            (&["User.Read.All"], None, Everywhere::No),
        ] {
            let reach = reach(roles, &[("a@x", true, Some(Reads)), ("b@x", false, forbidden)]);
            assert_eq!(reach.everywhere(), wanted, "{roles:?} {forbidden:?}");
            let meant = forbidden == Some(KeptOut);
            assert_eq!(reach.is_as_meant(), meant, "{roles:?} {forbidden:?}");
        }
        let found = [
            ("a@x", true, Some(Reads)),
            ("b@x", true, Some(KeptOut)),
            ("c@x", false, Some(KeptOut)),
        ];
        assert_eq!(reach(&[], &found).summary(), "reads 1 of 2 allowed, 0 of 1 forbidden");
    }

    #[test]
    fn a_try_that_told_nothing_is_no_change() {
        use Found::{KeptOut, Reads};
        let good = reach(&[], &[("a@x", true, Some(Reads)), ("b@x", false, Some(KeptOut))]);
        assert_eq!(good.changes(None), [""; 0], "as meant from the beginning is no news");
        let mut same = good.clone();
        same.probes[0].trouble = Some("no answer".into());
        assert_eq!(same.changes(Some(&good)), [""; 0]);
        let opened = reach(
            &["Mail.Read"],
            &[("a@x", true, Some(Reads)), ("b@x", false, Some(Reads))],
        );
        assert_eq!(
            opened.changes(Some(&good)).len(),
            2,
            "the mailbox, and that it is every mailbox"
        );
        assert_eq!(opened.changes(None).len(), 2);
        assert_eq!(
            good.changes(Some(&opened)).len(),
            2,
            "that it is well again is news, too"
        );
    }
}
