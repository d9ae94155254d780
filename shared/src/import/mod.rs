//! Importing one account: the heart.
//!
//! # What becomes of a mail
//!
//! ```text
//!                 page of changes
//!                        |
//!                      seen ---------------- rule says no ------> filtered
//!                        |  \                                        | (a draft that was sent)
//!                        |   \-- before the start --> counted        v
//!                        |                                        (seen again)
//!              admitted (strike marker durable)
//!                        |
//!                     fetched: bytes durable in the archive, parsed
//!                    /   |    \_________ 404 with a code ----------> gone
//!     third strike /     |     \
//!   or unreadable /      |      \ trouble with this one mail
//!               v        |       v
//!       quarantined      |      owed --- its own tries ---> recorded, quarantined or gone
//!          | an admin    |
//!          +--> owed     |
//!                        v
//!                    recorded (record, event, wanted action, progress: one transaction under the fence)
//!                        |
//!                    delivered (events in the order of their numbers)
//!                        |
//!                    acted on (from its own list, with its own tries)
//! ```
//!
//! Every arrow that changes a record is a transaction that carries the run's fence. A folder's progress moves only in
//! the transaction in which every mail of its pages is recorded, owed, set aside, filtered or gone.
//!
//! # A run
//!
//! [`run::Importer::run`] takes the lease, opens the folders and then drives one loop in one task: pages are read ahead,
//! at most four requests are in flight over everything, one committer writes groups of at most 30 messages, events and
//! actions follow behind. Nothing is spawned: dropping the future is the crash that tests rehearse.

pub mod acting;
mod action;
mod assemble;
mod begin;
pub mod check;
pub mod checks;
mod commit;
pub mod debt;
mod decide;
mod drive;
mod end;
pub mod fetch;
pub mod folder;
pub mod forbidden;
mod lease;
mod open;
mod outbox;
mod pages;
pub mod reach;
pub mod reconcile;
pub mod redirect;
mod remember;
pub mod report;
mod rules;
pub mod run;
mod take;
mod work;

pub use begin::BeginError;
pub use commit::CommitError;
pub use lease::LEASE_FOR;
pub use run::{Importer, RunError, RunOptions};
