//! A resource of a customer, and what it costs.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A kind of resource, in the order in which they depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Depends on nothing.
    Network,
    /// Depends on a network.
    Cluster,
    /// Depends on a cluster.
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

    /// The kind of resource it depends on.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Network => None,
            Self::Cluster => Some(Self::Network),
            Self::Nodepool => Some(Self::Cluster),
        }
    }
}

/// The key of a resource: names are unique per project and kind.
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

/// The status of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is being created.
    Creating,
    /// It works.
    Running,
    /// It is being changed.
    Updating,
    /// It is being deleted.
    Deleting,
    /// Creating, changing or deleting it has failed.
    Error,
}

impl Status {
    /// Whether an operation on it is in progress.
    #[must_use]
    pub const fn is_in_progress(self) -> bool {
        matches!(self, Self::Creating | Self::Updating | Self::Deleting)
    }
}

/// The network policy of a cluster in the provider's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub provider: String,
    pub enabled: bool,
}

/// The settings of a resource that customers choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Of a nodepool.
    pub node_count: Option<u32>,
    /// Of a cluster.
    pub network_policy: Option<Policy>,
}

/// A resource, which costs money while it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub key: Key,
    /// Unique: a later resource of the same name has another id.
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub status: Status,
    /// Why it failed.
    pub message: Option<String>,
    /// The name of the resource it depends on.
    pub parent: Option<String>,
    pub shape: Shape,
    /// The settings after the change in progress.
    pub target: Option<Shape>,
    /// Set when a cluster is created; no response shows it.
    pub admin_password: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When the operation in progress began, and when it ends.
    pub operation: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The operation in progress will fail.
    pub will_fail: bool,
    /// It has been running at some time.
    pub has_run: bool,
    /// A test created it: it is not ours.
    pub is_planted: bool,
    /// Grows with every change: what is due for an earlier version no longer applies.
    pub version: u64,
}

impl Resource {
    /// Its JSON in the API.
    #[must_use]
    pub fn to_json(&self, now: DateTime<Utc>) -> Value {
        let mut json = json!({
            "kind": self.key.kind,
            "name": self.key.name,
            "id": self.id,
            "labels": self.labels,
            "status": self.status,
            "created_at": self.created_at,
        });
        let Value::Object(fields) = &mut json else { unreachable!("the resource is an object") };
        let optional = [
            ("message", self.message.as_ref().map(|message| json!(message))),
            ("on", self.parent.as_ref().map(|parent| json!(parent))),
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
        json
    }

    /// The progress of the operation, in percent; at most 99 until it is complete.
    fn progress(&self, now: DateTime<Utc>) -> Option<u8> {
        let (began, ends) = self.operation?;
        let whole = (ends - began).num_milliseconds().max(1);
        let percent = (now - began).num_milliseconds().clamp(0, whole) * 100 / whole;
        u8::try_from(percent.min(99)).ok()
    }
}

/// What was ever created under one name, and for how long it was paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// How many were created.
    pub made: u32,
    /// How many of those no longer exist.
    pub gone: u32,
    /// For how long one existed.
    pub paid: TimeDelta,
}
