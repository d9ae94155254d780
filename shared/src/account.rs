//! The account: a mailbox to import, validated as it is typed.

use std::{fmt, time::Duration};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::field::{FieldError, Id, one_line};

/// Names that Graph takes instead of a folder id (Microsoft Graph, mailFolder resource type).
pub const WELL_KNOWN_FOLDERS: [&str; 17] = [
    "archive",
    "clutter",
    "conflicts",
    "conversationhistory",
    "deleteditems",
    "drafts",
    "inbox",
    "junkemail",
    "localfailures",
    "msgfolderroot",
    "outbox",
    "recoverableitemsdeletions",
    "scheduled",
    "searchfolders",
    "sentitems",
    "serverfailures",
    "syncissues",
];

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

/// A folder as an admin names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FolderName {
    /// One of [`WELL_KNOWN_FOLDERS`].
    WellKnown(String),
    /// Display names from the root of the mailbox, `Inbox/Orders`; the first may be a well-known name.
    Path(Vec<String>),
    /// Graph's folder id, typed as `id:AAMk...`.
    Id(String),
}

impl FolderName {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        const FIELD: &str = "folder";
        let text = one_line(FIELD, text, 1_000)?;
        if let Some(id) = text.strip_prefix("id:") {
            return if id.is_empty() || id.contains(char::is_whitespace) {
                Err(FieldError::new(FIELD, "the id after `id:` is missing or holds a blank"))
            } else {
                Ok(Self::Id(id.to_owned()))
            };
        }
        let name = text.to_ascii_lowercase();
        if WELL_KNOWN_FOLDERS.contains(&name.as_str()) {
            return Ok(Self::WellKnown(name));
        }
        let parts: Vec<String> = text.split('/').map(|part| part.trim().to_owned()).collect();
        if parts.iter().any(String::is_empty) {
            return Err(FieldError::new(
                FIELD,
                format!(
                    "`{text}` is no folder; give a well-known name such as `inbox`, a path such as `Inbox/Orders`, or `id:` with Graph's folder id"
                ),
            ));
        }
        Ok(Self::Path(parts))
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WellKnown(name) => f.write_str(name),
            Self::Path(parts) => f.write_str(&parts.join("/")),
            Self::Id(id) => write!(f, "id:{id}"),
        }
    }
}

impl TryFrom<String> for FolderName {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<FolderName> for String {
    fn from(folder: FolderName) -> Self {
        folder.to_string()
    }
}

/// Where to start: a choice nobody makes for the admin (P46).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Start {
    /// What arrives from now on, by the server's clock.
    Now,
    /// What was received from the beginning of this day on (UTC).
    Date(Date),
    /// All there is.
    Everything,
}

impl Start {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        match text.trim() {
            "now" => Ok(Self::Now),
            "everything" => Ok(Self::Everything),
            other => other.parse().map(Self::Date).map_err(|_| {
                FieldError::new(
                    "start",
                    format!(
                        "`{}` is none of `now`, `everything` or a day such as `2026-01-31`",
                        other.escape_debug()
                    ),
                )
            }),
        }
    }

    /// The instant from which mail counts, if it is known without asking the server. The outer `None`: ask the server.
    pub fn instant(&self) -> Option<Option<Timestamp>> {
        match self {
            Self::Now => None,
            Self::Everything => Some(None),
            Self::Date(day) => Some(TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Everything => f.write_str("everything"),
            Self::Date(day) => write!(f, "{day}"),
        }
    }
}

impl TryFrom<String> for Start {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<Start> for String {
    fn from(start: Start) -> Self {
        start.to_string()
    }
}

/// What to do with the mail in the mailbox after its import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AfterImport {
    /// Leave it as it is: reading permission is enough (P72).
    Nothing,
    /// Mark it as read.
    MarkRead,
    /// Move it.
    Move(FolderName),
    /// Delete it, as a person would (it goes to Deleted Items).
    Delete,
}

impl AfterImport {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        match text.trim() {
            "none" => Ok(Self::Nothing),
            "mark-read" => Ok(Self::MarkRead),
            "delete" => Ok(Self::Delete),
            other => match other.strip_prefix("move:") {
                Some(folder) => Ok(Self::Move(FolderName::parse(folder)?)),
                None => Err(FieldError::new(
                    "after import",
                    format!(
                        "`{}` is none of `none`, `mark-read`, `move:FOLDER`, `delete`",
                        other.escape_debug()
                    ),
                )),
            },
        }
    }
}

impl fmt::Display for AfterImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::MarkRead => f.write_str("mark-read"),
            Self::Move(folder) => write!(f, "move:{folder}"),
            Self::Delete => f.write_str("delete"),
        }
    }
}

impl TryFrom<String> for AfterImport {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::parse(&text)
    }
}

impl From<AfterImport> for String {
    fn from(after: AfterImport) -> Self {
        after.to_string()
    }
}

/// An interval such as `30s`, `5m`, `2h`, `1d`: from one minute (10 s in `s`, for trials) to one day.
pub fn parse_interval(text: &str) -> Result<Duration, FieldError> {
    const FIELD: &str = "every";
    let wrong = || {
        FieldError::new(
            FIELD,
            format!(
                "`{}` is no interval from 10s to 1d; give for example `5m`",
                text.escape_debug()
            ),
        )
    };
    let text = text.trim();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text
        .strip_suffix(unit)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(factor)
        .filter(|seconds| (10..=86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// Shows an interval as it is typed.
pub fn show_interval(interval: Duration) -> String {
    let seconds = interval.as_secs();
    match seconds {
        s if s % 86_400 == 0 && s > 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 && s > 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 && s > 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
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
}

impl Account {
    /// Checks what single fields cannot tell.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.folders.is_empty() {
            return Err(FieldError::new("folder", "name at least one, for example `inbox`"));
        }
        let mut sorted = self.folders.clone();
        sorted.sort();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(FieldError::new("folder", format!("`{}` is named twice", twice[0])));
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
