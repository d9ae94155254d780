//! The real binary, command by command, against a simulated tenant on a socket.
#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod credentials;
mod disk;
mod fields;
mod several;
mod way;
