//! What a seed decides: the shape of a storm, its faults, and what happens to the mailboxes meanwhile.

use crate::world::{Bend, DESK};
use rand::{Rng as _, rngs::SmallRng, seq::IndexedRandom as _};
use shared::memory::{PublisherFault, StoreCall, StoreFault, VaultCall, VaultFault};
use simulator::{
    Corruption, Cut, Delivery, Fault, FaultSpec, RequestKind, RetryAfter, Rotation, Simulator, Times, Wording,
};

use super::Size;

/// The mailbox of the third account.
pub(super) const SIDE: &str = "side@harbour-homes.example";

/// Which kinds of trouble a storm brings.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each drawn from the seed"
)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub wire: bool,
    pub stores: bool,
    pub crashes: bool,
    pub zombies: bool,
    pub skew: bool,
    pub admin: bool,
    pub folders: bool,
    pub neighbours: bool,
    pub bends: bool,
    pub person: Option<Rotation>,
    pub vary_mime: bool,
    pub acts: usize,
    pub processes: usize,
    pub reading: usize,
}

impl Shape {
    pub(super) fn draw(rng: &mut SmallRng, size: Size) -> Self {
        Self {
            wire: rng.random_ratio(3, 4),
            stores: rng.random_ratio(1, 2),
            crashes: rng.random_ratio(2, 3),
            zombies: rng.random_ratio(1, 3),
            skew: rng.random_ratio(1, 6),
            admin: rng.random_ratio(1, 2),
            folders: rng.random_ratio(1, 2),
            neighbours: rng.random_ratio(2, 3),
            bends: rng.random_ratio(2, 3),
            person: match rng.random_range(0..8) {
                0 | 1 => Some(Rotation::EntraOldStaysValid),
                2 => Some(Rotation::Strict),
                _ => None,
            },
            vary_mime: rng.random_ratio(1, 3),
            acts: rng.random_range(15..60) / if size == Size::Small { 2 } else { 1 },
            processes: rng.random_range(1..=3),
            reading: rng.random_range(0..64),
        }
    }

    /// Whoever dies, freezes or loses the lease forgets what Microsoft asked for.
    pub(super) fn is_orderly(&self) -> bool {
        !(self.crashes || self.zombies || self.skew || self.admin || self.stores || self.bends || self.person.is_some())
    }
}

fn retry_after(rng: &mut SmallRng) -> RetryAfter {
    match rng.random_range(0..9) {
        0 => RetryAfter::Decimal(2.128),
        1 => RetryAfter::DateIn(rng.random_range(1..90)),
        2 => RetryAfter::Absent,
        3 => RetryAfter::Absurd,
        4 => RetryAfter::Negative,
        5 => RetryAfter::Zero,
        6 => RetryAfter::Text("soon".into()),
        _ => RetryAfter::Seconds(rng.random_range(1..400)),
    }
}

fn wording(rng: &mut SmallRng) -> Wording {
    *[Wording::Json, Wording::BareText, Wording::Empty]
        .choose(rng)
        .unwrap_or(&Wording::Json)
}

