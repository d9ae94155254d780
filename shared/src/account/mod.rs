//! The account: a mailbox to import, validated as it is typed.

mod choices;
mod folder_name;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::field::{FieldError, Id};

pub use choices::{AfterImport, MAX_MESSAGE, Start, parse_interval, parse_size, show_interval, show_size};
pub use folder_name::{FolderName, WELL_KNOWN_FOLDERS};

/// Whose mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Mailbox {
    /// The person who signed in (authorization code only).
    Me,
    /// A user principal name (lower case) or an object id.
    Address(String),
}

impl Mailbox {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        const FIELD: &str = "mailbox";
        let text = text.trim();
        if text.eq_ignore_ascii_case("me") {
            return Ok(Self::Me);
        }
        let bad = |reason: &str| Err(FieldError::new(FIELD, format!("`{}` {reason}", text.escape_debug())));
        if uuid::Uuid::parse_str(text).is_ok_and(|id| id.hyphenated().to_string().eq_ignore_ascii_case(text)) {
            return Ok(Self::Address(text.to_ascii_lowercase()));
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return bad("is no address; give for example `orders@contoso.example`, an object id, or `me`");
        };
        let odd = |c: char| {
            c.is_control()
                || c.is_whitespace()
                || "/\\?#%<>()[]:;,\"@".contains(c)
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        if local.is_empty()
            || local.len() > 64
            || domain.len() < 3
            || text.len() > 254
            || local.contains(odd)
            || domain.contains(odd)
        {
            return bad("is no address; give for example `orders@contoso.example`");
        }
        if !domain.contains('.') || domain.split('.').any(str::is_empty) || local.contains("..") {
            return bad("has no complete domain");
        }
        Ok(Self::Address(text.to_lowercase()))
    }

    /// As typed in a command or shown.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Me => "me",
            Self::Address(address) => address,
        }
    }
}

impl TryFrom<String> for Mailbox {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.as_str().to_owned()
    }
}

/// The settings of an account, as checked and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Short name.
    pub id: Id,
    /// For people.
    pub description: String,
    /// Whose mailbox.
    pub mailbox: Mailbox,
    /// The credential applied on it.
    pub credential: Id,
    /// Which folders; never empty.
    pub folders: Vec<FolderName>,
    /// Their subfolders, too.
    pub subfolders: bool,
    /// Where to start.
    pub start: Start,
    /// What to do after import.
    pub after_import: AfterImport,
    /// The schedule.
    pub every: Duration,
    /// Whether it runs on schedule.
    pub enabled: bool,
    /// The most bytes of MIME a message may have; a larger one is quarantined.
    #[serde(default = "max_message")]
    pub max_message: u64,
}

fn max_message() -> u64 {
    MAX_MESSAGE
}

impl Account {
    /// Checks what single fields cannot tell.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.folders.is_empty() {
            return Err(FieldError::new("folder", "name at least one, for example `inbox`"));
        }
        let mut sorted = self.folders.clone();
        sorted.sort();
        if let Some((twice, _)) = sorted.iter().zip(sorted.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(FieldError::new("folder", format!("`{twice}` is named twice")));
        }
        if let AfterImport::Move(to) = &self.after_import
            && self.folders.contains(to)
        {
            return Err(FieldError::new(
                "after import",
                format!("moving to `{to}` would leave the mail where it is; name another folder"),
            ));
        }
        Ok(())
    }

    /// The mailbox as records know it: the same for every account on it, whatever credential is applied.
    pub fn mailbox_key(&self, graph_url: &url::Url) -> MailboxKey {
        let owner = match &self.mailbox {
            // Until sign-in says who it is, the credential stands for the person.
            Mailbox::Me => format!("me:{}", self.credential),
            Mailbox::Address(address) => address.clone(),
        };
        MailboxKey(digest(&[graph_url.host_str().unwrap_or_default(), &owner]))
    }
}

/// The key of a mailbox in records: a digest, so that no address stands in a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailboxKey(pub String);

impl fmt::Display for MailboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 130 bits of SHA-256 over the parts, in 26 characters of `a-z2-7`; the parts cannot run into each other.
pub fn digest(parts: &[&str]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let bytes = hash.finalize();
    let mut text = String::with_capacity(26);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(byte);
        count += 8;
        while count >= 5 && text.len() < 26 {
            count -= 5;
            text.push(char::from(ALPHABET[(bits >> count) as usize & 31]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_one_path_segment() {
        for good in [
            "Orders@Contoso.example",
            "me",
            "8f0c0000-0000-4000-8000-000000000001",
            "o'hara+x@a.b",
        ] {
            assert!(Mailbox::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b/../../users/v",
            "a@b?x=",
            "a%2f@b.c",
            "a@b",
            "a@b..c",
            "@b.c",
            "a b@c.d",
            "a@b\n.c",
            "a\u{202e}@b.c",
            "a@b@c.d",
        ] {
            assert!(Mailbox::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Mailbox::parse("Orders@Contoso.example").unwrap().as_str(),
            "orders@contoso.example"
        );
    }

    #[test]
    fn folders_are_told_apart() {
        assert_eq!(
            FolderName::parse("Inbox").unwrap(),
            FolderName::WellKnown("inbox".into())
        );
        assert_eq!(
            FolderName::parse("Inbox/Orders ").unwrap(),
            FolderName::Path(vec!["Inbox".into(), "Orders".into()])
        );
        assert_eq!(FolderName::parse("id:AAMk=").unwrap(), FolderName::Id("AAMk=".into()));
        for bad in ["", "/", "a//b", "id:", "a\nb"] {
            assert!(FolderName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn starts_actions_and_intervals_round_trip() {
        for text in ["now", "everything", "2026-01-31"] {
            assert_eq!(Start::parse(text).unwrap().to_string(), text);
        }
        assert!(Start::parse("2026-02-30").is_err());
        for text in ["none", "mark-read", "move:Inbox/Done", "delete"] {
            assert_eq!(AfterImport::parse(text).unwrap().to_string(), text);
        }
        for text in ["10s", "5m", "2h", "1d"] {
            assert_eq!(show_interval(parse_interval(text).unwrap()), text);
        }
        for bad in ["", "5", "9s", "2d", "m", "-1m", "1.5h", "99999999999999999999d"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_keep_parts_apart() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["ab", "c"]).len(), 26);
    }
}
