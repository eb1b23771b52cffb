//! Answers for simulated clusters, whose API nobody can connect to; every other cluster is read by the inspector behind it.
//!
//! [`workload`] says what runs in every such cluster, [`world`] makes Kubernetes objects of it with the help of [`apps`] and [`nodes`].

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

/// Reads simulated clusters, and leaves all others to another inspector.
pub struct DemoInspector {
    inner: Arc<dyn ClusterInspector>,
    cloud: Arc<DemoCloud>,
}

/// The simulated cluster a kubeconfig leads to, if it is one.
fn simulated(kubeconfig: &Kubeconfig) -> Option<(ClusterId, ApiAccess)> {
    // Nearly all lead elsewhere, and reading them costs something.
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

    /// The cluster, if it answers and lets in who asks.
    fn reach(&self, id: ClusterId, access: &ApiAccess) -> Result<(DemoCluster, DemoMoment), InspectError> {
        let silent = |why: &str| InspectError::Unreachable(format!("the simulated cluster does not answer: {why}"));
        let (cluster, moment) = self.cloud.cluster(id).ok_or_else(|| silent("it is not there any more"))?;
        if !moment.answers {
            return Err(silent("it is being made or taken down"));
        }
        let token = access.credentials.token.as_ref().map(ExposeSecret::expose_secret);
        if token != Some(cluster.bearer_token().as_str()) {
            return Err(InspectError::Refused("the simulated cluster does not accept the credentials".to_owned()));
        }
        Ok((cluster, moment))
    }

    fn snapshot(&self, id: ClusterId, access: &ApiAccess) -> Result<Snapshot, InspectError> {
        let (cluster, moment) = self.reach(id, access)?;
        let unreadable =
            |_| InspectError::Refused("the simulated cluster answers something that cannot be read".to_owned());
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
