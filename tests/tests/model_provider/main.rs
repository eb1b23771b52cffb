//! The model provider behaves as documented, and its engine satisfies the contract of engines. Other tests rely on both.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code: a failure is a panic")]

mod customer;
mod engine;
mod engine_faults;
mod faults;
mod provider;
mod setup;
