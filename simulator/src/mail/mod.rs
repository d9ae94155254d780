//! Mail as bytes: where it comes from (generated, files) and what can be read out of it.

pub(crate) mod boundaries;
pub(crate) mod facts;
pub mod generate;
mod kinds;
mod letters;
pub mod load;
pub(crate) mod parts;

use bytes::Bytes;

/// The MIME of one message. Generated mail is made again from its numbers each time it is read, so
/// ten thousand messages cost no more than their properties.
#[derive(Debug, Clone)]
pub enum Mime {
    /// Bytes as given.
    Bytes(Bytes),
    /// Message number `index` of the generated set of `seed`.
    Generated {
        /// The set.
        seed: u64,
        /// The number in it; the kind of mail goes round with it.
        index: u64,
        /// When it says it was sent, Unix milliseconds.
        sent_ms: i64,
    },
    /// A message of about `size` bytes (one attachment).
    Sized {
        /// The set.
        seed: u64,
        /// The number in it.
        index: u64,
        /// When it says it was sent, Unix milliseconds.
        sent_ms: i64,
        /// Bytes of the whole message, within a few hundred.
        size: usize,
    },
}

impl Mime {
    /// The canonical bytes.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Generated { seed, index, sent_ms } => Bytes::from(generate::message(*seed, *index, *sent_ms)),
            Self::Sized {
                seed,
                index,
                sent_ms,
                size,
            } => Bytes::from(generate::sized(*seed, *index, *sent_ms, *size)),
        }
    }
}

impl From<Vec<u8>> for Mime {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Bytes::from(bytes))
    }
}

impl From<&str> for Mime {
    fn from(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}
