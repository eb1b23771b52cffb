//! Reconciliation with faults: each fault at each call, and long random histories. Both use the model provider in simulated time.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, reason = "test code: a failure is a panic")]

mod histories;
mod walk;
