//! The web room through its router, in process and in virtual time: the callback, sessions, forms, pages.

#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

mod access;
mod answers;
mod api;
mod callback;
mod canaries;
mod doors;
mod forms;
mod pages;
mod payloads;
mod proofs;
mod routes;
mod sign_in;
mod site;
