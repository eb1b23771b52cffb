//! One simulated cluster. Everything about it follows from what was last asked for and the time: nothing runs in the background,
//! and a restart in the middle of something changes nothing.

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

/// How long things take.
const DEPLOYING: TimeDelta = TimeDelta::seconds(20);
const RESIZING: TimeDelta = TimeDelta::seconds(8);
const SWITCHING_POLICY: TimeDelta = TimeDelta::seconds(5);
const DESTROYING: TimeDelta = TimeDelta::seconds(6);

/// From how many percent on of deploying each thing is there.
const CONTROL_PLANE_AT: u8 = 20;
const NODE_POOL_AT: u8 = 60;
/// When the last node has joined.
const NODES_AT: u8 = 95;
/// What breaks while deploying breaks when the node pool is due, and is taken up again shortly before.
const DEPLOYING_BREAKS_AT: u8 = NODE_POOL_AT;
const DEPLOYING_RESUMES_AT: u8 = 50;
const RESIZING_BREAKS_AT: u8 = 50;
/// Until how many percent of destroying each thing is there.
const NODE_POOL_UNTIL: u8 = 40;
const CONTROL_PLANE_UNTIL: u8 = 80;

/// What a cluster consists of, in the order in which it is made.
pub(super) const KINDS: [&str; 3] = ["network", "control plane", "node pool"];

/// Most nodes of a cluster.
pub(super) const MOST_NODES: u32 = 20;

/// How often deleting a cluster called `fail-delete-…` is refused.
pub(super) const REFUSALS: u32 = 2;

/// What is to go wrong with a cluster, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    None,
    Deploying,
    Resizing,
    Deleting,
}

impl Mishap {
    pub(super) fn of(name: &str) -> Self {
        match name.strip_prefix("fail-") {
            None => Self::None,
            Some(rest) if rest.starts_with("resize-") => Self::Resizing,
            Some(rest) if rest.starts_with("delete-") => Self::Deleting,
            Some(_) => Self::Deploying,
        }
    }
}

/// What was last asked for; it may be done long since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Work {
    Deploy { since: DateTime<Utc>, node_count: u32, breaks: bool },
    Resize { since: DateTime<Utc>, node_count: u32, breaks: bool },
    SetNetworkPolicy { since: DateTime<Utc>, policy: NetworkPolicy },
    Destroy { since: DateTime<Utc> },
}

/// A simulated cluster as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DemoCluster {
    pub(super) tag: OwnershipTag,
    /// Each provisioner is an account of its own.
    pub(super) account: ProvisionerId,
    pub(crate) region: String,
    pub(crate) size: String,
    pub(crate) kubernetes_version: String,
    pub(super) token: Uuid,
    /// How many of [`KINDS`] were there when `work` began, which nodes (each with when it joined), and which network policy.
    pub(super) made: usize,
    pub(super) nodes: Vec<DateTime<Utc>>,
    pub(super) network_policy: NetworkPolicy,
    pub(super) work: Work,
    /// How often its deletion was refused.
    pub(super) refusals: u32,
}

/// A cluster at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment {
    pub(crate) condition: ProvisioningState,
    pub(super) progress: Option<u8>,
    pub(super) words: String,
    /// How many of [`KINDS`] are there.
    pub(super) made: usize,
    /// When each node joined.
    pub(crate) nodes: Vec<DateTime<Utc>>,
    pub(crate) network_policy: NetworkPolicy,
    /// Whether its API answers.
    pub(crate) answers: bool,
}

impl DemoCluster {
    /// How it is; `None` once it is gone.
    pub(crate) fn at(&self, now: DateTime<Utc>) -> Option<Moment> {
        Some(match &self.work {
            Work::Deploy { since, node_count, breaks } => self.deploying(*since, *node_count, *breaks, now),
            Work::Resize { since, node_count, breaks } => self.resizing(*since, *node_count, *breaks, now),
            Work::SetNetworkPolicy { since, policy } => self.switching_policy(*since, policy, now),
            Work::Destroy { since } => return self.destroying(*since, now),
        })
    }

    /// What its kubeconfig lets in with.
    pub(crate) fn bearer_token(&self) -> String {
        format!("simulated-{}", self.token.as_simple())
    }

    /// What its API server calls its version.
    pub(crate) fn git_version(&self) -> String {
        format!("v{}-simulated", self.kubernetes_version)
    }

    /// Whether it is one that can have come about here.
    pub(super) fn is_sound(&self) -> bool {
        let asked = match self.work {
            Work::Deploy { node_count, .. } | Work::Resize { node_count, .. } => node_count,
            Work::SetNetworkPolicy { .. } | Work::Destroy { .. } => 1,
        };
        (1..=MOST_NODES).contains(&asked) && self.nodes.len() <= MOST_NODES as usize && self.made <= KINDS.len()
    }

