//! Idempotent creation: a request with the same key creates one object, however often it is sent.

use chrono::{DateTime, Utc};

use crate::{id::UserId, port::store::IdempotencyRecord, service::ServiceError};

/// An idempotency key, with a hash of the request it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// The hash of the request, which the store keeps only keyed.
    pub fingerprint: [u8; 32],
}

impl IdempotencyKey {
    pub(super) fn record(self, caller: UserId, at: DateTime<Utc>) -> IdempotencyRecord {
        IdempotencyRecord { caller, key: self.key, fingerprint: self.fingerprint, at }
    }
}

/// The key was used with a different request before.
pub(super) fn used_for_another() -> ServiceError {
    ServiceError::conflict("this Idempotency-Key was already used for a different request; use a new key")
}
