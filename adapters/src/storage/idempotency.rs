//! Idempotent creation: a record of the idempotency key is written in the same transaction as the created object, so that a repeated
//! request, even a concurrent one, finds what the first one created.
//!
//! It keeps a fingerprint of the request. Requests contain secrets, some of which can be guessed, so the fingerprint is keyed. In format
//! 1 it was not: a record of that format is compared without a key, and expires within a day like every other.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use kqueen_domain::port::store::{Creation, IdempotencyRecord, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    backend::{CommitError, Refusal, Stored, Test, Transaction},
    cipher::{CipherError, Keyed},
    core::Core,
    key::{self, Key},
    record::{self, Record, Unreadable},
};

/// How long an idempotency record is valid.
const LIFETIME: TimeDelta = TimeDelta::days(1);

/// How many idempotency records are read at once.
const SLICE: usize = 500;

/// How often a creation is attempted if its idempotency record expires or is deleted at that moment.
const ATTEMPTS: usize = 5;

#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    at: DateTime<Utc>,
    fingerprint: [u8; 32],
    /// The key of the fingerprint; `None` in format 1, whose fingerprints have no key.
    #[serde(default)]
    key: Option<String>,
    /// The record as it was created, in its envelope.
    first: Box<RawValue>,
}

const FORMAT: u32 = 2;

fn read(stored: &Stored) -> Result<Form, Unreadable> {
    let damaged = |error: serde_json::Error| Unreadable::Damaged { kind: "idempotency record", at: error.column() };
    let form: Form = serde_json::from_slice(&stored.value).map_err(damaged)?;
    if form.format > FORMAT {
        return Err(Unreadable::Newer { kind: "idempotency record", format: form.format, known: FORMAT });
    }
    Ok(form)
}

