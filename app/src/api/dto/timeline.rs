//! The timeline of a cluster.

use chrono::{DateTime, Utc};
use kqueen_domain::timeline;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::operation::{Reason, Requester};

/// The kind of event.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A request by a user.
    Asked,
    /// A step of an operation started, ended, or has to be retried.
    Step,
    /// An operation ended.
    Ended,
    /// The cluster's state changed.
    State,
}

/// An event in the timeline of a cluster.
#[derive(Debug, Object, Serialize)]
pub struct TimelineEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// The kind of event.
    pub kind: EventKind,
    /// What happened, in plain words.
    pub message: String,
    /// Id of the operation it belongs to.
    #[oai(nullable)]
    pub operation: Option<Uuid>,
    /// Who requested it.
    #[oai(nullable)]
    pub by: Option<Requester>,
    /// Why it failed, if it did.
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
    /// What happened, newest first.
    pub items: Vec<TimelineEvent>,
    /// Send it as `from` to get the events before these; null if there are none.
    #[oai(nullable)]
    pub next: Option<String>,
}
