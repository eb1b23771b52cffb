//! How the simulated provider handles requests, like a real one: it has accounts, a quota and an owner for each cluster, and it works
//! on one operation at a time per cluster.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{EngineError, InventoryItem, Observation, ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    port::engine::ProviderCredentials,
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretValue,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    cloud::Clusters,
    cluster::{DemoCluster, KINDS, MAX_NODES, Moment, REJECTIONS, SimulatedFailure, Work, resumed},
    parameters::{Account, DesiredCluster},
};

/// Maximum number of clusters, in all accounts together.
pub(super) const MAX_CLUSTERS: usize = 500;
/// The providers that can enforce a network policy.
pub(super) const ENFORCERS: [&str; 2] = ["CALICO", "CILIUM"];

/// The credentials of a caller, and the cluster that the call is about.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) credentials: ProviderCredentials,
    pub(super) tag: OwnershipTag,
    /// The name of the cluster.
    pub(super) name: String,
}

impl Caller {
    fn owns(&self, cluster: &DemoCluster) -> bool {
        cluster.tag == self.tag && cluster.account == self.credentials.provisioner
    }

    /// The caller's cluster, if it exists.
    fn find<'a>(&self, clusters: &'a Clusters, now: DateTime<Utc>) -> Option<(&'a DemoCluster, Moment)> {
        let cluster = clusters.get(&self.tag.cluster).filter(|cluster| self.owns(cluster))?;
        Some((cluster, cluster.at(now)?))
    }

    /// The caller's cluster, to change it.
    fn find_mut<'a>(
        &self,
        clusters: &'a mut Clusters,
        now: DateTime<Utc>,
    ) -> Result<(&'a mut DemoCluster, Moment), EngineError> {
        let cluster = clusters.get_mut(&self.tag.cluster).filter(|cluster| self.owns(cluster));
        let cluster = cluster.ok_or(EngineError::Missing)?;
        let moment = cluster.at(now).ok_or(EngineError::Missing)?;
        Ok((cluster, moment))
    }

    pub(super) fn observe(&self, clusters: &Clusters, now: DateTime<Utc>) -> Observation {
        match self.find(clusters, now) {
            None => Observation::Absent,
            Some((cluster, moment)) => Observation::Present(ObservedCluster {
                resources: resources(cluster, &moment),
                state: moment.state,
                progress: moment.progress,
                node_count: u32::try_from(moment.nodes.len()).ok(),
                network_policy: Some(moment.network_policy),
                message: moment.message,
            }),
        }
    }

    pub(super) fn deploy(
        &self,
        account: &Account,
        desired: &DesiredCluster,
        clusters: &mut Clusters,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let breaks = SimulatedFailure::of(&self.name) == SimulatedFailure::Deploying;
        let present = clusters.get(&self.tag.cluster);
        if present.is_some_and(|cluster| !self.owns(cluster)) {
            return Err(rejected(
                ReasonCode::NameTaken,
                format!(
                    "the name kqueen-{} is used by a resource that KQueen did not create (simulated)",
                    self.tag.cluster
                ),
                Responsible::Admin,
                "find out who owns it, or create a cluster with another name",
            ));
        }
        let broken = match present.and_then(|cluster| Some((&cluster.work, cluster.at(now)?.state))) {
            None => false,
            Some((Work::Deploy { .. }, ProvisioningState::Broken(_))) => true,
            Some((_, ProvisioningState::Removing)) => return Err(busy("the cluster is being deleted")),
            Some(_) => return Ok(()),
        };
        if !broken && clusters.len() >= MAX_CLUSTERS {
            return Err(rejected(
                ReasonCode::QuotaExceeded,
                format!("the simulated provider already has its maximum of {MAX_CLUSTERS} clusters"),
                Responsible::Requester,
                "destroy some of them, then retry",
            ));
        }
        self.check_quota(account, desired.node_count, clusters, now)?;
        let work = |since| Work::Deploy { since, node_count: desired.node_count, breaks };
        if let Some(cluster) = clusters.get_mut(&self.tag.cluster) {
            // The request may have been changed since the failure.
            cluster.begin(work(resumed(now)), now);
            cluster.network_policy = desired.network_policy.clone();
            cluster.size.clone_from(&desired.size);
            cluster.kubernetes_version.clone_from(&desired.kubernetes_version);
        } else {
            let cluster = DemoCluster {
                tag: self.tag,
                account: self.credentials.provisioner,
                region: account.region.clone(),
                size: desired.size.clone(),
                kubernetes_version: desired.kubernetes_version.clone(),
                token: Uuid::new_v4(),
                made: 0,
                nodes: Vec::new(),
                network_policy: desired.network_policy.clone(),
                work: work(now),
                refusals: 0,
            };
            clusters.insert(self.tag.cluster, cluster);
        }
        Ok(())
    }

    pub(super) fn resize(
        &self,
        account: &Account,
        node_count: u32,
        clusters: &mut Clusters,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let (cluster, moment) = self.find_mut(clusters, now)?;
        if matches!(cluster.work, Work::Resize { node_count: to, .. } if to == node_count)
            && moment.state == ProvisioningState::Working
        {
            return Ok(());
        }
        ensure_idle(&cluster.work, &moment)?;
        let has_size = moment.nodes.len() == node_count as usize;
        if has_size && moment.state == ProvisioningState::Running {
            return Ok(());
        }
        if !(1..=MAX_NODES).contains(&node_count) {
            return Err(rejected(
                ReasonCode::InvalidParameter,
                format!("a simulated cluster has 1 to {MAX_NODES} nodes"),
                Responsible::Requester,
                "choose another number of nodes",
            ));
        }
        self.check_quota(account, node_count, clusters, now)?;
        let breaks = !has_size && SimulatedFailure::of(&self.name) == SimulatedFailure::Resizing;
        let (cluster, _) = self.find_mut(clusters, now)?;
        cluster.begin(Work::Resize { since: now, node_count, breaks }, now);
        Ok(())
    }

    pub(super) fn set_network_policy(
        &self,
        policy: NetworkPolicy,
        clusters: &mut Clusters,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let (cluster, moment) = self.find_mut(clusters, now)?;
        if matches!(&cluster.work, Work::SetNetworkPolicy { policy: to, .. } if *to == policy)
            && moment.state == ProvisioningState::Working
        {
            return Ok(());
        }
        ensure_idle(&cluster.work, &moment)?;
        if policy.enabled && !ENFORCERS.iter().any(|known| known.eq_ignore_ascii_case(&policy.provider)) {
            return Err(rejected(
                ReasonCode::InvalidParameter,
                format!("the simulated provider enforces network policy with {}", ENFORCERS.join(" or ")),
                Responsible::Requester,
                "choose one of them",
            ));
        }
        if moment.network_policy != policy {
            cluster.begin(Work::SetNetworkPolicy { since: now, policy }, now);
        }
        Ok(())
    }

    pub(super) fn destroy(&self, clusters: &mut Clusters, now: DateTime<Utc>) -> Result<(), EngineError> {
        let Ok((cluster, moment)) = self.find_mut(clusters, now) else { return Ok(()) };
        if moment.state == ProvisioningState::Removing {
            return Ok(());
        }
        if SimulatedFailure::of(&self.name) == SimulatedFailure::Deleting && cluster.refusals < REJECTIONS {
            cluster.refusals += 1;
            let reason = Reason::new(
                ReasonCode::ResourceInUse,
                format!(
                    "a load balancer still uses the cluster's network (simulated, rejection {} of {REJECTIONS})",
                    cluster.refusals
                ),
                Responsible::Provider,
                "it will be released shortly; the deletion succeeds then",
            );
            let message = "RESOURCE_IN_USE: network is used by forwarding rule 'web'. (This is a simulation.)";
            return Err(EngineError::Rejected(reason.with_provider_message(message)));
        }
        cluster.begin(Work::Destroy { since: now }, now);
        Ok(())
    }

    pub(super) fn kubeconfig(&self, clusters: &Clusters, now: DateTime<Utc>) -> Result<SecretValue, EngineError> {
        let (cluster, moment) = self.find(clusters, now).ok_or(EngineError::Missing)?;
        if !moment.answers {
            return Err(busy(&moment.message));
        }
        let id = cluster.tag.cluster;
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": {"server": format!("https://{id}{DOMAIN}:6443")}}],
            "users": [{"name": "demo", "user": {"token": cluster.bearer_token()}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
            "current-context": "demo",
        })
        .into())
    }

    /// All resources with the ownership tag of `installation` in this account.
    pub(super) fn inventory(
        credentials: &ProviderCredentials,
        installation: Uuid,
        clusters: &Clusters,
        now: DateTime<Utc>,
    ) -> Vec<InventoryItem> {
        let is_ours = |cluster: &&DemoCluster| {
            cluster.account == credentials.provisioner && cluster.tag.installation == installation
        };
        let mut found = Vec::new();
        for cluster in clusters.values().filter(is_ours) {
            let existing = cluster.at(now).map(|moment| resources(cluster, &moment)).unwrap_or_default();
            found.extend(existing.into_iter().map(|resource| InventoryItem { cluster: cluster.tag.cluster, resource }));
        }
        found
    }

    /// Checks that the account's quota allows this cluster with that many nodes.
    fn check_quota(
        &self,
        account: &Account,
        node_count: u32,
        clusters: &Clusters,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let others =
            clusters.values().filter(|other| other.account == self.credentials.provisioner && other.tag != self.tag);
        let used: usize = others.map(|other| other.claimed_nodes(now)).sum();
        let quota = account.quota;
        if used + node_count as usize <= quota as usize {
            return Ok(());
        }
        let reason = Reason::new(
            ReasonCode::QuotaExceeded,
            format!(
                "the provisioner's quota of {quota} nodes is exceeded: {used} are in use and {node_count} are requested (simulated)"
            ),
            Responsible::Admin,
            "raise the provisioner's quota, destroy a cluster or request fewer nodes, then retry",
        );
        let message = format!("QUOTA_EXCEEDED: Quota 'NODES' exceeded. Limit: {quota}. (This is a simulation.)");
        Err(EngineError::Rejected(reason.with_provider_message(message)))
    }
}

