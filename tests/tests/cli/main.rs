//! The real binary, command by command, against a simulated tenant on a socket.

mod disk;
mod fields;
mod several;
mod way;
