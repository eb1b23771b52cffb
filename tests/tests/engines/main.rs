//! Engines and their contract.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod aks;
mod aks_clusters;
mod aks_sdk;
mod aks_traces;
mod demo;
mod gke;
mod gke_clusters;
mod gke_sdk;
mod gke_traces;
mod simulator_program;
