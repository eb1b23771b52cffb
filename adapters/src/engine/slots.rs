//! Values that are read once for everybody who needs them at the same time, and then kept in memory.

use std::sync::Arc;

use quick_cache::sync::{Cache, GuardResult};
use tokio::sync::Mutex;

use super::tokens::CredentialKey;

/// A value that is kept, or being read while the lock is held.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

/// A bounded number of slots, by key.
pub(crate) struct Slots<T>(Cache<CredentialKey, Slot<T>>);

impl<T> Slots<T> {
    /// Room for `most` slots; the least used are forgotten.
    pub(crate) fn new(most: usize) -> Self {
        Self(Cache::new(most))
    }

    /// The slot of a key; an empty one if there is none.
    pub(crate) fn get(&self, key: CredentialKey) -> Slot<T> {
        match self.0.get_value_or_guard(&key, None) {
            GuardResult::Value(slot) => slot,
            GuardResult::Guard(guard) => {
                let slot = Slot::default();
                // It is the same slot whether or not there was room to keep it.
                let _ = guard.insert(Arc::clone(&slot));
                slot
            }
            GuardResult::Timeout => Slot::default(),
        }
    }
}
