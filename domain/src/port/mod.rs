//! What the domain needs from outside: one file per port, with the trait, its error and its contract as docs.

pub mod clock;
pub mod engine;
pub mod inspector;
pub mod leader;
pub mod password;
pub mod store;
pub mod token;

/// The library error that rides along inside a port's error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
