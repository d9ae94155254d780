//! How far a folder is read: the cursor, with the query that made it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::graph::DELTA_QUERY;

/// Where in its life a folder's reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Walk {
    /// Never walked to its end yet: what lies before the start is counted, not recorded.
    First,
    /// Walked to its end: what appears is new, or moved in.
    Following,
    /// Walked anew, because Microsoft forgot the state or to reconcile; nothing on record is emitted twice.
    Again,
}

/// How often in a row a folder may be reset before it is said loudly.
pub const RESETS_IN_A_ROW: u32 = 3;

/// The progress of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderProgress {
    /// Graph's id of the folder; survives renaming (P27).
    pub id: String,
    /// Its path when it was opened, for people.
    pub name: String,
    /// Where the next request goes; nothing: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The link leads on within a round that is not complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub midway: bool,
    /// The version of our query that made the link.
    pub query: u32,
    /// Where in its life it is.
    pub walk: Walk,
    /// Counts resets and walks anew: the cursor never goes back within one.
    pub epoch: u32,
    /// Resets since the last complete round.
    #[serde(default)]
    pub resets: u32,
    /// Mail from before the start that was counted.
    #[serde(default)]
    pub before: u64,
    /// Rows of fingerprints of that mail.
    #[serde(default)]
    pub fingerprints: u32,
    /// When it was last walked from the beginning to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walked_at: Option<Timestamp>,
    /// Fed by listing, because its delta does not work; the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// Microsoft does not offer its changes at all, as in some clouds: it is asked again once a day. Until then `link` is a
    /// page of the list, and a walk is one through the list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_delta: bool,
    /// What an admin should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl FolderProgress {
    /// A folder that was never read.
    pub fn new(id: String, name: String) -> Self {
        Self {
            id,
            name,
            link: None,
            midway: false,
            query: DELTA_QUERY,
            walk: Walk::First,
            epoch: 0,
            resets: 0,
            before: 0,
            fingerprints: 0,
            walked_at: None,
            listing: None,
            no_delta: false,
            problem: None,
        }
    }

    /// From the beginning again.
    pub fn walk_anew(&mut self) {
        self.link = None;
        self.midway = false;
        self.query = DELTA_QUERY;
        self.epoch += 1;
        if self.walk == Walk::Following {
            self.walk = Walk::Again;
        }
    }

    /// The round is complete; the next begins at `link`.
    pub fn complete(&mut self, link: String, now: Timestamp) {
        self.link = Some(link);
        self.midway = false;
        self.resets = 0;
        self.listing = None;
        self.no_delta = false;
        self.problem = None;
        self.walked(now);
    }

    /// The list was read from its beginning to its end.
    pub fn listed(&mut self, now: Timestamp) {
        self.link = None;
        self.walked(now);
    }

    fn walked(&mut self, now: Timestamp) {
        if self.walk != Walk::Following {
            self.walk = Walk::Following;
            self.walked_at = Some(now);
        }
    }
}

/// The fingerprint of a mail from before the start: the first 8 bytes of a digest of its id, in hexadecimal.
pub fn fingerprint(id: &crate::message::ImmutableId) -> u64 {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(id.0.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_walk_stays_first_until_it_was_complete() {
        let mut folder = FolderProgress::new("id".into(), "Inbox".into());
        folder.walk_anew();
        assert_eq!(folder.walk, Walk::First);
        folder.complete("delta".into(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            (folder.walk, folder.walked_at),
            (Walk::Following, Some(Timestamp::UNIX_EPOCH))
        );
        folder.walk_anew();
        assert_eq!(
            (folder.walk, folder.link.as_deref(), folder.epoch),
            (Walk::Again, None, 2)
        );
    }
}
