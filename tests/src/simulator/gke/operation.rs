//! Operations: what is under way with a cluster, and what comes of it.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{catalog, cluster::ClusterName, error};
use crate::simulator::fault::Doom;

/// What an operation does when it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    CreateCluster,
    DeleteCluster,
    SetSize {
        pool: String,
        count: u32,
    },
    SetNetworkPolicy(Value),
    /// Fields of the cluster that become these.
    Update(Value),
    UpgradeMaster(String),
    UpgradeNodes {
        pool: String,
        version: String,
    },
    CreateNodePool(Value),
    DeleteNodePool(String),
    SetLabels(Value),
}

impl Effect {
    /// The type of the operation, and how long it takes.
    fn kind(&self) -> (&'static str, TimeDelta) {
        match self {
            Self::CreateCluster => ("CREATE_CLUSTER", TimeDelta::minutes(5)),
            Self::DeleteCluster => ("DELETE_CLUSTER", TimeDelta::minutes(3)),
            Self::SetSize { .. } => ("SET_NODE_POOL_SIZE", TimeDelta::seconds(90)),
            Self::SetNetworkPolicy(_) => ("SET_NETWORK_POLICY", TimeDelta::minutes(4)),
            Self::Update(_) => ("UPDATE_CLUSTER", TimeDelta::minutes(2)),
            Self::UpgradeMaster(_) => ("UPGRADE_MASTER", TimeDelta::minutes(6)),
            Self::UpgradeNodes { .. } => ("UPGRADE_NODES", TimeDelta::minutes(8)),
            Self::CreateNodePool(_) => ("CREATE_NODE_POOL", TimeDelta::seconds(90)),
            Self::DeleteNodePool(_) => ("DELETE_NODE_POOL", TimeDelta::seconds(90)),
            Self::SetLabels(_) => ("UPDATE_CLUSTER", TimeDelta::seconds(30)),
        }
    }

    /// How long it takes at the real provider, as far as minutes matter.
    pub(super) fn takes(&self) -> TimeDelta {
        self.kind().1
    }

    fn pool(&self) -> Option<&str> {
        match self {
            Self::SetSize { pool, .. } | Self::UpgradeNodes { pool, .. } | Self::DeleteNodePool(pool) => Some(pool),
            Self::CreateNodePool(pool) => pool["name"].as_str(),
            Self::CreateCluster
            | Self::DeleteCluster
            | Self::SetNetworkPolicy(_)
            | Self::Update(_)
            | Self::UpgradeMaster(_)
            | Self::SetLabels(_) => None,
        }
    }
}

/// An operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) cluster: ClusterName,
    pub(super) effect: Effect,
    pub(super) started: DateTime<Utc>,
    /// When it is, or was, done.
    pub(super) ends: DateTime<Utc>,
    pub(super) is_done: bool,
    pub(super) is_cancelled: bool,
    pub(super) doom: Option<Doom>,
    /// Code and words, once it has failed.
    pub(super) error: Option<(String, String)>,
}

impl Operation {
    /// Why it fails, in Google's words: the canonical code and the message.
    pub(super) fn failure(&self) -> Option<(String, String)> {
        if self.is_cancelled {
            return Some(("CANCELLED".to_owned(), "Operation was cancelled.".to_owned()));
        }
        let Doom { code, message, .. } = self.doom.as_ref()?;
        let ClusterName { project, location, .. } = &self.cluster;
        let region = catalog::region_of(location).unwrap_or_default();
        let zone = catalog::node_zones(location).first().cloned().unwrap_or_default();
        let (code, usual) = match code.as_str() {
            "" | "INTERNAL" => ("INTERNAL", "Internal error.".to_owned()),
            "GCE_STOCKOUT" => (
                "RESOURCE_EXHAUSTED",
                format!(
                    "Google Compute Engine: The zone 'projects/{project}/zones/{zone}' does not have enough resources \
                     available to fulfill the request. Try a different zone, or try again later."
                ),
            ),
            "GCE_QUOTA_EXCEEDED" => (
                "RESOURCE_EXHAUSTED",
                format!("Google Compute Engine: Quota 'CPUS' exceeded. Limit: 24.0 in region {region}."),
            ),
            "NODES_UNHEALTHY" => (
                "DEADLINE_EXCEEDED",
                "All cluster resources were brought up, but: only 0 nodes out of 1 have registered; cluster may be \
                 unhealthy."
                    .to_owned(),
            ),
            other => (other, "Internal error.".to_owned()),
        };
        Some((code.to_owned(), if message.is_empty() { usual } else { message.clone() }))
    }

    /// How far it is, in percent.
    fn percent(&self, now: DateTime<Utc>) -> i64 {
        let whole = (self.ends - self.started).num_milliseconds().max(1);
        ((now - self.started).num_milliseconds() * 100 / whole).clamp(0, 100)
    }

    /// As the API shows it.
    pub(super) fn to_json(&self, project_number: u64, now: DateTime<Utc>) -> Value {
        let location = &self.cluster.location;
        let base = format!("https://container.googleapis.com/v1/projects/{project_number}/{}", self.cluster.place());
        let mut target = format!("{base}/clusters/{}", self.cluster.name);
        if let Some(pool) = self.effect.pool() {
            target.push_str(&format!("/nodePools/{pool}"));
        }
        let status = match (self.is_done, self.is_cancelled) {
            (true, _) => "DONE",
            (false, true) => "ABORTING",
            (false, false) => "RUNNING",
        };
        let mut shown = json!({
            "name": self.name, "zone": location, "location": location, "operationType": self.effect.kind().0,
            "status": status, "selfLink": format!("{base}/operations/{}", self.name), "targetLink": target,
            "startTime": time(self.started),
        });
        if self.effect == Effect::CreateCluster {
            let percent = self.percent(now);
            let part = |from: i64, to: i64| ((percent - from) * 10 / (to - from)).clamp(0, 10).to_string();
            let metric = |name: &str, value: String| json!({"name": name, "intValue": value});
            shown["progress"] = json!({"metrics": [
                metric("CLUSTER_CONFIGURING", part(0, 30)), metric("CLUSTER_CONFIGURING_TOTAL", "10".to_owned()),
                metric("CLUSTER_DEPLOYING", part(30, 80)), metric("CLUSTER_DEPLOYING_TOTAL", "10".to_owned()),
                metric("CLUSTER_HEALTHCHECKING", part(80, 100)), metric("CLUSTER_HEALTHCHECKING_TOTAL", "10".to_owned()),
            ]});
        }
        if self.is_done {
            shown["endTime"] = time(self.ends).into();
        }
        if let Some((code, message)) = &self.error {
            shown["error"] = json!({"code": error::number(code), "message": message, "details": []});
            shown["statusMessage"] = message.clone().into();
        }
        shown
    }
}

/// A time as the API writes it.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}
