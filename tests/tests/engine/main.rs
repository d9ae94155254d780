//! The engine against a simulated Microsoft, in process, in virtual time.

mod accounts;
mod actions;
mod basics;
mod crashes;
mod debts;
mod delta;
mod faults;
mod starts;
mod stores;
mod tokens;
