//! What the provider keeps for its customers, and what it costs them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A kind of thing, in the order in which they stand on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Stands on nothing.
    Network,
    /// Stands on a network.
    Cluster,
    /// Stands on a cluster.
    Nodepool,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Network, Self::Cluster, Self::Nodepool];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Cluster => "cluster",
            Self::Nodepool => "nodepool",
        }
    }

    /// Its name in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::Cluster => "clusters",
            Self::Nodepool => "nodepools",
        }
    }

    /// The kind of thing it stands on.
    #[must_use]
    pub const fn stands_on(self) -> Option<Self> {
        match self {
            Self::Network => None,
            Self::Cluster => Some(Self::Network),
            Self::Nodepool => Some(Self::Cluster),
        }
    }
}

/// Where a thing is: names are unique in a project, for each kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub project: String,
    pub kind: Kind,
    pub name: String,
}

impl Key {
    #[must_use]
    pub fn new(project: &str, kind: Kind, name: &str) -> Self {
        Self { project: project.to_owned(), kind, name: name.to_owned() }
    }
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It works.
    Running,
    /// It is being changed.
    Updating,
    /// It is being taken down.
    Deleting,
    /// Making, changing or taking it down has failed.
    Error,
}

impl Status {
    /// Whether something is being done to it.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Creating | Self::Updating | Self::Deleting)
    }
}

/// Network policy of a cluster, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub provider: String,
    pub enabled: bool,
}

/// What customers choose about a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Of a nodepool.
    pub node_count: Option<u32>,
    /// Of a cluster.
    pub network_policy: Option<Policy>,
}

/// Something that costs money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    pub key: Key,
    /// Another thing that takes the name later has another id.
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub status: Status,
    /// Why it failed.
    pub message: Option<String>,
    /// The name of what it stands on.
    pub on: Option<String>,
    pub shape: Shape,
    /// What a change under way makes of it.
    pub target: Option<Shape>,
    /// Set when a cluster is made; no answer shows it.
    pub admin_password: Option<String>,
    pub made_at: DateTime<Utc>,
    /// When what is under way began, and when it ends.
    pub under_way: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// What is under way will fail.
    pub is_doomed: bool,
    /// It has run before.
    pub has_run: bool,
    /// A test has put it there: it is not ours.
    pub is_planted: bool,
    /// Grows with every change: what time brings to an earlier state of it is void.
    pub version: u64,
}

impl Thing {
    /// It as the provider shows it.
    #[must_use]
    pub fn to_json(&self, now: DateTime<Utc>) -> Value {
        let mut shown = json!({
            "kind": self.key.kind,
            "name": self.key.name,
            "id": self.id,
            "labels": self.labels,
            "status": self.status,
            "created_at": self.made_at,
        });
        let Value::Object(fields) = &mut shown else { unreachable!("it is an object") };
        let optional = [
            ("message", self.message.as_ref().map(|message| json!(message))),
            ("on", self.on.as_ref().map(|on| json!(on))),
            ("progress", self.progress(now).map(|percent| json!(percent))),
            ("node_count", self.shape.node_count.map(|count| json!(count))),
            ("network_policy", self.shape.network_policy.as_ref().map(|policy| json!(policy))),
            (
                "target",
                self.target
                    .as_ref()
                    .map(|target| json!({"node_count": target.node_count, "network_policy": target.network_policy})),
            ),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        shown
    }

    /// How far what is under way is, in percent; 100 is reached only by being done.
    fn progress(&self, now: DateTime<Utc>) -> Option<u8> {
        let (began, ends) = self.under_way?;
        let whole = (ends - began).num_milliseconds().max(1);
        let percent = (now - began).num_milliseconds().clamp(0, whole) * 100 / whole;
        u8::try_from(percent.min(99)).ok()
    }
}

/// What was ever made under one name, and for how long it was paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// How many were made.
    pub made: u32,
    /// How many of those are gone.
    pub gone: u32,
    /// For how long there was one.
    pub paid: TimeDelta,
}
