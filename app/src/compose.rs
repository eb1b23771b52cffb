//! The composition root: configuration -> adapters -> services -> server and workers.

use crate::config::{Bootstrap, Config};

/// Why the program could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is put together yet.
    #[error("the server is not put together yet")]
    Incomplete,
}

/// Serves until a signal asks to stop. Prints [`crate::banner::banner`] once it listens.
///
/// # Errors
/// It cannot start, or ends otherwise than by a signal.
pub async fn run(_config: Config) -> Result<(), Error> {
    Err(Error::Incomplete)
}

/// Makes a superadmin in the configured store, and the organization if its namespace is new.
///
/// # Errors
/// The name is taken, or the store is away or in use.
pub async fn create_admin(_config: Config, _admin: Bootstrap) -> Result<(), Error> {
    Err(Error::Incomplete)
}

/// Seals all secrets of the configured store with the newest key; how many records were sealed anew.
///
/// # Errors
/// The store is away or in use, or something cannot be read with any key.
pub async fn rotate_keys(_config: Config) -> Result<usize, Error> {
    Err(Error::Incomplete)
}
