//! Control of mailboxes and mail: deliver, move, delete, mark, edit; folders; damage.

use super::ControlError;
use crate::entra::directory::User;
use crate::mail::Mime;
use crate::mailbox::changes::{Start, Touched};
use crate::mailbox::folders::FolderTrouble;
use crate::mailbox::ids::IdFormat;
use crate::mailbox::{Corruption, ItemKey, Mailbox};
use crate::simulator::{Simulator, State};
use rand::Rng as _;

/// What to deliver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The mail.
    pub mime: Mime,
    /// Folder: id, well-known name, display name or path.
    pub folder: String,
    /// `receivedDateTime` in Unix milliseconds; `None` is now.
    pub received_ms: Option<i64>,
    /// Delivered as read.
    pub read: bool,
    /// An unsent draft.
    pub draft: bool,
}

impl Delivery {
    /// Unread mail for the inbox, received now.
    pub fn inbox(mime: impl Into<Mime>) -> Self {
        Self {
            mime: mime.into(),
            folder: "inbox".to_owned(),
            received_ms: None,
            read: false,
            draft: false,
        }
    }

    /// The same, into another folder.
    #[must_use]
    pub fn folder(mut self, folder: &str) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// The same, received then (Unix milliseconds).
    #[must_use]
    pub fn received(mut self, ms: i64) -> Self {
        self.received_ms = Some(ms);
        self
    }
}

impl Simulator {
    /// A new mailbox with the usual folders, and the person it belongs to; answers the GUID of both.
    /// An existing one stays as it is.
    pub fn add_mailbox(&self, address: &str) -> String {
        let known = {
            let state = self.lock();
            let at = state.mailbox_named(address);
            at.and_then(|at| state.mailboxes.get(at)).map(|m| m.guid.clone())
        };
        known.unwrap_or_else(|| self.add_user(User::new(address, "")))
    }

    /// Puts a message into a mailbox; answers its immutable id.
    pub fn deliver(&self, mailbox: &str, delivery: Delivery) -> Result<String, ControlError> {
        let now = self.now_ms();
        self.with(mailbox, |m| {
            let folder = m.folder_by_path(&delivery.folder)?;
            let start = Start {
                received_ms: delivery.received_ms.unwrap_or(now),
                read: delivery.read,
                draft: delivery.draft,
            };
            let key = m.add(folder, delivery.mime, &start, now);
            Ok(m.id_of(key, IdFormat::Immutable))
        })
    }

    /// The next generated message, received now.
    pub fn deliver_generated(&self, mailbox: &str, folder: &str) -> Result<String, ControlError> {
        let mime = self.next_generated(self.now_ms());
        self.deliver(mailbox, Delivery::inbox(mime).folder(folder))
    }

    /// Fills a folder with so many generated messages, received over the last `days` days, some of them read.
    pub fn fill(&self, mailbox: &str, folder: &str, count: usize, days: u32) -> Result<(), ControlError> {
        let now = self.now_ms();
        let span = i64::from(days.max(1)) * 86_400_000;
        for at in 0..count {
            let step = i64::try_from(at).unwrap_or(0) * (span / i64::try_from(count.max(1)).unwrap_or(1));
            let received = now - span + step;
            let mut delivery = Delivery::inbox(self.next_generated(received - 4_000))
                .folder(folder)
                .received(received);
            delivery.read = self.lock().rng.random_ratio(1, 3);
            self.deliver(mailbox, delivery)?;
        }
        Ok(())
    }

    /// A generated message of about `size` bytes, in the inbox.
    pub fn deliver_sized(&self, mailbox: &str, size: usize) -> Result<String, ControlError> {
        let sent_ms = self.now_ms();
        let (seed, index) = self.next_number();
        self.deliver(
            mailbox,
            Delivery::inbox(Mime::Sized {
                seed,
                index,
                sent_ms,
                size,
            }),
        )
    }

    fn next_generated(&self, sent_ms: i64) -> Mime {
        let (seed, index) = self.next_number();
        Mime::Generated { seed, index, sent_ms }
    }

    fn next_number(&self) -> (u64, u64) {
        let mut state = self.lock();
        state.next_mail += 1;
        (state.options.seed, state.next_mail - 1)
    }

    /// Moves a message, as its owner would.
    pub fn move_message(&self, mailbox: &str, id: &str, folder: &str) -> Result<(), ControlError> {
        let now = self.now_ms();
        self.with_item(mailbox, id, |m, key| {
            let to = m.folder_by_path(folder)?;
            m.move_item(key, to, now);
            Ok(())
        })
    }

    /// Deletes a message, as its owner would: to Deleted Items, then Recoverable Items, then for good.
    pub fn delete_message(&self, mailbox: &str, id: &str) -> Result<(), ControlError> {
        let now = self.now_ms();
        let reading = self.lock().options.readings.delete_to;
        self.with_item(mailbox, id, |m, key| {
            m.delete_item(key, reading, now);
            Ok(())
        })
    }

