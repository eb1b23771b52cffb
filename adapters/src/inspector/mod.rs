//! Reads live Kubernetes clusters with kubeconfigs of untrusted users.
//!
//! [`connect`] decides where a connection may go, [`client`] makes requests of limited size, [`list`] reads lists page by page,
//! [`read`] combines requests to probes and snapshots, and [`failure`] explains to people what went wrong.

mod client;
mod connect;
mod demo;
mod failure;
mod list;
mod read;

use std::time::Duration;

use async_trait::async_trait;
use kqueen_domain::{
    kubeconfig::{AddressRules, ApiAccess},
    kubernetes::{ClusterStatus, Snapshot, Topology},
    observation::ProbeResult,
    port::inspector::{ClusterInspector, InspectError},
    secret::Kubeconfig,
};
use quick_cache::sync::Cache;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};

pub use demo::DemoInspector;

use client::ApiClient;
use connect::Connector;
use failure::ProbeError;

/// Time limits, and how much to read.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time limit for connecting.
    pub connect: Duration,
    /// Time limit for a whole probe. The time limit of a view is given by its caller.
    pub probe: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Maximum bytes of one response; a list of 500 large pods has about 10 MB.
    pub body_bytes: usize,
    /// Maximum number of objects of one kind that are shown.
    pub objects: usize,
    /// Maximum number of cached clients, each with up to two connections.
    pub clients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            probe: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            body_bytes: 32 * 1024 * 1024,
            objects: 20_000,
            // About 40 kB each with its connections; creating a new one takes half a millisecond.
            clients: 256,
        }
    }
}

/// A digest that identifies a kubeconfig, so that the cache holds no second copy of a secret.
type Fingerprint = [u8; 32];

/// Reads live clusters through their API.
pub struct KubeInspector {
    connector: Connector,
    limits: Limits,
    clients: Cache<Fingerprint, ApiClient>,
}

impl KubeInspector {
    /// An inspector that connects only to addresses that `rules` allow.
    #[must_use]
    pub fn new(rules: AddressRules, limits: Limits) -> Self {
        Self { connector: Connector::new(rules, limits.connect), clients: Cache::new(limits.clients), limits }
    }

    async fn client(&self, kubeconfig: &Kubeconfig) -> Result<(Fingerprint, ApiClient), ProbeError> {
        let digest = ring::digest::digest(&ring::digest::SHA256, kubeconfig.expose().as_bytes());
        let fingerprint = Fingerprint::try_from(digest.as_ref()).unwrap_or_default();
        if let Some(client) = self.clients.get(&fingerprint) {
            return Ok((fingerprint, client));
        }
        let access = ApiAccess::of(kubeconfig).ok_or(ProbeError::UnusableKubeconfig("it has not been validated"))?;
        let (connector, limits) = (self.connector.clone(), self.limits.clone());
        // Only the system's certificates are read from files. Unneeded threads would cost memory, because each has a separate heap.
        let client = if access.authorities.is_some() {
            ApiClient::new(&access, connector, &limits)?
        } else {
            let made = spawn_blocking(move || ApiClient::new(&access, connector, &limits)).await;
            made.map_err(|_| ProbeError::UnusableKubeconfig("no client can be created from it"))??
        };
        self.clients.insert(fingerprint, client.clone());
        Ok((fingerprint, client))
    }

    /// Runs `read` with the kubeconfig's client. The server may have closed a connection that was kept from an earlier request, so a
    /// request that ends with a closed connection is repeated once with a new one.
    async fn with_client<T, F: Future<Output = Result<T, ProbeError>>>(
        &self,
        kubeconfig: &Kubeconfig,
        read: impl Fn(ApiClient) -> F,
    ) -> Result<T, ProbeError> {
        let mut outcome = Err(ProbeError::Closed);
        for _ in 0..2 {
            let (fingerprint, client) = self.client(kubeconfig).await?;
            // If a deadline drops this future, the client is discarded as well: what hung once would hang again.
            let mut discard = Discard { clients: &self.clients, fingerprint, armed: true };
            outcome = read(client).await;
            discard.armed = outcome.as_ref().is_err_and(ProbeError::discards_client);
            drop(discard);
            if !matches!(outcome, Err(ProbeError::Closed)) {
                break;
            }
        }
        outcome
    }

    async fn snapshot(&self, kubeconfig: &Kubeconfig, slices: bool, within: Duration) -> Result<Snapshot, ProbeError> {
        let deadline = Instant::now() + within;
        // Lists that are late are left out of the view; the rest is still returned.
        let lists = deadline - within / 20;
        let read = self.with_client(kubeconfig, |client| read::snapshot(client, &self.limits, lists, slices));
        timeout_at(deadline, read).await.unwrap_or(Err(ProbeError::NoAnswer))
    }
}

/// Removes a client from the cache when it is dropped while `armed`.
struct Discard<'a> {
    clients: &'a Cache<Fingerprint, ApiClient>,
    fingerprint: Fingerprint,
    armed: bool,
}

impl Drop for Discard<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.clients.remove(&self.fingerprint);
        }
    }
}

#[async_trait]
impl ClusterInspector for KubeInspector {
    async fn probe(&self, kubeconfig: &Kubeconfig) -> ProbeResult {
        let read = self.with_client(kubeconfig, read::probe);
        match timeout(self.limits.probe, read).await.unwrap_or(Err(ProbeError::NoAnswer)) {
            Ok(version) => ProbeResult::Reached { version },
            Err(failure) => failure.into_probe_result(),
        }
    }

    async fn status(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<ClusterStatus, InspectError> {
        build_view(self.snapshot(kubeconfig, false, within).await?).await
    }

    async fn topology(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<Topology, InspectError> {
        build_view(self.snapshot(kubeconfig, true, within).await?).await
    }
}

/// Builds a view from a snapshot, which takes a while for a large one.
async fn build_view<T: From<Snapshot> + Send + 'static>(snapshot: Snapshot) -> Result<T, InspectError> {
    let made = spawn_blocking(move || T::from(snapshot)).await;
    made.map_err(|_| InspectError::Refused("the cluster's responses cannot be combined into a view".to_owned()))
}

impl std::fmt::Debug for KubeInspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeInspector").field("limits", &self.limits).finish_non_exhaustive()
    }
}
