//! The program as operators run it: commands, settings, the demo, the README.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code: a failure is a panic"
)]

mod architecture;
mod commands;
mod config;
mod demo;
mod first_admin;
mod readme;
