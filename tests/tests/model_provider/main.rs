//! The model provider does what its description says, and its engine keeps the contract of engines: what other tests find with them is
//! worth as much as they can be relied on.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code: a failure is a panic")]

mod customer;
mod engine;
mod engine_faults;
mod faults;
mod provider;
mod site;
