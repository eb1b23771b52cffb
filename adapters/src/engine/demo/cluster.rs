//! One simulated cluster. Its state is computed from the last request and the time: nothing runs in the background, and a restart
//! during an operation changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{
    id::ProvisionerId,
    ledger::OwnershipTag,
    observation::ProvisioningState,
    operation::NetworkPolicy,
    reason::{Reason, ReasonCode, Responsible},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long each operation takes.
const DEPLOYING: TimeDelta = TimeDelta::seconds(20);
const RESIZING: TimeDelta = TimeDelta::seconds(8);
const SWITCHING_POLICY: TimeDelta = TimeDelta::seconds(5);
const DESTROYING: TimeDelta = TimeDelta::seconds(6);

/// From which percentage of deploying on each resource exists.
const CONTROL_PLANE_AT: u8 = 20;
const NODE_POOL_AT: u8 = 60;
/// The percentage at which the last node has joined.
const NODES_AT: u8 = 95;
/// A deployment that is meant to fail does so when the node pool is due; a retry resumes shortly before.
const DEPLOYING_BREAKS_AT: u8 = NODE_POOL_AT;
const DEPLOYING_RESUMES_AT: u8 = 50;
const RESIZING_BREAKS_AT: u8 = 50;
/// Until which percentage of destroying each resource exists.
const NODE_POOL_UNTIL: u8 = 40;
const CONTROL_PLANE_UNTIL: u8 = 80;

/// The resources of a cluster, in order of creation.
pub(super) const KINDS: [&str; 3] = ["network", "control plane", "node pool"];

/// Maximum number of nodes of a cluster.
pub(super) const MAX_NODES: u32 = 20;

/// How often deleting a cluster named `fail-delete-…` is rejected.
pub(super) const REJECTIONS: u32 = 2;

/// The failure to simulate for a cluster, chosen by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SimulatedFailure {
    None,
    Deploying,
    Resizing,
    Deleting,
}

impl SimulatedFailure {
    pub(super) fn of(name: &str) -> Self {
        match name.strip_prefix("fail-") {
            None => Self::None,
            Some(rest) if rest.starts_with("resize-") => Self::Resizing,
            Some(rest) if rest.starts_with("delete-") => Self::Deleting,
            Some(_) => Self::Deploying,
        }
    }
}

/// The last request; it may be complete already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Work {
    Deploy { since: DateTime<Utc>, node_count: u32, breaks: bool },
    Resize { since: DateTime<Utc>, node_count: u32, breaks: bool },
    SetNetworkPolicy { since: DateTime<Utc>, policy: NetworkPolicy },
    Destroy { since: DateTime<Utc> },
}

/// A simulated cluster as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DemoCluster {
    pub(super) tag: OwnershipTag,
    /// Each provisioner is a separate account.
    pub(super) account: ProvisionerId,
    pub(crate) region: String,
    pub(crate) size: String,
    pub(crate) kubernetes_version: String,
    pub(super) token: Uuid,
    /// How many of [`KINDS`] existed when `work` began, which nodes (with the time each joined), and which network policy.
    pub(super) made: usize,
    pub(super) nodes: Vec<DateTime<Utc>>,
    pub(super) network_policy: NetworkPolicy,
    pub(super) work: Work,
    /// How often its deletion was rejected.
    pub(super) refusals: u32,
}

/// The state of a cluster at one point in time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment {
    pub(crate) state: ProvisioningState,
    pub(super) progress: Option<u8>,
    pub(super) message: String,
    /// How many of [`KINDS`] exist.
    pub(super) made: usize,
    /// When each node joined.
    pub(crate) nodes: Vec<DateTime<Utc>>,
    pub(crate) network_policy: NetworkPolicy,
    /// Whether its API answers.
    pub(crate) answers: bool,
}

impl DemoCluster {
    /// Its state at `now`; `None` once it is deleted.
    pub(crate) fn at(&self, now: DateTime<Utc>) -> Option<Moment> {
        Some(match &self.work {
            Work::Deploy { since, node_count, breaks } => self.deploying(*since, *node_count, *breaks, now),
            Work::Resize { since, node_count, breaks } => self.resizing(*since, *node_count, *breaks, now),
            Work::SetNetworkPolicy { since, policy } => self.switching_policy(*since, policy, now),
            Work::Destroy { since } => return self.destroying(*since, now),
        })
    }

