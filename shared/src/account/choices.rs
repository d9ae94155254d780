//! What an admin chooses for an account: where to start, what to do after import, how often.

use std::{fmt, time::Duration};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::field::FieldError;

use super::folder_name::FolderName;

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
            Self::Date(day) => {
                // A day beyond the last instant there is must not mean everything.
                let day = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0));
                Some(Some(day.unwrap_or(Timestamp::MAX)))
            }
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
/// The most bytes of MIME unless the account says otherwise. Exchange Online takes messages of up to 150 MB ("Exchange Online
/// limits", message size); MIME that it makes anew may be somewhat larger.
pub const MAX_MESSAGE: u64 = 200 * MEGABYTE;
const MEGABYTE: u64 = 1_000_000;

/// A size such as `25MB` or `1GB`: from 1 MB to 2 GB, in bytes.
pub fn parse_size(text: &str) -> Result<u64, FieldError> {
    let wrong = || {
        FieldError::new(
            "max message",
            format!(
                "`{}` is no size from 1MB to 2GB; give for example `25MB`",
                text.escape_debug()
            ),
        )
    };
    let upper = text.trim().to_ascii_uppercase();
    let (digits, unit) = match (upper.strip_suffix("MB"), upper.strip_suffix("GB")) {
        (Some(digits), _) => (digits, MEGABYTE),
        (_, Some(digits)) => (digits, 1_000 * MEGABYTE),
        _ => return Err(wrong()),
    };
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    number
        .checked_mul(unit)
        .filter(|bytes| (MEGABYTE..=2_000 * MEGABYTE).contains(bytes))
        .ok_or_else(wrong)
}

/// Shows a size as it is typed.
pub fn show_size(bytes: u64) -> String {
    format!("{}MB", bytes / MEGABYTE)
}
