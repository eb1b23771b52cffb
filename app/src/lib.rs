//! The `kqueen` program: configuration, command line, HTTP API and workers, built on the domain and its adapters.

pub mod api;
pub mod banner;
pub mod cli;
pub mod compose;
pub mod config;
pub mod error;
pub mod events;
pub mod healthcheck;
pub mod http;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
pub mod worker;