impl Core {
    /// Commits `transaction`, which creates `record`, once per idempotency key.
    pub(crate) async fn create<T: Record + Sync>(
        &self,
        record: &T,
        transaction: Transaction,
        idempotency: Option<IdempotencyRecord>,
    ) -> Result<Creation<T>, StoreError> {
        let Some(idempotency) = idempotency else { return Ok(Creation::New(self.commit(transaction).await?)) };
        let key = key::idempotency(T::KIND, idempotency.caller, &idempotency.key);
        let Keyed { key: key_id, fingerprint } = self.cipher.fingerprint(&idempotency.fingerprint)?;
        let form =
            Form { format: FORMAT, at: idempotency.at, fingerprint, key: Some(key_id), first: record::nested(record)? };
        let value = serde_json::to_vec(&form).map_err(|error| StoreError::Unreadable(Box::new(error)))?;
        let mut test = Test::Absent;
        for _ in 0..ATTEMPTS {
            let mut once = Transaction::default();
            once.require(key.clone(), test, Refusal::KeyUsed).put(key.clone(), value.clone());
            once.conditions.extend(transaction.conditions.iter().cloned());
            once.writes.extend(transaction.writes.iter().cloned());
            match self.commit(once).await {
                Ok(revision) => return Ok(Creation::New(revision)),
                Err(CommitError::Refused(Refusal::KeyUsed)) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(stored) = self.backend.get(&key).await.map_err(StoreError::Unavailable)? else {
                test = Test::Absent;
                continue;
            };
            let earlier = read(&stored)?;
            if idempotency.at - earlier.at < LIFETIME {
                let first = record::read(earlier.first.get().as_bytes())?;
                return Ok(Creation::Repeated { first, same_request: self.is_same_request(&earlier, &idempotency)? });
            }
            test = Test::At(stored.revision);
        }
        Err(StoreError::Conflict)
    }

    /// What was created with the idempotency key, and whether by the same request, unless the record of the key has expired.
    pub(crate) async fn created_with<T: Record>(
        &self,
        idempotency: &IdempotencyRecord,
    ) -> Result<Option<(T, bool)>, StoreError> {
        let key = key::idempotency(T::KIND, idempotency.caller, &idempotency.key);
        let Some(stored) = self.backend.get(&key).await.map_err(StoreError::Unavailable)? else { return Ok(None) };
        let earlier = read(&stored)?;
        if idempotency.at - earlier.at >= LIFETIME {
            return Ok(None);
        }
        let first = record::read(earlier.first.get().as_bytes())?;
        Ok(Some((first, self.is_same_request(&earlier, idempotency)?)))
    }

    /// Whether an earlier record is that of the same request. If the secret key of its fingerprint is no longer known, it counts as the
    /// same: a client that repeats a request must not be told to send it with another key, which would create a second object.
    fn is_same_request(&self, earlier: &Form, idempotency: &IdempotencyRecord) -> Result<bool, CipherError> {
        let Some(key) = &earlier.key else { return Ok(earlier.fingerprint == idempotency.fingerprint) };
        let keyed = Keyed { key: key.clone(), fingerprint: earlier.fingerprint };
        Ok(self.cipher.is_fingerprint_of(&keyed, &idempotency.fingerprint)?.unwrap_or(true))
    }

    /// Deletes idempotency records made before `before`; returns how many.
    pub(crate) async fn delete_idempotency_records(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let mut after: Option<Key> = None;
        loop {
            let slice = self.backend.scan(&key::all_idempotency_records(), after.as_ref(), SLICE).await;
            let slice = slice.map_err(StoreError::Unavailable)?;
            after = slice.entries.last().map(|(key, _)| key.clone());
            let old = slice.entries.into_iter().filter(|(_, stored)| read(stored).is_ok_and(|form| form.at < before));
            deleted += stream::iter(old)
                .map(|(key, stored)| async move {
                    let mut transaction = Transaction::default();
                    // An idempotency record that was replaced in the meantime is not old any more.
                    transaction.require(key.clone(), Test::At(stored.revision), Refusal::Conflict).delete(key);
                    match self.commit(transaction).await {
                        Ok(_) => Ok(1),
                        Err(CommitError::Refused(_)) => Ok(0),
                        Err(error) => Err(StoreError::from(error)),
                    }
                })
                .buffer_unordered(16)
                .try_fold(0, |sum, one| async move { Ok(sum + one) })
                .await?;
            if !slice.more {
                return Ok(deleted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kqueen_domain::{
        access::Policy,
        catalog::Catalog,
        id::{OrganizationId, UserId},
        organization::Organization,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::storage::{Location, Memory, Settings, Stores, open};

    async fn opened(memory: &Memory, secret_key: &str, previous: &[&str]) -> Stores {
        let settings = Settings {
            location: Location::Memory(memory.clone()),
            secret_key: secret_key.into(),
            previous_keys: previous.iter().map(|key| (*key).into()).collect(),
            kubeconfig_cache_bytes: 0,
        };
        open(settings, Catalog::new().into()).await.unwrap()
    }

    /// Any record: idempotency records are the same for all kinds.
    fn a_record() -> Organization {
        Organization {
            id: OrganizationId::random(),
            name: "Acme".try_into().unwrap(),
            namespace: "acme".try_into().unwrap(),
            policy: Policy::default(),
            created_at: noon(),
        }
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn an_idempotency_record(caller: UserId, fingerprint: u8) -> IdempotencyRecord {
        IdempotencyRecord { caller, key: "k".to_owned(), fingerprint: [fingerprint; 32], at: noon() }
    }

    fn storage_key(caller: UserId) -> Key {
        key::idempotency(Organization::KIND, caller, "k")
    }

    /// Whether requests with the fingerprint 1 and 2 count as the one that was made before.
    async fn compared(stores: &Stores, caller: UserId) -> [bool; 2] {
        let mut same = [true; 2];
        for (fingerprint, same) in [1, 2].into_iter().zip(&mut same) {
            let idempotency = an_idempotency_record(caller, fingerprint);
            *same = stores.core.created_with::<Organization>(&idempotency).await.unwrap().unwrap().1;
            let created = stores.core.create(&a_record(), Transaction::default(), Some(idempotency)).await.unwrap();
            assert!(matches!(created, Creation::Repeated { same_request, .. } if same_request == *same));
        }
        same
    }

    #[tokio::test]
    async fn an_idempotency_record_keeps_only_a_keyed_fingerprint() {
        let memory = Memory::default();
        let (stores, caller) = (opened(&memory, "one", &[]).await, UserId::random());
        let created =
            stores.core.create(&a_record(), Transaction::default(), Some(an_idempotency_record(caller, 1))).await;
        assert!(matches!(created, Ok(Creation::New(_))));
        let stored = stores.core.backend.get(&storage_key(caller)).await.unwrap().unwrap();
        let form: Value = serde_json::from_slice(&stored.value).unwrap();
        assert_eq!(form["format"], 2);
        assert_ne!(form["fingerprint"], json!(vec![1_u8; 32]));
        assert_eq!(compared(&stores, caller).await, [true, false]);
        let rotated = opened(&memory, "two", &["one"]).await;
        assert_eq!(compared(&rotated, caller).await, [true, false], "after a change of the secret key");
        rotated.rotate(|_| {}).await.unwrap();
        let forgotten = opened(&memory, "two", &[]).await;
        assert_eq!(compared(&forgotten, caller).await, [true, true], "it cannot be compared any more");
    }

    #[tokio::test]
    async fn an_idempotency_record_of_format_1_is_compared_without_a_key() {
        let (stores, caller) = (opened(&Memory::default(), "one", &[]).await, UserId::random());
        let first = serde_json::to_value(record::nested(&a_record()).unwrap()).unwrap();
        let form = json!({"format": 1, "at": noon(), "fingerprint": vec![1_u8; 32], "first": first});
        let mut transaction = Transaction::default();
        transaction.put(storage_key(caller), form.to_string().into_bytes());
        stores.core.commit(transaction).await.unwrap();
        assert_eq!(compared(&stores, caller).await, [true, false]);
    }

    #[tokio::test]
    async fn an_idempotency_record_of_a_newer_format_is_not_guessed_at() {
        let (stores, caller) = (opened(&Memory::default(), "one", &[]).await, UserId::random());
        let form = json!({"format": FORMAT + 1, "at": noon(), "fingerprint": vec![1_u8; 32], "key": "", "first": {}});
        let mut transaction = Transaction::default();
        transaction.put(storage_key(caller), form.to_string().into_bytes());
        stores.core.commit(transaction).await.unwrap();
        let read = stores.core.created_with::<Organization>(&an_idempotency_record(caller, 1)).await;
        assert!(matches!(read, Err(StoreError::Unreadable(_))), "{read:?}");
    }
}
