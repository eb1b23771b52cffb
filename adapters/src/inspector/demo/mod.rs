//! Answers for simulated clusters, which have no API to connect to; every other cluster is read by the inner inspector.
//!
//! [`workload`] lists what runs in every such cluster, [`world`] builds Kubernetes objects from it with [`apps`] and [`nodes`].

mod apps;
mod nodes;
mod workload;
mod world;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kqueen_domain::{
    id::ClusterId,
    kubeconfig::ApiAccess,
    kubernetes::{ClusterStatus, Snapshot, Topology},
    observation::ProbeResult,
    port::inspector::{ClusterInspector, InspectError},
    reason::ReasonCode,
    secret::Kubeconfig,
};
use secrecy::ExposeSecret;

use crate::engine::{DEMO_DOMAIN, DemoCloud, DemoCluster, DemoMoment};

/// Reads simulated clusters, and passes all others to another inspector.
pub struct DemoInspector {
    inner: Arc<dyn ClusterInspector>,
    cloud: Arc<DemoCloud>,
}

/// The simulated cluster that a kubeconfig points to, if it is one.
fn simulated(kubeconfig: &Kubeconfig) -> Option<(ClusterId, ApiAccess)> {
    // Nearly all kubeconfigs are for other clusters, and parsing them takes time.
    if !kubeconfig.expose().contains(DEMO_DOMAIN) {
        return None;
    }
    let access = ApiAccess::of(kubeconfig)?;
    let id = access.server.host_str()?.strip_suffix(DEMO_DOMAIN)?.parse().ok()?;
    Some((id, access))
}

impl DemoInspector {
    /// Answers for the clusters of `cloud`.
    #[must_use]
    pub fn new(inner: Arc<dyn ClusterInspector>, cloud: Arc<DemoCloud>) -> Self {
        Self { inner, cloud }
    }

    /// The cluster, if it answers and accepts the credentials.
    fn reach(&self, id: ClusterId, access: &ApiAccess) -> Result<(DemoCluster, DemoMoment), InspectError> {
        let no_answer = |why: &str| InspectError::Unreachable(format!("the simulated cluster does not respond: {why}"));
        let (cluster, moment) = self.cloud.cluster(id).ok_or_else(|| no_answer("it no longer exists"))?;
        if !moment.answers {
            return Err(no_answer("it is being created or deleted"));
        }
        let token = access.credentials.token.as_ref().map(ExposeSecret::expose_secret);
        if token != Some(cluster.bearer_token().as_str()) {
            return Err(InspectError::Refused("the simulated cluster does not accept the credentials".to_owned()));
        }
        Ok((cluster, moment))
    }

    fn snapshot(&self, id: ClusterId, access: &ApiAccess) -> Result<Snapshot, InspectError> {
        let (cluster, moment) = self.reach(id, access)?;
        let unreadable = |_| InspectError::Refused("the response of the simulated cluster cannot be read".to_owned());
        world::snapshot(id, &cluster, &moment, self.cloud.now()).map_err(unreadable)
    }
}

#[async_trait]
impl ClusterInspector for DemoInspector {
    async fn probe(&self, kubeconfig: &Kubeconfig) -> ProbeResult {
        let Some((id, access)) = simulated(kubeconfig) else { return self.inner.probe(kubeconfig).await };
        match self.reach(id, &access) {
            Ok((cluster, _)) => ProbeResult::Reached { version: cluster.git_version() },
            Err(InspectError::Refused(reason)) => ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason },
            Err(InspectError::Unreachable(reason) | InspectError::TimedOut(reason)) => {
                ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason }
            }
        }
    }

    async fn status(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<ClusterStatus, InspectError> {
        match simulated(kubeconfig) {
            None => self.inner.status(kubeconfig, within).await,
            Some((id, access)) => Ok(self.snapshot(id, &access)?.into()),
        }
    }

    async fn topology(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<Topology, InspectError> {
        match simulated(kubeconfig) {
            None => self.inner.topology(kubeconfig, within).await,
            Some((id, access)) => Ok(self.snapshot(id, &access)?.into()),
        }
    }
}

impl std::fmt::Debug for DemoInspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoInspector").field("cloud", &self.cloud).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
