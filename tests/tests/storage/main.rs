//! What is stored: on sled, on etcd and in memory, through faults and restarts.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod contracts;
mod durability;
mod etcd_faults;
mod secrets;

/// The entry point of a child process. Does nothing when run as a test.
#[test]
fn child() {
    durability::child();
}