    /// Takes a message away for good.
    pub fn purge_message(&self, mailbox: &str, id: &str) -> Result<(), ControlError> {
        self.with_item(mailbox, id, |m, key| {
            m.purge(key);
            Ok(())
        })
    }

    /// Marks a message read or unread, as its owner would.
    pub fn mark(&self, mailbox: &str, id: &str, read: bool) -> Result<(), ControlError> {
        let now = self.now_ms();
        self.with_item(mailbox, id, |m, key| {
            m.update(key, Touched::Read, now, |i| i.read = read);
            Ok(())
        })
    }

    /// Replaces the content of a draft.
    pub fn edit_draft(&self, mailbox: &str, id: &str, mime: impl Into<Mime>) -> Result<(), ControlError> {
        let now = self.now_ms();
        let mime = mime.into();
        self.with_item(mailbox, id, |m, key| {
            m.rewrite(key, mime, now);
            Ok(())
        })
    }

    /// Sends a draft: it is no draft any more and lies in Sent Items.
    pub fn send_draft(&self, mailbox: &str, id: &str) -> Result<(), ControlError> {
        let now = self.now_ms();
        self.with_item(mailbox, id, |m, key| {
            let to = m.folder_by_path("sentitems")?;
            m.update(key, Touched::Content, now, |i| i.draft = false);
            m.move_item(key, to, now);
            Ok(())
        })
    }

    /// Adds a link to a file elsewhere, which Graph shows as a reference attachment.
    pub fn add_reference(&self, mailbox: &str, id: &str, name: &str, url: &str) -> Result<(), ControlError> {
        let now = self.now_ms();
        self.with_item(mailbox, id, |m, key| {
            m.update(key, Touched::Content, now, |i| {
                i.references.push((name.to_owned(), url.to_owned()));
            });
            Ok(())
        })
    }

    /// Damages a message, or with `None` repairs it.
    pub fn corrupt(&self, mailbox: &str, id: &str, how: Option<Corruption>) -> Result<(), ControlError> {
        self.with_item(mailbox, id, |m, key| {
            if let Some(item) = m.items.get_mut(key) {
                item.corruption = how;
            }
            Ok(())
        })
    }

    /// Makes a folder (`parent/child`; the parent must exist); answers its id.
    pub fn create_folder(&self, mailbox: &str, path: &str, hidden: bool) -> Result<String, ControlError> {
        self.with(mailbox, |m| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("msgfolderroot", path));
            let parent = m.folder_by_path(parent)?;
            let key = m.create_folder(parent, name, hidden)?;
            m.folders
                .get(key)
                .map(|f| f.id.clone())
                .ok_or_else(|| FolderTrouble::Unknown(path.to_owned()).into())
        })
    }

    /// Renames a folder; its id stays.
    pub fn rename_folder(&self, mailbox: &str, path: &str, name: &str) -> Result<(), ControlError> {
        self.with(mailbox, |m| {
            let key = m.folder_by_path(path)?;
            Ok(m.rename_folder(key, name)?)
        })
    }

    /// Takes a folder away with everything in it.
    pub fn delete_folder(&self, mailbox: &str, path: &str) -> Result<(), ControlError> {
        self.with(mailbox, |m| {
            let key = m.folder_by_path(path)?;
            Ok(m.delete_folder(key)?)
        })
    }

    /// The id of a folder.
    pub fn folder_id(&self, mailbox: &str, path: &str) -> Result<String, ControlError> {
        self.with(mailbox, |m| {
            let key = m.folder_by_path(path)?;
            Ok(m.folders.get(key).map(|f| f.id.clone()).unwrap_or_default())
        })
    }

    /// Switches a mailbox off (`MailboxNotEnabledForRESTAPI`) or on again.
    pub fn enable_mailbox(&self, mailbox: &str, enabled: bool) -> Result<(), ControlError> {
        self.with(mailbox, |m| {
            m.enabled = enabled;
            Ok(())
        })
    }

    /// Puts a mailbox outside of the application access policy, or inside again.
    pub fn set_in_policy(&self, mailbox: &str, inside: bool) -> Result<(), ControlError> {
        self.with(mailbox, |m| {
            m.in_policy = inside;
            Ok(())
        })
    }

    pub(crate) fn with<T>(
        &self,
        mailbox: &str,
        act: impl FnOnce(&mut Mailbox) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let mut state = self.lock();
        let found = find(&mut state, mailbox)?;
        act(found)
    }

    fn with_item<T>(
        &self,
        mailbox: &str,
        id: &str,
        act: impl FnOnce(&mut Mailbox, ItemKey) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        self.with(mailbox, |m| {
            let key = m.item_by_id(id).ok_or_else(|| ControlError::Message(id.to_owned()))?;
            act(m, key)
        })
    }
}

fn find<'a>(state: &'a mut State, mailbox: &str) -> Result<&'a mut Mailbox, ControlError> {
    let at = state.mailbox_named(mailbox);
    at.and_then(|at| state.mailboxes.get_mut(at))
        .ok_or_else(|| ControlError::Mailbox(mailbox.to_owned()))
}
