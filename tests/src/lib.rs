//! Test support: the contracts of the ports as functions, real services as child processes of the test, and benchmark support.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "test code: a failure panics, and a skipped test prints why"
)]

pub mod bench;
pub mod contract;
pub mod document;
pub mod fixture;
pub mod model;
pub mod simulator;
pub mod walk;