    /// Something new is asked for: what has come of the last thing stays.
    pub(super) fn begin(&mut self, work: Work, now: DateTime<Utc>) {
        if let Some(moment) = self.at(now) {
            self.made = moment.made;
            self.nodes = moment.nodes;
            self.network_policy = moment.network_policy;
        }
        self.work = work;
    }

    /// For how many nodes there has to be room.
    pub(super) fn claimed_nodes(&self, now: DateTime<Utc>) -> usize {
        let Some(moment) = self.at(now) else { return 0 };
        match (&self.work, &moment.condition) {
            (Work::Deploy { node_count, .. } | Work::Resize { node_count, .. }, ProvisioningState::Working) => {
                moment.nodes.len().max(*node_count as usize)
            }
            _ => moment.nodes.len(),
        }
    }

    fn resting(&self, nodes: Vec<DateTime<Utc>>) -> Moment {
        let words = match nodes.len() {
            1 => "1 node runs (simulated)".to_owned(),
            count => format!("{count} nodes run (simulated)"),
        };
        Moment {
            condition: ProvisioningState::Running,
            progress: None,
            words,
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
            return self.resting((1..=node_count).map(node_at).collect());
        }
        let percent = if breaks { percent.min(DEPLOYING_BREAKS_AT) } else { percent };
        let nodes: Vec<_> = (1..=node_count).map(node_at).filter(|at| !breaks && *at <= now).collect();
        let broken = breaks && percent == DEPLOYING_BREAKS_AT;
        let words = match percent {
            _ if broken => "the node pool could not be made (simulated)".to_owned(),
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
            condition: if broken { ProvisioningState::Broken(self.out_of_quota()) } else { ProvisioningState::Working },
            progress: Some(percent),
            words,
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
            return self.resting(nodes);
        }
        let broken = breaks && percent == RESIZING_BREAKS_AT;
        let words = match (broken, after < before) {
            (true, _) => format!("resizing stopped at {} nodes (simulated)", nodes.len()),
            (false, true) => format!("draining node {} (simulated)", nodes.len()),
            (false, false) => format!("starting node {} of {after} (simulated)", (nodes.len() + 1).min(after)),
        };
        Moment {
            condition: if broken { ProvisioningState::Broken(self.out_of_quota()) } else { ProvisioningState::Working },
            progress: Some(percent),
            words,
            ..self.resting(nodes)
        }
    }

    fn switching_policy(&self, since: DateTime<Utc>, policy: &NetworkPolicy, now: DateTime<Utc>) -> Moment {
        let percent = percent(since, SWITCHING_POLICY, now);
        let resting = self.resting(self.nodes.clone());
        if percent == 100 {
            return Moment { network_policy: policy.clone(), ..resting };
        }
        let turned = if policy.enabled { "on" } else { "off" };
        Moment {
            condition: ProvisioningState::Working,
            progress: Some(percent),
            words: format!("turning network policy {turned} (simulated)"),
            ..resting
        }
    }

    fn destroying(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Moment> {
        let percent = percent(since, DESTROYING, now);
        let (left, words) = match percent {
            0..NODE_POOL_UNTIL => (3, "deleting the node pool (simulated)"),
            NODE_POOL_UNTIL..CONTROL_PLANE_UNTIL => (2, "deleting the control plane (simulated)"),
            CONTROL_PLANE_UNTIL..100 => (1, "deleting the network (simulated)"),
            _ => return None,
        };
        Some(Moment {
            condition: ProvisioningState::Removing,
            progress: Some(percent),
            words: words.to_owned(),
            made: self.made.min(left),
            nodes: if left == KINDS.len() { self.nodes.clone() } else { Vec::new() },
            network_policy: self.network_policy.clone(),
            answers: false,
        })
    }

    /// What a cluster breaks with that is meant to break.
    fn out_of_quota(&self) -> Reason {
        let region = &self.region;
        Reason::new(
            ReasonCode::QuotaExceeded,
            format!("the quota for virtual CPUs in region {region} is used up (simulated)"),
            Responsible::Admin,
            "it broke because of its name: rename the cluster to one that does not start with `fail-` and retry, or destroy it",
        )
        .with_words(format!(
            "QUOTA_EXCEEDED: Quota 'CPUS' exceeded. Limit: 24.0 in region {region}. (This is a simulation; no provider was asked.)"
        ))
    }
}

/// Since when something would have been under way that carries on where deploying broke.
pub(super) fn resumed(now: DateTime<Utc>) -> DateTime<Utc> {
    now - DEPLOYING * i32::from(DEPLOYING_RESUMES_AT) / 100
}

fn percent(since: DateTime<Utc>, lasts: TimeDelta, now: DateTime<Utc>) -> u8 {
    // A clock that was set back makes it wait, nothing else.
    let passed = (now - since).num_milliseconds().clamp(0, lasts.num_milliseconds());
    u8::try_from(passed * 100 / lasts.num_milliseconds()).unwrap_or(100)
}
