//! What is owed or set aside, and what is still wanted of the mailbox.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    message::{Debt, ImmutableId, MessageKey},
    ports::{Condition, Key, PageMark, Query, Store, Write},
};

use super::{RECORD, RecordError, Shelf, page, record, required};

/// Something still wanted of the mailbox for one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAction {
    /// The message.
    pub key: MessageKey,
    /// Graph's id.
    pub immutable_id: ImmutableId,
    /// As in the account: `mark-read`, `move:FOLDER`, `delete`.
    pub wanted: String,
    /// The folder the mail was seen in by the run that made this action (Graph's id).
    pub seen_in: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Not before.
    pub next_try: Timestamp,
    /// What the last try said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The shelves of debts and actions of all accounts.
#[derive(Clone)]
pub struct Debts {
    store: Arc<dyn Store>,
}

fn debt_key(account: &str, key: &MessageKey) -> Key {
    Key::new(format!("debts#{account}"), key.0.clone())
}

fn action_key(account: &str, key: &MessageKey) -> Key {
    Key::new(format!("actions#{account}"), key.0.clone())
}

impl Debts {
    /// On this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The write that keeps a debt.
    pub fn write(account: &str, debt: &Debt) -> Write {
        Write::put(debt_key(account, &debt.key), record(debt))
    }

    /// The write that ends a debt.
    pub fn clear(account: &str, key: &MessageKey) -> Write {
        Write::delete(debt_key(account, key))
    }

    /// The write that keeps an action.
    pub fn write_action(account: &str, action: &PendingAction) -> Write {
        Write::put(action_key(account, &action.key), record(action))
    }

    /// The write that ends an action that is there: it is counted, and nothing is counted twice.
    pub fn clear_action(account: &str, key: &MessageKey) -> Write {
        Write::delete(action_key(account, key)).when(Condition::Exists)
    }

    /// Whether this is the key of this message's action.
    pub fn is_action(key: &Key, account: &str, message: &MessageKey) -> bool {
        *key == action_key(account, message)
    }

    /// Whether this is the key of this message's debt.
    pub fn is_debt(key: &Key, account: &str, message: &MessageKey) -> bool {
        *key == debt_key(account, message)
    }

    /// One debt.
    pub async fn get(&self, account: &str, key: &MessageKey) -> Result<Option<Debt>, RecordError> {
        let item = self.store.get(&debt_key(account, key)).await?;
        item.map(|item| required(&item, RECORD)).transpose()
    }

    /// A page of debts in the order of their keys.
    pub async fn page(&self, account: &str, limit: usize, after: Option<PageMark>) -> Result<Shelf<Debt>, RecordError> {
        let query = Query {
            limit,
            after,
            ..Query::all(format!("debts#{account}"))
        };
        page(&*self.store, &query).await
    }

    /// A page of actions in the order of their keys.
    pub async fn actions(
        &self,
        account: &str,
        limit: usize,
        after: Option<PageMark>,
    ) -> Result<Shelf<PendingAction>, RecordError> {
        let query = Query {
            limit,
            after,
            ..Query::all(format!("actions#{account}"))
        };
        page(&*self.store, &query).await
    }
}
