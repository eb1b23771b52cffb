//! The id of the installation, created once with the store. Resources that engines create at providers carry it.

use kqueen_domain::port::BoxError;
use uuid::Uuid;

use super::{
    OpenError,
    backend::{Backend, CommitError, Refusal, Stored, Test, Transaction},
    key,
};

fn read(stored: &Stored) -> Result<Uuid, OpenError> {
    let text = std::str::from_utf8(&stored.value).map_err(|error| OpenError::Unreadable(Box::new(error)))?;
    Uuid::parse_str(text).map_err(|error| OpenError::Unreadable(Box::new(error)))
}

/// Returns the id. If replicas open a new store at the same time, one of them creates it.
pub(crate) async fn id(backend: &dyn Backend) -> Result<Uuid, OpenError> {
    let unavailable = |source: BoxError| OpenError::Unavailable("the store does not respond".to_owned(), source);
    loop {
        if let Some(stored) = backend.get(&key::installation()).await.map_err(unavailable)? {
            return read(&stored);
        }
        let id = Uuid::new_v4();
        let mut transaction = Transaction::default();
        transaction
            .require(key::installation(), Test::Absent, Refusal::Conflict)
            .put(key::installation(), id.to_string());
        match backend.commit(transaction).await {
            Ok(_) => return Ok(id),
            Err(CommitError::Refused(_)) => {}
            Err(CommitError::Unavailable(source)) => return Err(unavailable(source)),
        }
    }
}