/// A fault of the wire, with its aim.
pub(super) fn wire_fault(rng: &mut SmallRng) -> FaultSpec {
    use RequestKind::{Any, Delete, Delta, Folders, Get, List, Move, Patch, Token, Value};
    let page = *[Delta, Delta, List].choose(rng).unwrap_or(&Delta);
    let any = *[Any, Delta, Value, Value, Get, Folders, List, Patch, Move, Delete, Token]
        .choose(rng)
        .unwrap_or(&Any);
    let status = |status: u16| Fault::Status {
        status,
        code: None,
        message: String::new(),
    };
    let (on, fault) = match rng.random_range(0..24) {
        0 | 1 => (
            any,
            Fault::TooManyRequests {
                retry_after: retry_after(rng),
                wording: wording(rng),
            },
        ),
        2 => (
            any,
            Fault::Unavailable {
                retry_after: retry_after(rng),
                wording: wording(rng),
            },
        ),
        3 => (any, status(*[500, 502, 504].choose(rng).unwrap_or(&500))),
        4 => (
            Token,
            Fault::Entra {
                status: 400,
                error: "temporarily_unavailable".into(),
                code: 90033,
                message: "A transient error has occurred.".into(),
            },
        ),
        5 => (Delta, Fault::Gone { location: rng.random() }),
        6 => (Delta, Fault::SyncStateNotFound),
        7 => (any, Fault::TokenExpired),
        8 => (any, Fault::AccessDenied),
        9 => (any, Fault::EmptyNotFound),
        10 | 11 => (
            any,
            Fault::CutBody {
                after: rng.random_range(0..3000),
                how: *[Cut::ShortLength, Cut::Abort].choose(rng).unwrap_or(&Cut::Abort),
            },
        ),
        12 => (
            page,
            Fault::CutBody {
                after: rng.random_range(0..3000),
                how: Cut::Clean,
            },
        ),
        13 => (
            any,
            Fault::SlowBody {
                chunk: rng.random_range(1..4000),
                delay_ms: rng.random_range(1..2000),
            },
        ),
        14 | 15 => (any, Fault::Reset),
        16 => (Value, Fault::MimeConversion),
        17 => (Value, Fault::CorruptData),
        18 => (page, Fault::EmptyPage),
        19 => (page, Fault::Duplicates),
        20 => (page, Fault::LoopingLink { changing: rng.random() }),
        21 => (
            page,
            Fault::ForeignLink {
                url: "http://evil.test/v1.0/me/messages/delta".into(),
            },
        ),
        22 => (page, Fault::ControlCharacters),
        _ => (
            any,
            if rng.random() {
                Fault::HtmlPage
            } else {
                Fault::ErrorInside200
            },
        ),
    };
    let times = match rng.random_range(0..10) {
        0 => Times::Always,
        1..4 => Times::Count(rng.random_range(2..12)),
        _ => Times::Count(1),
    };
    FaultSpec {
        times,
        ..FaultSpec::once(on, fault).after(rng.random_range(0..8))
    }
}

/// A fault of the store, on some call.
pub(super) fn store_fault(rng: &mut SmallRng) -> (Option<StoreCall>, StoreFault, usize, usize) {
    use StoreCall::{Get, GetMany, Query, Transact, Update};
    use StoreFault::{AcknowledgementLost, CannotWrite, Conflict, EmptyPage, Stale, Unavailable};
    let call = *[
        None,
        Some(Get),
        Some(GetMany),
        Some(Query),
        Some(Update),
        Some(Transact),
        Some(Transact),
    ]
    .choose(rng)
    .unwrap_or(&None);
    let fault = *[
        Conflict,
        AcknowledgementLost,
        AcknowledgementLost,
        Unavailable,
        Stale,
        EmptyPage,
        CannotWrite,
    ]
    .choose(rng)
    .unwrap_or(&Conflict);
    (call, fault, rng.random_range(0..20), rng.random_range(1..4))
}

/// What becomes of a call that a storm bends.
pub(super) fn bend(rng: &mut SmallRng) -> Bend {
    use Bend::{Conflict, Delay, Error, Jump, Lost, Short, Stale, Twice};
    *[Lost, Error, Conflict, Delay, Twice, Stale, Short, Jump]
        .choose(rng)
        .unwrap_or(&Lost)
}

/// A fault of the publisher.
pub(super) fn publisher_fault(rng: &mut SmallRng) -> (PublisherFault, usize) {
    let fault = match rng.random_range(0..3) {
        0 => PublisherFault::Refused,
        1 => PublisherFault::Partial(rng.random_range(0..5)),
        _ => PublisherFault::AcknowledgementLost,
    };
    (fault, rng.random_range(1..4))
}

/// A fault of the vault.
pub(super) fn vault_fault(rng: &mut SmallRng) -> (Option<VaultCall>, VaultFault, usize) {
    use VaultCall::{Put, Read, Version};
    use VaultFault::{AcknowledgementLost, Conflict, Denied, Stale, Unavailable};
    let call = *[None, Some(Read), Some(Version), Some(Put)]
        .choose(rng)
        .unwrap_or(&None);
    let fault = *[Conflict, AcknowledgementLost, Unavailable, Denied, Stale]
        .choose(rng)
        .unwrap_or(&Conflict);
    (call, fault, rng.random_range(1..3))
}

/// Folders that mail moves between.
const PLACES: [&str; 5] = ["inbox", "Orders", "archive", "deleteditems", "Elsewhere"];

