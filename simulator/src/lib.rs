//! Microsoft on the wire, simulated: Entra ID's sign-in and token endpoint and Graph mail, with faults.
//!
//! A [`Simulator`] is a handle on one tenant. Call its [`Simulator::router`] in process, or
//! [`Simulator::serve`] it on a socket; deliver mail, move time and arm faults with its methods or below
//! `/_control`. It follows Microsoft's documents, and where they are silent or disagree it can be switched
//! to either [`Readings`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod clock;
mod control;
mod entra;
mod faults;
mod gate;
mod graph;
pub mod mail;
mod mailbox;
mod options;
pub mod readings;
mod record;
mod router;
mod serve;
mod simulator;
mod stats;
mod wire;

pub use clock::SimClock;
pub use control::ControlError;
pub use control::mail::Delivery;
pub use control::tenant::Registration;
pub use control::truth::TrueMessage;
pub use entra::directory::{ConditionalAccess, User};
pub use entra::federation::FederatedCredential;
pub use entra::grants::{GrantView, Rotation};
pub use faults::board::ArmedFault;
pub use faults::{ConnectionReset, Cut, Fault, FaultSpec, RequestKind, RetryAfter, Times, Wording};
pub use mail::Mime;
pub use mailbox::Corruption;
pub use mailbox::folders::FolderTrouble;
pub use options::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PERMISSIONS, DEFAULT_REDIRECT_URI, DEFAULT_ROLES,
    DEFAULT_TENANT_ID, Latency, Limits, Options,
};
pub use readings::Readings;
pub use serve::{Running, ServeError, Tls};
pub use simulator::Simulator;
pub use stats::{MailboxStats, Stats};
