//! Several replicas on one etcd.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod leadership;
mod leadership_processes;
mod replicas;

/// The entry point of a child process. Does nothing when run as a test.
#[test]
fn child() {
    leadership_processes::child();
}
