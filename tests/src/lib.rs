//! Test support: the promises of the ports as functions, real services as children of the test, and what benchmarks are made of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    reason = "test code: a failure is a panic, and a skip says why"
)]

pub mod bench;
pub mod contract;
pub mod document;
pub mod fixture;
pub mod model;
pub mod walk;
