//! The shapes of requests and answers: declared for the document, read from requests, rendered into answers.

pub mod cluster;
pub mod configuration;
pub mod operation;
pub mod organization;
pub mod orphan;
pub mod provisioner;
pub mod reason_code;
pub mod session;
pub mod status;
pub mod timeline;
pub mod topology;
pub mod user;

use poem_openapi::{Object, types::Any};
use serde::Serialize;
use serde_json::Value;

/// Free-form JSON in a declared shape.
pub type Free = Any<Value>;

/// How many there are, and the share of them that is well.
#[derive(Debug, Serialize, Object)]
pub struct Health {
    /// How many there are that the caller may see.
    pub total: usize,
    /// Share of those in state OK, in percent, rounded down; 100 where there is none.
    pub healthy_percentage: usize,
}

impl From<kqueen_domain::catalog::Tally> for Health {
    fn from(tally: kqueen_domain::catalog::Tally) -> Self {
        Self { total: tally.total, healthy_percentage: tally.percentage() }
    }
}

/// What became of a deletion.
#[derive(Debug, Serialize, Object)]
pub struct Deleted {
    /// Identity of what was deleted.
    pub id: String,
    /// Always `deleted`.
    pub state: String,
}

impl Deleted {
    /// The answer to a deletion.
    #[must_use]
    pub fn of(id: impl std::fmt::Display) -> Self {
        Self { id: id.to_string(), state: "deleted".into() }
    }
}