    /// The bearer token in its kubeconfig.
    pub(crate) fn bearer_token(&self) -> String {
        format!("simulated-{}", self.token.as_simple())
    }

    /// The version that its API server reports.
    pub(crate) fn git_version(&self) -> String {
        format!("v{}-simulated", self.kubernetes_version)
    }

    /// Whether the simulation can have produced this cluster.
    pub(super) fn is_valid(&self) -> bool {
        let requested = match self.work {
            Work::Deploy { node_count, .. } | Work::Resize { node_count, .. } => node_count,
            Work::SetNetworkPolicy { .. } | Work::Destroy { .. } => 1,
        };
        (1..=MAX_NODES).contains(&requested) && self.nodes.len() <= MAX_NODES as usize && self.made <= KINDS.len()
    }

    /// Begins a new request and keeps what the last one has achieved.
    pub(super) fn begin(&mut self, work: Work, now: DateTime<Utc>) {
        if let Some(moment) = self.at(now) {
            self.made = moment.made;
            self.nodes = moment.nodes;
            self.network_policy = moment.network_policy;
        }
        self.work = work;
    }

    /// How many nodes count towards the quota.
    pub(super) fn claimed_nodes(&self, now: DateTime<Utc>) -> usize {
        let Some(moment) = self.at(now) else { return 0 };
        match (&self.work, &moment.state) {
            (Work::Deploy { node_count, .. } | Work::Resize { node_count, .. }, ProvisioningState::Working) => {
                moment.nodes.len().max(*node_count as usize)
            }
            _ => moment.nodes.len(),
        }
    }

    fn running(&self, nodes: Vec<DateTime<Utc>>) -> Moment {
        let message = match nodes.len() {
            1 => "1 node is running (simulated)".to_owned(),
            count => format!("{count} nodes are running (simulated)"),
        };
        Moment {
            state: ProvisioningState::Running,
            progress: None,
            message,
            made: KINDS.len(),
            nodes,
            network_policy: self.network_policy.clone(),
            answers: true,
        }
    }

    fn deploying(&self, since: DateTime<Utc>, node_count: u32, breaks: bool, now: DateTime<Utc>) -> Moment {
        let percent = percent(since, DEPLOYING, now);
        let node_at = |number: u32| {
            let joining = i32::from(NODES_AT - NODE_POOL_AT) * number.cast_signed() / node_count.max(1).cast_signed();
            since + DEPLOYING * (i32::from(NODE_POOL_AT) + joining) / 100
        };
        if !breaks && percent == 100 {
            return self.running((1..=node_count).map(node_at).collect());
        }
        let percent = if breaks { percent.min(DEPLOYING_BREAKS_AT) } else { percent };
        let nodes: Vec<_> = (1..=node_count).map(node_at).filter(|at| !breaks && *at <= now).collect();
        let broken = breaks && percent == DEPLOYING_BREAKS_AT;
        let message = match percent {
            _ if broken => "the node pool could not be created (simulated)".to_owned(),
            0..CONTROL_PLANE_AT => "creating the network (simulated)".to_owned(),
            CONTROL_PLANE_AT..DEPLOYING_RESUMES_AT => "starting the control plane (simulated)".to_owned(),
            DEPLOYING_RESUMES_AT..NODE_POOL_AT => "creating the node pool (simulated)".to_owned(),
            NODE_POOL_AT..NODES_AT => format!("starting node {} of {node_count} (simulated)", nodes.len() + 1),
            _ => "waiting for the nodes to be ready (simulated)".to_owned(),
        };
        let made = match percent {
            0..CONTROL_PLANE_AT => 1,
            CONTROL_PLANE_AT..NODE_POOL_AT => 2,
            _ if broken => 2,
            _ => KINDS.len(),
        };
        Moment {
            state: if broken { ProvisioningState::Broken(self.out_of_quota()) } else { ProvisioningState::Working },
            progress: Some(percent),
            message,
            made: made.max(self.made),
            nodes,
            network_policy: self.network_policy.clone(),
            answers: false,
        }
    }

