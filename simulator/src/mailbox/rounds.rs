//! Delta rounds: what a round of a folder has to show, fixed when the round begins.

use super::changes::{Change, What};
use super::ids::IdFormat;
use super::{FolderKey, ItemKey, Mailbox};
use crate::readings::{MovedIn, OwnWrites, Readings, ReturnVisit};
use std::collections::HashMap;
use std::sync::Arc;

/// The options of the first request of a round; every later link carries them in its token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeltaQuery {
    /// Selected properties; empty means all.
    pub(crate) select: Vec<String>,
    /// `receivedDateTime ge` (false) or `gt` (true) this instant.
    pub(crate) received_from: Option<(i64, bool)>,
    pub(crate) newest_first: bool,
    /// Caps the whole result, not the page.
    pub(crate) top: Option<usize>,
    pub(crate) change_type: Option<ChangeType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeType {
    Created,
    Updated,
    Deleted,
}

/// One line a round will show. Messages that are present are shown as they are when the page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Present {
        item: ItemKey,
    },
    Removed {
        item: ItemKey,
        version: u32,
        destroyed: bool,
    },
}

/// A round under way or finished: what a `$skiptoken` or `$deltatoken` stands for.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) mailbox: usize,
    pub(crate) folder: FolderKey,
    pub(crate) query: DeltaQuery,
    pub(crate) lines: Arc<Vec<Line>>,
    /// The next line to show.
    pub(crate) at: usize,
    /// Changes up to this number are in this or an earlier round.
    pub(crate) until: u64,
    /// True for a `$deltatoken`: using it begins the next round.
    pub(crate) finished: bool,
}

/// Most messages a filtered round returns (Microsoft Graph, "message: delta").
const FILTER_CAP: usize = 5_000;

impl Mailbox {
    /// All that is in the folder now. `visible_ms`: what changed later is left for a later round.
    pub(crate) fn first_round(&self, mailbox: usize, folder: FolderKey, query: DeltaQuery, visible_ms: i64) -> Round {
        let until = self.visible_until(folder, visible_ms);
        let hidden = |key: ItemKey| {
            let log = self.folders.get(folder).map(|f| f.log.as_slice()).unwrap_or_default();
            until < self.seq
                && log
                    .iter()
                    .rev()
                    .take_while(|c| c.seq > until)
                    .any(|c| c.item == key && matches!(c.what, What::Arrived { .. }))
        };
        let mut keys: Vec<ItemKey> = self
            .members(folder)
            .into_iter()
            .filter(|k| self.admitted(*k, &query) && !hidden(*k))
            .collect();
        if query.newest_first {
            keys.sort_by_key(|k| std::cmp::Reverse(self.items.get(*k).map_or(0, |i| i.received_ms)));
        } else {
            // No order is promised, so none is given.
            keys.sort_by_key(|k| k.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16 & 0xFFFF_FFFF);
        }
        if query.received_from.is_some() {
            keys.truncate(FILTER_CAP);
        }
        let mut lines: Vec<Line> = keys.into_iter().map(|item| Line::Present { item }).collect();
        if matches!(query.change_type, Some(ChangeType::Updated | ChangeType::Deleted)) {
            lines.clear();
        }
        Self::round(mailbox, folder, query, lines, until)
    }

    /// What changed since a finished round.
    pub(crate) fn next_round(&self, last: &Round, format: IdFormat, readings: &Readings, visible_ms: i64) -> Round {
        let until = self.visible_until(last.folder, visible_ms).max(last.until);
        let log = self
            .folders
            .get(last.folder)
            .map(|f| f.log.as_slice())
            .unwrap_or_default();
        let from = log.partition_point(|c| c.seq <= last.until);
        let window: Vec<Change> = log
            .get(from..)
            .unwrap_or_default()
            .iter()
            .filter(|c| c.seq <= until)
            .copied()
            .collect();
        let mut stories: HashMap<ItemKey, Vec<Change>> = HashMap::new();
        for change in &window {
            stories.entry(change.item).or_default().push(*change);
        }
        let mut lines = Vec::new();
        for change in &window {
            // Told where its last change stands, and only there.
            if let Some(story) = stories
                .get(&change.item)
                .filter(|s| s.last().is_some_and(|c| c.seq == change.seq))
            {
                self.tell(story, last, format, readings, &mut lines);
            }
        }
        Self::round(last.mailbox, last.folder, last.query.clone(), lines, until)
    }

    /// The lines for one message out of its changes in the window.
    fn tell(&self, story: &[Change], last: &Round, format: IdFormat, readings: &Readings, lines: &mut Vec<Line>) {
        let Some(end) = story.last() else { return };
        let query = &last.query;
        let wanted = |t: ChangeType| query.change_type.is_none_or(|c| c == t);
        let left = story.iter().rev().find(|c| matches!(c.what, What::Left { .. }));
        if let What::Left { destroyed } = end.what {
            if wanted(ChangeType::Deleted) {
                lines.push(Line::Removed {
                    item: end.item,
                    version: end.version,
                    destroyed,
                });
            }
            return;
        }
        let arrived = story.iter().rev().find_map(|c| match c.what {
            What::Arrived { moved } => Some(moved),
            _ => None,
        });
        if let Some(gone) = left {
            if format == IdFormat::Default {
                // Under default ids the returned message is another one: the old id left.
                if wanted(ChangeType::Deleted) {
                    lines.push(Line::Removed {
                        item: gone.item,
                        version: gone.version,
                        destroyed: false,
                    });
                }
            } else if readings.return_visit == ReturnVisit::Lost && matches!(end.what, What::Arrived { .. }) {
                lines.push(Line::Removed {
                    item: gone.item,
                    version: gone.version,
                    destroyed: false,
                });
                return;
            }
        }
        if !self.admitted(end.item, query) {
            return;
        }
        match arrived {
            Some(moved) if wanted(ChangeType::Created) => {
                lines.push(Line::Present { item: end.item });
                if moved && readings.moved_in == MovedIn::Twice {
                    lines.push(Line::Present { item: end.item });
                }
            }
            None if wanted(ChangeType::Updated) => {
                let shown = query.select.is_empty()
                    || readings.own_writes == OwnWrites::Echo
                    || story
                        .iter()
                        .any(|c| matches!(c.what, What::Updated(t) if t.concerns(&query.select)));
                if shown {
                    lines.push(Line::Present { item: end.item });
                }
            }
            _ => {}
        }
    }

    fn admitted(&self, key: ItemKey, query: &DeltaQuery) -> bool {
        let Some(item) = self.items.get(key) else {
            return false;
        };
        query.received_from.is_none_or(|(from, strictly)| {
            if strictly {
                item.received_ms > from
            } else {
                item.received_ms >= from
            }
        })
    }

    fn visible_until(&self, folder: FolderKey, visible_ms: i64) -> u64 {
        let log = self.folders.get(folder).map(|f| f.log.as_slice()).unwrap_or_default();
        log.iter()
            .find(|c| c.at_ms > visible_ms)
            .map_or(self.seq, |c| c.seq - 1)
    }

    fn round(mailbox: usize, folder: FolderKey, query: DeltaQuery, mut lines: Vec<Line>, until: u64) -> Round {
        if let Some(top) = query.top {
            lines.truncate(top);
        }
        Round {
            mailbox,
            folder,
            query,
            lines: Arc::new(lines),
            at: 0,
            until,
            finished: false,
        }
    }
}
