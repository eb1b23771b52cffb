//! Creations that happen once, however often they are requested.

use chrono::{DateTime, Utc};

use crate::{id::UserId, port::store::IdempotencyRecord, service::ServiceError};

/// A key that makes a creation happen once, with a hash of the request it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// The hash.
    pub fingerprint: [u8; 32],
}

impl IdempotencyKey {
    pub(super) fn claim(self, caller: UserId, at: DateTime<Utc>) -> IdempotencyRecord {
        IdempotencyRecord { caller, key: self.key, fingerprint: self.fingerprint, at }
    }
}

/// A key that came with another request before.
pub(super) fn used_for_another() -> ServiceError {
    ServiceError::conflict("this Idempotency-Key was used for another request; choose a new one")
}