    fn resizing(&self, since: DateTime<Utc>, node_count: u32, breaks: bool, now: DateTime<Utc>) -> Moment {
        let percent = percent(since, RESIZING, now);
        let percent = if breaks { percent.min(RESIZING_BREAKS_AT) } else { percent };
        let (before, after) = (self.nodes.len(), node_count as usize);
        let steps = before.abs_diff(after);
        let done = steps * usize::from(percent) / 100;
        let mut nodes = self.nodes.clone();
        if after < before {
            nodes.truncate(before - done);
        } else {
            let share = |number: usize| i32::try_from(number * 100 / steps.max(1)).unwrap_or(100);
            nodes.extend((1..=done).map(|number| since + RESIZING * share(number) / 100));
        }
        if !breaks && percent == 100 {
            return self.running(nodes);
        }
        let broken = breaks && percent == RESIZING_BREAKS_AT;
        let message = match (broken, after < before) {
            (true, _) => format!("resizing stopped at {} nodes (simulated)", nodes.len()),
            (false, true) => format!("draining node {} (simulated)", nodes.len()),
            (false, false) => format!("starting node {} of {after} (simulated)", (nodes.len() + 1).min(after)),
        };
        Moment {
            state: if broken { ProvisioningState::Broken(self.out_of_quota()) } else { ProvisioningState::Working },
            progress: Some(percent),
            message,
            ..self.running(nodes)
        }
    }

    fn switching_policy(&self, since: DateTime<Utc>, policy: &NetworkPolicy, now: DateTime<Utc>) -> Moment {
        let percent = percent(since, SWITCHING_POLICY, now);
        let running = self.running(self.nodes.clone());
        if percent == 100 {
            return Moment { network_policy: policy.clone(), ..running };
        }
        let turned = if policy.enabled { "on" } else { "off" };
        Moment {
            state: ProvisioningState::Working,
            progress: Some(percent),
            message: format!("turning network policy {turned} (simulated)"),
            ..running
        }
    }

    fn destroying(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Moment> {
        let percent = percent(since, DESTROYING, now);
        let (left, message) = match percent {
            0..NODE_POOL_UNTIL => (3, "deleting the node pool (simulated)"),
            NODE_POOL_UNTIL..CONTROL_PLANE_UNTIL => (2, "deleting the control plane (simulated)"),
            CONTROL_PLANE_UNTIL..100 => (1, "deleting the network (simulated)"),
            _ => return None,
        };
        Some(Moment {
            state: ProvisioningState::Removing,
            progress: Some(percent),
            message: message.to_owned(),
            made: self.made.min(left),
            nodes: if left == KINDS.len() { self.nodes.clone() } else { Vec::new() },
            network_policy: self.network_policy.clone(),
            answers: false,
        })
    }

    /// The reason of a simulated failure.
    fn out_of_quota(&self) -> Reason {
        let region = &self.region;
        Reason::new(
            ReasonCode::QuotaExceeded,
            format!("the quota for virtual CPUs in region {region} is used up (simulated)"),
            Responsible::Admin,
            "choose another name: the failure is simulated because the cluster's name starts with `fail-`; rename it and \
             retry, or destroy it",
        )
        .with_provider_message(format!(
            "QUOTA_EXCEEDED: Quota 'CPUS' exceeded. Limit: 24.0 in region {region}. (This is a simulation; no provider was asked.)"
        ))
    }
}

/// When a deployment would have started that resumes where the last one failed.
pub(super) fn resumed(now: DateTime<Utc>) -> DateTime<Utc> {
    now - DEPLOYING * i32::from(DEPLOYING_RESUMES_AT) / 100
}

fn percent(since: DateTime<Utc>, lasts: TimeDelta, now: DateTime<Utc>) -> u8 {
    // A clock that was set back only delays it.
    let passed = (now - since).num_milliseconds().clamp(0, lasts.num_milliseconds());
    u8::try_from(passed * 100 / lasts.num_milliseconds()).unwrap_or(100)
}
