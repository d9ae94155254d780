//! The simulator from outside: every endpoint and fault, over the in-process router and over sockets.
#![allow(missing_docs)]

#[path = "wire/client.rs"]
mod client;
#[path = "wire/control.rs"]
mod control;
#[path = "wire/delta.rs"]
mod delta;
#[path = "wire/entra.rs"]
mod entra;
#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/mail.rs"]
mod mail;
#[path = "wire/socket.rs"]
mod socket;
#[path = "wire/writes.rs"]
mod writes;
