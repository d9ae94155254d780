//! A folder that is fed by its list: because its changes cannot be read for now, or are not offered at all.

use jiff::Timestamp;

use crate::{
    graph::{GraphError, GraphErrorKind},
    time::between,
};

use super::{Context, FolderProgress, Found, Page, PageError, Reader, Walk};

/// Pages of the list of a folder without changes that are read in any case, and further ones as long as they bring
/// something: what is new is at the beginning. The whole list is read once a day.
const PAGES_OF_A_LIST: u32 = 3;
/// How often in a run a walk through a list is repeated until it shows nothing more: pages shift while mail is moved away.
const LISTS_OF_A_RUN: u32 = 2;
/// Mail that came so lately stands at the beginning of the list, which every run reads.
const LATELY: std::time::Duration = std::time::Duration::from_hours(1);

/// Reading the list of a folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    pub(super) link: Option<String>,
    /// Pages read since its beginning.
    pages: u32,
    /// Times it was begun in this run.
    lists: u32,
    /// This time it showed mail that was not known yet, or may have.
    grew: bool,
}

impl Listing {
    /// For a folder whose changes are known not to be offered. What begins anew, once a day, asks for changes first.
    pub(super) fn of(at: &FolderProgress) -> Option<Self> {
        let listed = at.no_delta && (at.walk != Walk::Again || at.link.is_some());
        listed.then(|| Self {
            link: at.link.clone(),
            grew: at.link.is_some(),
            ..Self::default()
        })
    }
}

impl Reader {
    /// Either the folder is gone, or its changes are not offered: the folder itself tells.
    pub(super) async fn without_delta(
        &mut self,
        context: &Context<'_>,
        error: GraphError,
        page: &mut Page,
    ) -> Result<(), PageError> {
        match context.client.folder(&self.at.id).await {
            Err(folder) if matches!(folder.kind, GraphErrorKind::NotFound | GraphErrorKind::Refused) => {
                self.trouble(error, page)
            }
            Err(folder) => Err(PageError::Graph(folder)),
            // Without a link it shows whether that is all.
            Ok(_) if self.at.link.is_some() && error.status != Some(501) => {
                self.reset(page, "Microsoft does not know its own link any more", error.request_id);
                Ok(())
            }
            Ok(_) => {
                // Whatever is on its list may be new: it is read as a whole.
                self.at.walk_anew();
                self.at.no_delta = true;
                let what = format!(
                    "Microsoft does not offer the changes of this folder ({error}); its list is read instead, and once a day as a whole. In some national clouds that stays so"
                );
                self.feed_by_listing(page, what, error.request_id.clone());
                Ok(())
            }
        }
    }

    pub(super) fn feed_by_listing(&mut self, page: &mut Page, what: String, request_id: Option<String>) {
        self.at.listing = Some(what.clone());
        self.problem(page, what, request_id);
        self.listing = Some(Listing::default());
        self.links.clear();
    }

    /// The page of the list where it would have gone on is not taken any more.
    pub(super) fn forget_list(&mut self) {
        if self.at.no_delta {
            self.at.link = None;
        }
    }

    /// The list has no more. A walk through it ends with a list that shows nothing new: whatever a first walk passes
    /// over is known from then on, and what others moved away meanwhile hid the same number of mails.
    pub(super) fn listed(&mut self, now: Timestamp) {
        self.done = true;
        let Some(listing) = self.listing.as_mut().filter(|_| self.at.no_delta) else {
            return;
        };
        if self.at.walk == Walk::Following || !listing.grew {
            self.at.listed(now);
            return;
        }
        let lists = listing.lists + 1;
        self.at.link = None;
        if lists < LISTS_OF_A_RUN {
            self.done = false;
            self.links.clear();
            *listing = Listing {
                lists,
                ..Listing::default()
            };
        }
    }

    /// Whether the rest of the list can wait for the daily walk.
    pub(super) fn enough_listed(&self, page: &Page) -> bool {
        self.at.no_delta
            && self.at.walk == Walk::Following
            && page.found.is_empty()
            && self
                .listing
                .as_ref()
                .is_some_and(|listing| listing.pages >= PAGES_OF_A_LIST)
    }

    /// A page of the list was taken in.
    pub(super) fn count_page(&mut self, page: &Page, now: Timestamp) {
        if let Some(listing) = &mut self.listing {
            listing.pages += 1;
            let old = |found: &Found| found.envelope.received.is_none_or(|at| between(at, now) > LATELY);
            listing.grew |= !page.before.is_empty() || page.found.iter().any(old);
        }
    }

    /// The list goes on there; a long one in the next run, until it was read once.
    pub(super) fn list_on(&mut self, link: String) {
        if self.at.no_delta && self.at.walk != Walk::Following {
            self.at.link = Some(link.clone());
        }
        if let Some(listing) = &mut self.listing {
            listing.link = Some(link);
        }
    }
}

/// Whether a folder's changes were answered as what does not exist: the folder is gone, or changes are not offered.
pub(super) fn may_be_missing(error: &GraphError, with_link: bool) -> bool {
    match error.status {
        _ if matches!(error.kind, GraphErrorKind::Reset) => false,
        Some(404 | 501) => true,
        Some(400) => !with_link,
        _ => false,
    }
}
