//! Observing clusters, with real and hostile API servers.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod api;
mod hostile;
mod list_observations;
mod live;
mod live_views;
mod probes;
