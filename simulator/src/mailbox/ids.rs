//! Ids in Exchange's manner: long, opaque, case-sensitive, and hard to keep in a URL by accident.

use crate::readings::IdAlphabet;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rand::Rng as _;
use rand::rngs::SmallRng;
use sha2::{Digest as _, Sha256};

/// Which of a message's two ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdFormat {
    /// Changes when the message moves.
    Default,
    /// Stays for as long as the message is in the mailbox.
    Immutable,
}

/// The id of item `key`; for default ids `version` is the number of moves it has made.
///
/// Neighbours share everything but the case of one letter: whoever compares ids without
/// regard to case takes two messages for one.
pub(crate) fn item_id(mailbox: &str, key: usize, version: u32, format: IdFormat, alphabet: IdAlphabet) -> String {
    let (prefix, version) = match format {
        IdFormat::Default => ("AAMkAGQ4", version),
        IdFormat::Immutable => ("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A", 0),
    };
    let block = digest(&format!("{prefix}|{mailbox}|{}|{version}", key / 2));
    let letter = if key.is_multiple_of(2) { 'q' } else { 'Q' };
    let body = encode(&block, alphabet);
    let tail = body.trim_end_matches('=');
    match format {
        IdFormat::Default => format!(
            "{prefix}{tail}AABGAAAAAAD{letter}{}AAA=",
            tail.chars().rev().collect::<String>()
        ),
        IdFormat::Immutable => format!("{prefix}{tail}{letter}AA="),
    }
}

/// The id of folder `key`: stable, and the same in both formats.
pub(crate) fn folder_id(mailbox: &str, key: usize, alphabet: IdAlphabet) -> String {
    let body = encode(&digest(&format!("folder|{mailbox}|{key}")), alphabet);
    format!("AAMkAGQ4{}AuAAAAAAD{}=", body.trim_end_matches('='), key % 10)
}

/// The id of attachment number `at` of a message id.
pub(crate) fn attachment_id(message_id: &str, at: usize, alphabet: IdAlphabet) -> String {
    let body = encode(&digest(&format!("attachment|{message_id}|{at}")), alphabet);
    format!(
        "{}{}BEgAQ{at}=",
        message_id.trim_end_matches('=').get(..24).unwrap_or("AAMk"),
        body.trim_end_matches('=')
    )
}

/// A change key: opaque, new with every change.
pub(crate) fn change_key(mailbox: &str, key: usize, change: u64) -> String {
    let block = digest(&format!("change|{mailbox}|{key}|{change}"));
    format!("CQAAABYAAAC{}", STANDARD.encode(block.get(..20).unwrap_or_default()))
}

/// A conversation index: base64 of a first byte of one, a time and a GUID, 22 bytes in all (MS-OXOMSG 2.2.1.3).
pub(crate) fn conversation_index(mailbox: &str, key: usize) -> String {
    let block = digest(&format!("conversation|{mailbox}|{key}"));
    let mut bytes = vec![1];
    bytes.extend(block.get(..21).unwrap_or_default());
    STANDARD.encode(bytes)
}

/// Whether a text could be an id at all: what cannot is `ErrorInvalidIdMalformed`, the rest is merely unknown.
pub(crate) fn well_formed(id: &str) -> bool {
    id.len() > 20 && id.starts_with("AA") && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(&b))
}

/// A random GUID (version 4).
pub(crate) fn guid(rng: &mut SmallRng) -> String {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string()
}

/// A GUID that follows from a text.
pub(crate) fn guid_of(text: &str) -> String {
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest(text)).for_each(|(to, from)| *to = from);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// An opaque token for a link, URL-safe.
pub(crate) fn link_token(rng: &mut SmallRng) -> String {
    let bytes: [u8; 48] = std::array::from_fn(|_| rng.random());
    URL_SAFE.encode(bytes).replace('=', "")
}

fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

fn encode(bytes: &[u8], alphabet: IdAlphabet) -> String {
    match alphabet {
        IdAlphabet::Standard => STANDARD.encode(bytes),
        IdAlphabet::UrlSafe => URL_SAFE.encode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_only_with_regard_to_case() {
        let ids: Vec<String> = (0..200)
            .map(|k| item_id("m", k, 0, IdFormat::Immutable, IdAlphabet::Standard))
            .collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200);
        assert_eq!(ids.iter().map(|i| i.to_lowercase()).collect::<HashSet<_>>().len(), 100);
        assert!(ids.iter().any(|i| i.contains('/')) && ids.iter().all(|i| well_formed(i)));
    }

    #[test]
    fn a_move_changes_the_default_id_only() {
        let id = |v, f| item_id("m", 7, v, f, IdAlphabet::Standard);
        assert_ne!(id(0, IdFormat::Default), id(1, IdFormat::Default));
        assert_eq!(id(0, IdFormat::Immutable), id(1, IdFormat::Immutable));
    }
}
