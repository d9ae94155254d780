//! Compressed JSON (RFC 9110 section 8.4.1): asked for where an answer is read whole, never for the bytes of a mail.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};

/// What is asked for.
pub(super) const ACCEPTED: &str = "gzip";

/// What was done to the bytes of an answer on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Coding {
    /// Nothing.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Something nobody asked for.
    Other(String),
}

impl Coding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = headers
            .get(header::CONTENT_ENCODING)
            .map(|name| name.as_bytes().to_ascii_lowercase());
        match named.as_deref() {
            None | Some(b"" | b"identity") => Self::Identity,
            Some(b"gzip" | b"x-gzip") => Self::Gzip,
            Some(other) => Self::Other(String::from_utf8_lossy(other).into_owned()),
        }
    }

    /// The bytes as they were meant, at most `limit` of them: a few bytes of gzip may stand for gigabytes.
    pub(super) fn undone(&self, bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, String> {
        match self {
            Self::Identity => Ok(bytes),
            Self::Other(name) => Err(format!("it is coded as {name}, which nobody asked for")),
            Self::Gzip => {
                let mut plain = Vec::with_capacity(bytes.len().saturating_mul(4).min(limit));
                let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
                MultiGzDecoder::new(&*bytes)
                    .take(most)
                    .read_to_end(&mut plain)
                    .map_err(|error| format!("its gzip cannot be read: {error}"))?;
                if plain.len() > limit {
                    return Err(format!("an answer of more than {limit} bytes"));
                }
                Ok(plain)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_comes_back_whole_and_bounded() {
        let text = b"{\"value\": []}".repeat(1_000);
        assert_eq!(Coding::Gzip.undone(gzip(&text), text.len()).unwrap(), text);
        assert!(Coding::Gzip.undone(gzip(&text), text.len() - 1).is_err());
        let bomb = gzip(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert!(Coding::Gzip.undone(bomb, 1_000_000).is_err());
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        let whole = gzip(b"{\"value\": []}");
        for end in 0..whole.len() {
            assert!(
                Coding::Gzip.undone(whole[..end].to_vec(), 1_000).is_err(),
                "{end} bytes"
            );
        }
        let mut headers = HeaderMap::new();
        assert_eq!(Coding::of(&headers), Coding::Identity);
        headers.insert(header::CONTENT_ENCODING, "GZIP".parse().unwrap());
        assert_eq!(Coding::of(&headers), Coding::Gzip);
        headers.insert(header::CONTENT_ENCODING, "br".parse().unwrap());
        assert!(Coding::of(&headers).undone(b"{}".to_vec(), 10).is_err());
    }
}
