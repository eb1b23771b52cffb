//! The story of a cluster.

use chrono::{DateTime, Utc};
use kqueen_domain::timeline;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::operation::{Reason, Requester};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum HappeningKind {
    /// Somebody asked for something.
    Asked,
    /// A step of an operation began, ended, or has to be tried again.
    Step,
    /// An operation ended.
    Ended,
    /// The cluster's state changed.
    State,
}

/// Something that happened to a cluster.
#[derive(Debug, Object, Serialize)]
pub struct Happening {
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of thing.
    pub kind: HappeningKind,
    /// What, in plain words.
    pub message: String,
    /// Id of the operation it belongs to.
    #[oai(nullable)]
    pub operation: Option<Uuid>,
    /// Who asked.
    #[oai(nullable)]
    pub by: Option<Requester>,
    /// Why it failed, if it did.
    #[oai(nullable)]
    pub failure: Option<Reason>,
}

impl Happening {
    /// An entry as it is answered; `by` tells who asked.
    #[must_use]
    pub fn of(entry: &timeline::Entry, by: Option<Requester>) -> Self {
        Self {
            at: entry.at,
            kind: match entry.happening {
                timeline::Happening::Asked => HappeningKind::Asked,
                timeline::Happening::Step => HappeningKind::Step,
                timeline::Happening::Ended => HappeningKind::Ended,
                timeline::Happening::State => HappeningKind::State,
            },
            message: entry.message.clone(),
            operation: entry.operation.map(|operation| operation.uuid()),
            by,
            failure: entry.reason.as_ref().map(Reason::from),
        }
    }
}

/// Part of a cluster's story.
#[derive(Debug, Object, Serialize)]
pub struct Timeline {
    /// What happened, newest first.
    pub items: Vec<Happening>,
    /// Send it as `from` to get what happened before; null at the beginning of the story.
    #[oai(nullable)]
    pub next: Option<String>,
}
