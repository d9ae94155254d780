//! What a call is for, and how many there were.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What a call is for: named in errors, counted in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Looking for folders.
    Folder,
    /// A page of changes or of a listing.
    Page,
    /// The MIME of a message.
    Mime,
    /// A look at one message.
    Look,
    /// A write in the mailbox.
    Write,
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Folder => "looking for a folder",
            Self::Page => "reading a page of the folder",
            Self::Mime => "fetching the mail",
            Self::Look => "looking at the mail",
            Self::Write => "changing the mail in the mailbox",
        }
    }
}

/// What was sent and received so far; shared with whoever shows progress.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests by kind, in the order of [`Kind`].
    pub(super) requests: [AtomicU64; 5],
    /// Requests that carried several writes.
    pub(super) batches: AtomicU64,
    /// Bytes of MIME received.
    pub bytes: AtomicU64,
    /// Answers of 429.
    pub throttled: AtomicU64,
    /// Milliseconds waited because Microsoft asked for it.
    pub waited: AtomicU64,
}

/// [`Counts`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Requests {
    /// Looking for folders.
    pub folders: u64,
    /// Pages.
    pub pages: u64,
    /// MIME.
    pub mime: u64,
    /// Looks at one message.
    pub looks: u64,
    /// Writes, those within batches included.
    pub writes: u64,
    /// Batches, which Microsoft does not count: it counts what is in them.
    #[serde(default)]
    pub batches: u64,
}

impl Requests {
    /// All that Microsoft counts.
    pub fn total(&self) -> u64 {
        self.folders + self.pages + self.mime + self.looks + self.writes
    }
}

impl Counts {
    /// Requests by kind.
    pub fn requests(&self) -> Requests {
        let at = |kind: Kind| self.requests[kind as usize].load(Ordering::Relaxed);
        Requests {
            folders: at(Kind::Folder),
            pages: at(Kind::Page),
            mime: at(Kind::Mime),
            looks: at(Kind::Look),
            writes: at(Kind::Write),
            batches: self.batches.load(Ordering::Relaxed),
        }
    }
}
