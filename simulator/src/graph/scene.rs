//! What a handler sees: the locked state, the mailbox, the request and what it asked for.

use super::error::{GraphError, RequestIds};
use super::prefer::Prefer;
use super::route::Route;
use crate::faults::Fault;
use crate::mailbox::{FolderKey, Item, ItemKey, Mailbox, ids};
use crate::simulator::State;
use crate::wire::Call;

pub(crate) struct Scene<'a> {
    pub(crate) state: &'a mut State,
    /// Index of the mailbox.
    pub(crate) at: usize,
    pub(crate) call: &'a Call,
    pub(crate) route: &'a Route,
    pub(crate) prefer: &'a Prefer,
    pub(crate) request: &'a RequestIds,
    /// A fault that changes a page from within.
    pub(crate) page_fault: Option<Fault>,
}

impl Scene<'_> {
    pub(crate) fn now_ms(&self) -> i64 {
        self.request.now_ms
    }

    pub(crate) fn mailbox(&self) -> Result<&Mailbox, GraphError> {
        self.state.mailboxes.get(self.at).ok_or_else(GraphError::item_not_found)
    }

    pub(crate) fn mailbox_mut(&mut self) -> Result<&mut Mailbox, GraphError> {
        self.state
            .mailboxes
            .get_mut(self.at)
            .ok_or_else(GraphError::item_not_found)
    }

    /// `{origin}/v1.0/users('{guid}')`: how links name the mailbox.
    pub(crate) fn root_url(&self) -> String {
        let guid = self.mailbox().map(|m| m.guid.clone()).unwrap_or_default();
        format!("{}/v1.0/users('{guid}')", self.call.origin)
    }

    /// `@odata.context` of something below the mailbox.
    pub(crate) fn context(&self, below: &str) -> String {
        let guid = self.mailbox().map(|m| m.guid.clone()).unwrap_or_default();
        format!("{}/v1.0/$metadata#users('{guid}')/{below}", self.call.origin)
    }

    /// The folder in the path.
    pub(crate) fn folder(&self) -> Result<Option<FolderKey>, GraphError> {
        let Some(segment) = &self.route.folder else {
            return Ok(None);
        };
        self.folder_named(segment).map(Some)
    }

    /// The folder an id or a well-known name stands for.
    pub(crate) fn folder_named(&self, segment: &str) -> Result<FolderKey, GraphError> {
        let mailbox = self.mailbox()?;
        match mailbox.folder_by_segment(segment) {
            Some(key) => Ok(key),
            None if ids::well_formed(segment) => Err(GraphError::item_not_found()),
            None => Err(GraphError::malformed_id()),
        }
    }

    /// The message in the path; below a folder only if it is in that folder.
    pub(crate) fn item(&self) -> Result<ItemKey, GraphError> {
        let id = self.route.message.as_deref().unwrap_or_default();
        let folder = self.folder()?;
        let mailbox = self.mailbox()?;
        let key = match mailbox.item_by_id(id) {
            Some(key) => key,
            None if ids::well_formed(id) => return Err(GraphError::item_not_found()),
            None => return Err(GraphError::malformed_id()),
        };
        if folder.is_some_and(|f| !mailbox.members(f).contains(&key)) {
            return Err(GraphError::item_not_found());
        }
        Ok(key)
    }

    /// The message in the path, for reading: a damaged one cannot be read.
    pub(crate) fn readable(&self) -> Result<(ItemKey, &Item), GraphError> {
        let key = self.item()?;
        let item = self.mailbox()?.items.get(key).ok_or_else(GraphError::item_not_found)?;
        if item.corruption.is_some() {
            return Err(GraphError::corrupt());
        }
        Ok((key, item))
    }
}
