//! The API as clients see it.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod access;
mod answers;
mod changes;
mod conflicts;
mod escalations;
mod idempotency;
mod lists;
mod nested;
mod operations;
mod parameters;
mod recorded;
mod round_trips;
mod smoke;
