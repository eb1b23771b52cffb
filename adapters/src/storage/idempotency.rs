//! Idempotent creation: the claim of an idempotency key is written in the same transaction as the record, so that a repeated request,
//! even a concurrent one, finds what the first one created.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use kqueen_domain::port::store::{Creation, IdempotencyRecord, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    backend::{CommitError, Refusal, Stored, Test, Transaction},
    core::Core,
    key::{self, Key},
    record::{self, Record, Unreadable},
};

/// How long a claim is valid.
const LIFETIME: TimeDelta = TimeDelta::days(1);

/// How many claims are read at once.
const SLICE: usize = 500;

/// How often a creation is attempted if its claim expires or is deleted at that moment.
const ATTEMPTS: usize = 5;

#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    at: DateTime<Utc>,
    fingerprint: [u8; 32],
    /// The record as it was created, in its envelope.
    first: Box<RawValue>,
}

const FORMAT: u32 = 1;

fn read(stored: &Stored) -> Result<Form, Unreadable> {
    let damaged = |error: serde_json::Error| Unreadable::Damaged { kind: "claim", at: error.column() };
    let form: Form = serde_json::from_slice(&stored.value).map_err(damaged)?;
    if form.format > FORMAT {
        return Err(Unreadable::Newer { kind: "claim", format: form.format, known: FORMAT });
    }
    Ok(form)
}

impl Core {
    /// Commits `transaction`, which creates `record`, once per claim.
    pub(crate) async fn create<T: Record + Sync>(
        &self,
        record: &T,
        transaction: Transaction,
        claim: Option<IdempotencyRecord>,
    ) -> Result<Creation<T>, StoreError> {
        let Some(claim) = claim else { return Ok(Creation::New(self.commit(transaction).await?)) };
        let key = key::claim(T::KIND, claim.caller, &claim.key);
        let form =
            Form { format: FORMAT, at: claim.at, fingerprint: claim.fingerprint, first: record::nested(record)? };
        let value = serde_json::to_vec(&form).map_err(|error| StoreError::Unreadable(Box::new(error)))?;
        let mut test = Test::Absent;
        for _ in 0..ATTEMPTS {
            let mut claimed = Transaction::default();
            claimed.require(key.clone(), test, Refusal::Claimed).put(key.clone(), value.clone());
            claimed.conditions.extend(transaction.conditions.iter().cloned());
            claimed.writes.extend(transaction.writes.iter().cloned());
            match self.commit(claimed).await {
                Ok(revision) => return Ok(Creation::New(revision)),
                Err(CommitError::Refused(Refusal::Claimed)) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(stored) = self.backend.get(&key).await.map_err(StoreError::Unavailable)? else {
                test = Test::Absent;
                continue;
            };
            let earlier = read(&stored)?;
            if claim.at - earlier.at < LIFETIME {
                let first = record::read(earlier.first.get().as_bytes())?;
                return Ok(Creation::Repeated { first, fingerprint: earlier.fingerprint });
            }
            test = Test::At(stored.revision);
        }
        Err(StoreError::Conflict)
    }

    /// What was created with the claim's key, and the hash of that request, unless the claim has expired.
    pub(crate) async fn claimed<T: Record>(
        &self,
        claim: &IdempotencyRecord,
    ) -> Result<Option<(T, [u8; 32])>, StoreError> {
        let key = key::claim(T::KIND, claim.caller, &claim.key);
        let Some(stored) = self.backend.get(&key).await.map_err(StoreError::Unavailable)? else { return Ok(None) };
        let earlier = read(&stored)?;
        if claim.at - earlier.at >= LIFETIME {
            return Ok(None);
        }
        Ok(Some((record::read(earlier.first.get().as_bytes())?, earlier.fingerprint)))
    }

    /// Deletes claims made before `before`; returns how many.
    pub(crate) async fn forget_claims(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let mut after: Option<Key> = None;
        loop {
            let slice = self.backend.scan(&key::all_claims(), after.as_ref(), SLICE).await;
            let slice = slice.map_err(StoreError::Unavailable)?;
            after = slice.entries.last().map(|(key, _)| key.clone());
            let old = slice.entries.into_iter().filter(|(_, stored)| read(stored).is_ok_and(|form| form.at < before));
            deleted += stream::iter(old)
                .map(|(key, stored)| async move {
                    let mut transaction = Transaction::default();
                    // A claim that was replaced in the meantime is not old any more.
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
