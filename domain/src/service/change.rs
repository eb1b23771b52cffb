//! Changing a record that others may change at the same time.

use crate::{
    invalid::{FieldError, Invalid},
    organization::Remaining,
    port::store::{ReadBarrier, StoreError},
    revision::Revision,
    service::ServiceError,
};

/// The revision that a request to change or delete expects the record to have; `None` for any revision.
pub type Expected = Option<Revision>;

/// How many times a change is attempted while others change the same record.
const ATTEMPTS: usize = 8;

/// Why one attempt at a change failed.
pub(super) enum AttemptError {
    /// Something the decision depends on was changed by others. Deciding again may help.
    Conflict,
    /// The change cannot be made.
    Failed(ServiceError),
}

impl From<ServiceError> for AttemptError {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

impl From<Invalid> for AttemptError {
    fn from(error: Invalid) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::Missing
            | StoreError::Taken { .. }
            | StoreError::InUse
            | StoreError::Dangling { .. }
            | StoreError::Unavailable(_)
            | StoreError::NotLeader
            | StoreError::Unreadable(_) => Self::Failed(error.into()),
        }
    }
}

impl AttemptError {
    /// For deletions: the record came into use after the decision; deciding again names what uses it.
    pub(super) fn of_deletion(error: StoreError) -> Self {
        match error {
            StoreError::InUse => Self::Conflict,
            other => other.into(),
        }
    }
}

/// Makes a change with optimistic concurrency: `attempt` reads, decides and writes. On a conflict it runs again, once the read model
/// shows the other write.
///
/// # Errors
/// The error of the attempt; `Conflict` after [`ATTEMPTS`] conflicts in a row.
pub(super) async fn retry_on_conflict<T, F>(
    barrier: &dyn ReadBarrier,
    attempt: impl Fn() -> F + Send,
) -> Result<T, ServiceError>
where
    F: Future<Output = Result<T, AttemptError>> + Send,
{
    for _ in 0..ATTEMPTS {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(AttemptError::Conflict) => barrier.caught_up().await?,
            Err(AttemptError::Failed(error)) => return Err(error),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Refuses to change a record that was changed since the caller read it.
///
/// # Errors
/// `ChangedMeanwhile`.
pub(super) fn check_expected(expected: Expected, now: Revision, object: &str) -> Result<(), ServiceError> {
    match expected {
        Some(expected) if expected != now => {
            Err(ServiceError::ChangedMeanwhile(format!("{object} has changed since it was read; read it again")))
        }
        _ => Ok(()),
    }
}

/// The conflict that lists what prevents `object` from being deleted.
pub(super) fn still_in_use(object: &str, remaining: &[Remaining]) -> ServiceError {
    let first = remaining.iter().take(3).map(|r| format!("{} {}", r.object, r.name)).collect::<Vec<_>>().join(", ");
    let more = if remaining.len() > 3 { " and others" } else { "" };
    ServiceError::Conflict {
        message: format!("{object} is still in use by {first}{more}; delete or move these first"),
        details: remaining
            .iter()
            .map(|r| FieldError {
                field: format!("{}:{}", r.object, r.id),
                message: format!("{} must be deleted or moved first", r.name),
            })
            .collect(),
    }
}
