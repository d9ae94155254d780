//! The simulator from outside: every endpoint and fault, over the in-process router and over sockets.
#![cfg_attr(
    test,
    allow(
        missing_docs,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::assigning_clones,
        clippy::cloned_ref_to_slice_refs,
        clippy::duration_suboptimal_units
    )
)]

#[path = "wire/assertion.rs"]
mod assertion;
#[path = "wire/authorize.rs"]
mod authorize;
#[path = "wire/client.rs"]
mod client;
#[path = "wire/control.rs"]
mod control;
#[path = "wire/delegated.rs"]
mod delegated;
#[path = "wire/delta.rs"]
mod delta;
#[path = "wire/entra.rs"]
mod entra;
#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/grants.rs"]
mod grants;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/mail.rs"]
mod mail;
#[path = "wire/person.rs"]
mod person;
#[path = "wire/record.rs"]
mod record;
#[path = "wire/socket.rs"]
mod socket;
#[path = "wire/writes.rs"]
mod writes;
