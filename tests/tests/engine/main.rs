//! The engine against a simulated Microsoft, in process, in virtual time.

#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

mod accounts;
mod actions;
mod basics;
mod batches;
mod calls;
mod certificates;
mod checks;
mod client_authentication;
mod clouds;
mod crashes;
mod debts;
mod delta;
mod failure_table;
mod failures;
mod faults;
mod grants;
mod id_tokens;
mod many_credentials;
mod policies;
mod reach;
mod redemptions;
mod refresh;
mod review;
mod settling;
mod sign_in;
mod single_faults;
mod starts;
mod stores;
mod token_bench;
mod tokens;
mod warnings;
