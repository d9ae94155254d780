//! Makes varied mail from a seed and a number: the same numbers give the same bytes.

use super::kinds;
use super::letters::{BUILDINGS, MATTERS, PRIORITIES, SENDERS};
use crate::clock::mail_date;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// One letter's particulars, from which each kind of mail is written.
pub(super) struct Letter {
    pub(super) rng: SmallRng,
    pub(super) index: u64,
    pub(super) sender: (&'static str, &'static str),
    pub(super) matter: (&'static str, &'static str),
    pub(super) building: &'static str,
    pub(super) priority: &'static str,
    pub(super) order: u32,
    pub(super) date: String,
    pub(super) sent_ms: i64,
}

/// How many kinds of mail there are; the kind of message `index` is `index % KINDS`.
pub const KINDS: u64 = kinds::WRITERS.len() as u64;

/// The names of the kinds, in order.
pub fn kind_names() -> Vec<&'static str> {
    kinds::WRITERS.iter().map(|(name, _)| *name).collect()
}

/// Message `index` of the set `seed`, saying it was sent at `sent_ms` (Unix milliseconds).
pub fn message(seed: u64, index: u64, sent_ms: i64) -> Vec<u8> {
    let mut letter = Letter::new(seed, index, sent_ms);
    let at = usize::try_from(index % KINDS).unwrap_or(0);
    kinds::WRITERS
        .get(at)
        .map_or_else(Vec::new, |(_, write)| write(&mut letter))
}

/// A message of about `size` bytes: a short text and one attachment filled with noise.
pub fn sized(seed: u64, index: u64, sent_ms: i64, size: usize) -> Vec<u8> {
    let mut letter = Letter::new(seed, index, sent_ms);
    let head = letter.head(true);
    let text = letter.text();
    let boundary = letter.boundary();
    let mut out = format!(
        "{head}Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--{boundary}\r\n\
         Content-Type: application/octet-stream; name=\"record-{index}.bin\"\r\n\
         Content-Disposition: attachment; filename=\"record-{index}.bin\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    // One block of noise, repeated: making gigabytes of fresh noise would measure the simulator, not the client.
    let noise: Vec<u8> = (0..57 * 256).map(|_| letter.rng.random::<u8>()).collect();
    let block = folded(&noise);
    while out.len() + boundary.len() + 8 < size {
        let room = size - out.len() - boundary.len() - 8;
        let take = if room >= block.len() {
            block.len()
        } else {
            room / 78 * 78
        };
        if take == 0 {
            break;
        }
        out.extend_from_slice(block.as_bytes().get(..take).unwrap_or_default());
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

impl Letter {
    fn new(seed: u64, index: u64, sent_ms: i64) -> Self {
        // Multiplied by a large odd number, so that neighbours do not share their first draws.
        let mut rng = SmallRng::seed_from_u64(seed ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let sender = pick(&mut rng, &SENDERS);
        let matter = pick(&mut rng, &MATTERS);
        let building = pick(&mut rng, &BUILDINGS);
        let priority = pick(&mut rng, &PRIORITIES);
        let order = rng.random_range(10_000..99_999);
        Self {
            rng,
            index,
            sender,
            matter,
            building,
            priority,
            order,
            date: mail_date(sent_ms),
            sent_ms,
        }
    }

    pub(super) fn subject(&self) -> String {
        format!("Work order {} - {} ({})", self.order, self.matter.0, self.building)
    }

    pub(super) fn text(&self) -> String {
        format!(
            "Hello,\r\n\r\n{}\r\n\r\nBuilding: {}\r\nPriority: {}\r\nWork order: {}\r\n\r\nRegards,\r\n{}\r\n",
            self.matter.1, self.building, self.priority, self.order, self.sender.0
        )
    }

    pub(super) fn message_id(&self) -> String {
        format!("<wo-{}-{}@{}>", self.index, self.order, self.domain())
    }

    pub(super) fn domain(&self) -> &'static str {
        self.sender
            .1
            .split_once('@')
            .map_or("example.com", |(_, domain)| domain)
    }

    /// The header section without `Content-*` and without the empty line.
    pub(super) fn head(&self, with_message_id: bool) -> String {
        let id = if with_message_id {
            format!("Message-ID: {}\r\n", self.message_id())
        } else {
            String::new()
        };
        self.head_with(&self.subject(), &id)
    }

    /// A header section with this subject and these further lines (each ended with CRLF).
    pub(super) fn head_with(&self, subject: &str, more: &str) -> String {
        let (name, address) = self.sender;
        format!(
            "Received: from mx.{domain} (mx.{domain} [192.0.2.{hop}])\r\n\tby mail.harbour-homes.example with ESMTPS id {order};\r\n\t{date}\r\n\
             Date: {date}\r\nFrom: \"{name}\" <{address}>\r\nTo: \"Service Desk\" <desk@harbour-homes.example>\r\n\
             Subject: {subject}\r\n{more}MIME-Version: 1.0\r\n",
            domain = self.domain(),
            hop = self.index % 250 + 1,
            order = self.order,
            date = self.date,
        )
    }

    pub(super) fn boundary(&mut self) -> String {
        format!("=_hh_{:016x}", self.rng.random::<u64>())
    }
}

/// Base64 in lines of 76 letters (RFC 2045 6.8).
pub(super) fn folded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() / 57 * 78 + 80);
    for line in bytes.chunks(57) {
        STANDARD.encode_string(line, &mut out);
        out.push_str("\r\n");
    }
    out
}

fn pick<T: Copy>(rng: &mut SmallRng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_bytes_and_others_do_not() {
        assert_eq!(message(1, 5, 0), message(1, 5, 0));
        assert_ne!(message(1, 5, 0), message(1, 5 + KINDS, 0));
        assert_ne!(message(1, 5, 0), message(2, 5, 0));
    }

    #[test]
    fn a_sized_message_has_about_its_size() {
        for size in [2_000_usize, 50_000, 1_000_000] {
            let made = sized(1, 3, 0, size).len();
            assert!(made <= size && size - made < 400, "{made} for {size}");
        }
    }

    #[test]
    fn every_kind_is_mail() {
        for index in 0..KINDS * 2 {
            let bytes = message(9, index, 1_770_000_000_000);
            assert!(
                mail_parser::MessageParser::default().parse(&bytes).is_some(),
                "kind {}",
                index % KINDS
            );
        }
    }
}