/// Checks that a new operation can begin.
fn ensure_idle(work: &Work, moment: &Moment) -> Result<(), EngineError> {
    match (&moment.state, work) {
        (ProvisioningState::Running, _) | (ProvisioningState::Broken(_), Work::Resize { .. }) => Ok(()),
        (ProvisioningState::Broken(_) | ProvisioningState::Incomplete, _) => Err(rejected(
            ReasonCode::ClusterIncomplete,
            "the cluster was never fully created (simulated)",
            Responsible::Requester,
            "retry the deployment first",
        )),
        (ProvisioningState::Working | ProvisioningState::Removing, _) => Err(busy(&moment.message)),
    }
}

/// The domain of the APIs of simulated clusters, to which the cluster's id is prepended. Names in `invalid` never resolve (RFC 6761).
pub(crate) const DOMAIN: &str = ".demo.kqueen.invalid";

/// The names of a cluster's resources.
pub(super) fn names(id: ClusterId, region: &str) -> impl Iterator<Item = ResourceRef> {
    KINDS.iter().map(move |kind| ResourceRef {
        kind: (*kind).to_owned(),
        name: format!("kqueen-{id}"),
        location: region.to_owned(),
    })
}

fn resources(cluster: &DemoCluster, moment: &Moment) -> Vec<ProviderResource> {
    let id = cluster.tag.cluster;
    let provider_id =
        |name: &ResourceRef| format!("simulated/{}/{}/{}", name.location, name.kind.replace(' ', "-"), id);
    names(id, &cluster.region)
        .take(moment.made)
        .map(|name| ProviderResource { provider_id: Some(provider_id(&name)), name })
        .collect()
}

pub(super) fn rejected(
    code: ReasonCode,
    cause: impl Into<String>,
    responsible: Responsible,
    next_step: &str,
) -> EngineError {
    EngineError::Rejected(Reason::new(code, cause, responsible, next_step))
}

fn busy(message: &str) -> EngineError {
    EngineError::Busy(message.to_owned())
}
