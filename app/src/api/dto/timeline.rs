//! The timeline of a cluster.

use chrono::{DateTime, Utc};
use kqueen_domain::timeline;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::operation::{Reason, Requester};

/// The kind of an event.
///
/// - `asked`: A user made a request.
/// - `step`: A step of an operation started, ended, or must be retried.
/// - `ended`: An operation ended.
/// - `state`: The state of the cluster changed.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum EventKind {
    Asked,
    Step,
    Ended,
    State,
}

/// An event in the timeline of a cluster.
#[derive(Debug, Object, Serialize)]
pub struct TimelineEvent {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The kind of event.
    pub kind: EventKind,
    /// What happened, as text for people.
    pub message: String,
    /// The id of the operation that it belongs to; null if there is none.
    #[oai(nullable)]
    pub operation: Option<Uuid>,
    /// Who requested it; null if no user did.
    #[oai(nullable)]
    pub by: Option<Requester>,
    /// Why it failed; null if it did not.
    #[oai(nullable)]
    pub failure: Option<Reason>,
}

impl TimelineEvent {
    /// An event with its requester.
    #[must_use]
    pub fn of(entry: &timeline::TimelineEvent, by: Option<Requester>) -> Self {
        Self {
            at: entry.at,
            kind: match entry.kind {
                timeline::EventKind::Asked => EventKind::Asked,
                timeline::EventKind::Step => EventKind::Step,
                timeline::EventKind::Ended => EventKind::Ended,
                timeline::EventKind::State => EventKind::State,
            },
            message: entry.message.clone(),
            operation: entry.operation.map(|operation| operation.uuid()),
            by,
            failure: entry.reason.as_ref().map(Reason::from),
        }
    }
}

/// Part of a cluster's timeline.
#[derive(Debug, Object, Serialize)]
pub struct Timeline {
    /// The events, newest first.
    pub items: Vec<TimelineEvent>,
    /// The value of `from` for the events before these; null if there are none.
    #[oai(nullable)]
    pub next: Option<String>,
}
