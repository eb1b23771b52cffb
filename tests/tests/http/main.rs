//! HTTP around the API: connections, headers, bodies, proxies, metrics.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod connections;
mod manners;
mod metrics;
mod proxies;
mod queued_hashes;
mod requests;
mod slow_bodies;
