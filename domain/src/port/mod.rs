//! The ports of the domain: one file each, with the trait, its error and the documented contract.

pub mod clock;
pub mod engine;
pub mod inspector;
pub mod leader;
pub mod password;
pub mod store;
pub mod token;

/// The source of a port's error: the error of a library.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
