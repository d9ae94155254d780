//! Every way a mailbox changes. Each writes the log from which delta is answered.

use super::{FolderKey, Item, ItemKey, Mailbox, ids};
use crate::mail::Mime;
use crate::mail::facts::Facts;
use ids::IdFormat;
use std::sync::{Arc, OnceLock};

/// One line of a folder's log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) item: ItemKey,
    /// Generation of the default id the message has (or had) in this folder.
    pub(crate) version: u32,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It appeared; `moved` if it came from another folder.
    Arrived {
        moved: bool,
    },
    Updated(Touched),
    Left {
        destroyed: bool,
    },
}

/// What an update touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    Read,
    Categories,
    Flag,
    Importance,
    Content,
}

impl Touched {
    /// Whether a delta query that selects `properties` is concerned.
    pub(crate) fn concerns(self, properties: &[String]) -> bool {
        let named = |name: &str| properties.iter().any(|p| p == name);
        match self {
            Self::Read => named("isRead"),
            Self::Categories => named("categories"),
            Self::Flag => named("flag"),
            Self::Importance => named("importance"),
            Self::Content => true,
        }
    }
}

/// What a message starts with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    pub(crate) received_ms: i64,
    pub(crate) read: bool,
    pub(crate) draft: bool,
}

impl Mailbox {
    /// Puts a new message into a folder.
    pub(crate) fn add(&mut self, folder: FolderKey, mime: Mime, start: &Start, now_ms: i64) -> ItemKey {
        let bytes = mime.bytes();
        let facts = Arc::new(Facts::of(&bytes));
        let key = self.items.len();
        let importance = if facts.high_importance { "high" } else { "normal" };
        self.items.push(Item {
            mime,
            facts,
            size: bytes.len(),
            sha256: OnceLock::new(),
            folder,
            history: vec![(folder, now_ms)],
            version: 0,
            // Graph shows whole seconds.
            received_ms: start.received_ms.div_euclid(1000) * 1000,
            created_ms: now_ms,
            modified_ms: now_ms,
            change_key: ids::change_key(&self.guid, key, self.seq),
            read: start.read,
            draft: start.draft,
            categories: Vec::new(),
            flag: "notFlagged".to_owned(),
            importance: importance.to_owned(),
            alive: true,
            corruption: None,
            references: Vec::new(),
        });
        for format in [IdFormat::Default, IdFormat::Immutable] {
            self.by_id.insert(self.id_of(key, format), key);
        }
        if let Some(f) = self.folders.get_mut(folder) {
            f.members.insert(key);
        }
        self.log(folder, key, What::Arrived { moved: false }, now_ms);
        key
    }

    /// Moves a message. Into the folder it is in already: a move all the same, with a new default id.
    pub(crate) fn move_item(&mut self, key: ItemKey, to: FolderKey, now_ms: i64) {
        let Some(from) = self.items.get(key).filter(|i| i.alive).map(|i| i.folder) else {
            return;
        };
        self.log(from, key, What::Left { destroyed: false }, now_ms);
        let old = self.id_of(key, IdFormat::Default);
        self.by_id.remove(&old);
        if let Some(item) = self.items.get_mut(key) {
            item.version += 1;
            item.folder = to;
            item.history.push((to, now_ms));
        }
        self.by_id.insert(self.id_of(key, IdFormat::Default), key);
        if let Some(f) = self.folders.get_mut(from) {
            f.members.remove(&key);
        }
        if let Some(f) = self.folders.get_mut(to) {
            f.members.insert(key);
        }
        self.touch(key, now_ms);
        self.log(to, key, What::Arrived { moved: true }, now_ms);
    }

    /// A second message with the same content.
    pub(crate) fn copy_item(&mut self, key: ItemKey, to: FolderKey, now_ms: i64) -> Option<ItemKey> {
        let item = self.items.get(key)?;
        let start = Start {
            received_ms: item.received_ms,
            read: item.read,
            draft: item.draft,
        };
        let mime = item.mime.clone();
        Some(self.add(to, mime, &start, now_ms))
    }

    /// Changes properties and logs it under what was touched.
    pub(crate) fn update(&mut self, key: ItemKey, touched: Touched, now_ms: i64, change: impl FnOnce(&mut Item)) {
        let Some(item) = self.items.get_mut(key).filter(|i| i.alive) else {
            return;
        };
        change(item);
        let folder = item.folder;
        self.touch(key, now_ms);
        self.log(folder, key, What::Updated(touched), now_ms);
    }

    /// Replaces the content (drafts are edited; nothing else is).
    pub(crate) fn rewrite(&mut self, key: ItemKey, mime: Mime, now_ms: i64) {
        let bytes = mime.bytes();
        self.update(key, Touched::Content, now_ms, |item| {
            item.facts = Arc::new(Facts::of(&bytes));
            item.size = bytes.len();
            item.sha256 = OnceLock::new();
            item.mime = mime;
        });
    }

    /// Takes a message out of reach of Graph for good.
    pub(crate) fn purge(&mut self, key: ItemKey) {
        let Some(item) = self.items.get(key).filter(|i| i.alive) else {
            return;
        };
        let (folder, at_ms) = (item.folder, item.modified_ms);
        self.log(folder, key, What::Left { destroyed: true }, at_ms);
        for format in [IdFormat::Default, IdFormat::Immutable] {
            let id = self.id_of(key, format);
            self.by_id.remove(&id);
        }
        if let Some(f) = self.folders.get_mut(folder) {
            f.members.remove(&key);
        }
        if let Some(item) = self.items.get_mut(key) {
            item.alive = false;
        }
    }

    fn touch(&mut self, key: ItemKey, now_ms: i64) {
        let next = ids::change_key(&self.guid, key, self.seq + 1);
        if let Some(item) = self.items.get_mut(key) {
            item.modified_ms = now_ms;
            item.change_key = next;
        }
    }

    fn log(&mut self, folder: FolderKey, item: ItemKey, what: What, at_ms: i64) {
        self.seq += 1;
        let change = Change {
            seq: self.seq,
            at_ms,
            item,
            version: self.items.get(item).map_or(0, |i| i.version),
            what,
        };
        if let Some(f) = self.folders.get_mut(folder) {
            f.log.push(change);
        }
    }
}
