//! Messages: the record of each, and the list of them by time.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::MailboxKey,
    message::{ActionRecord, Disposition, Envelope, Message, MessageKey},
    ports::{Condition, GET_MANY_KEYS, Item, Key, PageMark, Query, Store, Write},
};

use super::{RECORD, RecordError, Shelf, attribute, attributes, json, page, record, required};

/// One line of the list of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The message.
    pub key: MessageKey,
    /// Its account.
    pub account: String,
    /// What became of it.
    pub disposition: Disposition,
    /// The folder it was found in.
    pub folder: String,
    /// What the page said.
    pub envelope: Envelope,
    /// Its length in bytes, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How many attachments it has, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<u32>,
}

impl Listed {
    /// Whether the text stands in subject, sender, Message-ID, folder or key; upper and lower case are the same.
    /// `needle` must be lower case.
    pub fn matches(&self, needle: &str) -> bool {
        let envelope = &self.envelope;
        [
            &envelope.subject,
            &envelope.from,
            &envelope.from_name,
            &envelope.internet_message_id,
        ]
        .into_iter()
        .flatten()
        .chain([&self.folder, &self.key.0])
        .any(|text| text.to_lowercase().contains(needle))
    }
}

/// The shelf of messages of all mailboxes.
#[derive(Clone)]
pub struct Messages {
    store: Arc<dyn Store>,
}

/// Up to the query's limit, over as many pages as the store makes of them.
async fn collect<T>(
    store: &dyn Store,
    mut query: Query,
    read: impl Fn(&Item) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    let wanted = query.limit;
    let mut found = Vec::new();
    loop {
        let page = store.query(&query).await?;
        for item in &page.items {
            found.push(read(item)?);
        }
        query.limit = wanted.saturating_sub(found.len());
        query.after = page.next;
        if query.after.is_none() || query.limit == 0 {
            return Ok(found);
        }
    }
}

fn listed_partition(mailbox: &MailboxKey) -> String {
    format!("received#{mailbox}")
}

impl Messages {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Where a message's record lives.
    pub fn key(mailbox: &MailboxKey, key: &MessageKey) -> Key {
        Key::new(format!("messages#{mailbox}"), key.0.clone())
    }

    /// The sort key of a message in the list by time: the server's word when there is one, else ours.
    pub fn list_key(envelope: &Envelope, seen_at: Timestamp, key: &MessageKey) -> String {
        let at = envelope.received.unwrap_or(seen_at).as_millisecond().max(0);
        format!("{at:016}#{key}")
    }

    /// The two writes that keep a message: its record and its line in the list. `previous` is what became of it
    /// before, or nothing if it is new: another run's word is never overwritten.
    pub fn writes(mailbox: &MailboxKey, message: &Message, previous: Option<Disposition>) -> [Write; 2] {
        let listed = Listed {
            key: message.key.clone(),
            account: message.account.clone(),
            disposition: message.disposition,
            folder: message.folder.clone(),
            envelope: message.envelope.clone(),
            size: message.archived.as_ref().map(|archived| archived.size),
            attachments: message.archived.as_ref().map(|archived| archived.attachments),
        };
        let mut set = record(message);
        set.insert("disposition".into(), json(&message.disposition));
        if let Some(action) = &message.action {
            set.insert("action".into(), json(action));
        }
        let condition = match previous {
            None => Condition::Absent,
            Some(previous) => Condition::Equals("disposition".into(), json(&previous)),
        };
        [
            Write::put(Self::key(mailbox, &message.key), set).when(condition),
            Write::put(
                Key::new(listed_partition(mailbox), message.listed.clone()),
                record(&listed),
            ),
        ]
    }

    /// The write that notes what came of an action, without touching the rest of the record.
    pub fn note_action(mailbox: &MailboxKey, key: &MessageKey, action: &ActionRecord) -> Write {
        Write::set(Self::key(mailbox, key), attributes([("action", json(action))])).when(Condition::Exists)
    }

    fn read(item: &Item) -> Result<Message, RecordError> {
        let mut message: Message = required(item, RECORD)?;
        if let Some(action) = attribute(item, "action")? {
            message.action = Some(action);
        }
        Ok(message)
    }

    /// One message.
    pub async fn get(&self, mailbox: &MailboxKey, key: &MessageKey) -> Result<Option<Message>, RecordError> {
        let item = self.store.get(&Self::key(mailbox, key)).await?;
        item.map(|item| Self::read(&item)).transpose()
    }

    /// Those of the given messages that are on record.
    pub async fn known(&self, mailbox: &MailboxKey, keys: &[MessageKey]) -> Result<Vec<Message>, RecordError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(GET_MANY_KEYS) {
            let keys: Vec<Key> = chunk.iter().map(|key| Self::key(mailbox, key)).collect();
            for item in self.store.get_many(&keys).await? {
                found.push(Self::read(&item)?);
            }
        }
        Ok(found)
    }

    /// Lines of the list before the line `before` (exclusive; nothing: from the newest on), newest first, each with its
    /// sort key. Lists of several mailboxes can be merged by that key.
    pub async fn newest(
        &self,
        mailbox: &MailboxKey,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Listed)>, RecordError> {
        let query = Query {
            descending: true,
            limit,
            until: before.map(str::to_owned),
            ..Query::all(listed_partition(mailbox))
        };
        collect(&*self.store, query, |item| {
            Ok((item.key.sort.clone(), required(item, RECORD)?))
        })
        .await
    }

    /// Messages whose key begins with `prefix`, at most `limit`.
    pub async fn beginning_with(
        &self,
        mailbox: &MailboxKey,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Message>, RecordError> {
        let query = Query {
            from: Some(prefix.to_owned()),
            // Keys are ASCII: the next character after all of them ends the range.
            until: Some(format!("{prefix}\u{7f}")),
            limit,
            ..Query::all(format!("messages#{mailbox}"))
        };
        collect(&*self.store, query, Self::read).await
    }

    /// A page of the list, newest first.
    pub async fn page(
        &self,
        mailbox: &MailboxKey,
        limit: usize,
        after: Option<PageMark>,
    ) -> Result<Shelf<Listed>, RecordError> {
        let query = Query {
            descending: true,
            limit,
            after,
            ..Query::all(listed_partition(mailbox))
        };
        page(&*self.store, &query).await
    }
}