/// One thing that happens in a mailbox; what it was, in words.
#[expect(
    clippy::too_many_lines,
    reason = "one table: a line or a few for each thing that happens"
)]
pub(super) fn mailbox_act(rng: &mut SmallRng, simulator: &Simulator, folders: bool) -> String {
    let mailbox = if rng.random_ratio(1, 4) { SIDE } else { DESK };
    let place = *PLACES.choose(rng).unwrap_or(&"inbox");
    let watched = *["inbox", "inbox", "Orders"].choose(rng).unwrap_or(&"inbox");
    // Truth is dear: it digests every mail.
    let kind = rng.random_range(0..if folders { 36 } else { 30 });
    let truth = if (9..27).contains(&kind) {
        simulator.truth(Some(mailbox))
    } else {
        Vec::new()
    };
    let alive: Vec<_> = truth.iter().filter(|mail| !mail.deleted).collect();
    let (id, subject, home) = alive.choose(rng).map_or(("", "", "inbox"), |mail| {
        (
            &*mail.immutable_id,
            &*mail.subject,
            mail.folder.as_deref().unwrap_or("inbox"),
        )
    });
    match kind {
        0..8 => format!(
            "{mailbox}: arrives {:?}",
            simulator.deliver_generated(mailbox, watched).is_ok()
        ),
        8 => {
            let count = rng.random_range(2..45);
            format!(
                "{mailbox}: {count} arrive {:?}",
                simulator.fill(mailbox, watched, count, 3).is_ok()
            )
        }
        9..13 => format!(
            "{mailbox}: {subject} to {place} {:?}",
            simulator.move_message(mailbox, id, place).is_ok()
        ),
        13..16 => {
            let there = simulator.move_message(mailbox, id, "archive").is_ok();
            let back = simulator.move_message(mailbox, id, home).is_ok();
            format!("{mailbox}: {subject} away and back {there} {back}")
        }
        16 | 17 => format!(
            "{mailbox}: {subject} deleted {:?}",
            simulator.delete_message(mailbox, id).is_ok()
        ),
        18 => format!(
            "{mailbox}: {subject} purged {:?}",
            simulator.purge_message(mailbox, id).is_ok()
        ),
        19 | 20 => format!(
            "{mailbox}: {subject} marked {:?}",
            simulator.mark(mailbox, id, rng.random()).is_ok()
        ),
        21 | 22 => {
            let mut draft = Delivery::inbox("Subject: a draft\r\n\r\nnot yet\r\n").folder(watched);
            draft.draft = true;
            format!("{mailbox}: a draft {:?}", simulator.deliver(mailbox, draft).is_ok())
        }
        23 | 24 => {
            let Some(draft) = alive.iter().find(|mail| mail.draft) else {
                return "no draft".into();
            };
            let id = draft.immutable_id.as_str();
            if rng.random_ratio(1, 3) {
                let mime = "Subject: a draft\r\n\r\nbetter\r\n";
                format!(
                    "{mailbox}: draft edited {:?}",
                    simulator.edit_draft(mailbox, id, mime).is_ok()
                )
            } else {
                let sent = simulator.send_draft(mailbox, id).is_ok();
                let moved = rng.random() && simulator.move_message(mailbox, id, watched).is_ok();
                format!("{mailbox}: draft sent {sent} {moved}")
            }
        }
        25 | 26 => {
            let how = match rng.random_range(0..4) {
                0 => Some(Corruption::InCompany),
                1 => Some(Corruption::Always),
                _ => None,
            };
            // Whoever repairs, repairs what is damaged.
            let id = match how {
                Some(_) => id,
                None => alive
                    .iter()
                    .find(|mail| mail.corrupt)
                    .map_or(id, |mail| mail.immutable_id.as_str()),
            };
            format!(
                "{mailbox}: damaged {how:?} {:?}",
                simulator.corrupt(mailbox, id, how).is_ok()
            )
        }
        27..30 => format!(
            "{mailbox}: evicted {watched} {:?}",
            simulator.evict_delta_state(mailbox, watched).is_ok()
        ),
        30 => format!(
            "Orders made {:?}",
            simulator.create_folder(DESK, "Orders", false).is_ok()
        ),
        31 => format!(
            "Orders renamed {:?}",
            simulator.rename_folder(DESK, "Orders", "Orders of old").is_ok()
        ),
        32 => format!(
            "Orders renamed back {:?}",
            simulator.rename_folder(DESK, "Orders of old", "Orders").is_ok()
        ),
        33 => format!("Orders deleted {:?}", simulator.delete_folder(DESK, "Orders").is_ok()),
        34 => {
            let path = format!("inbox/Part {}", rng.random_range(0..3));
            let made = simulator.create_folder(DESK, &path, false).is_ok();
            format!(
                "{path} made {made}, filled {:?}",
                simulator.fill(DESK, &path, 3, 2).is_ok()
            )
        }
        _ => {
            let path = format!("inbox/Part {}", rng.random_range(0..3));
            format!("{path} deleted {:?}", simulator.delete_folder(DESK, &path).is_ok())
        }
    }
}
