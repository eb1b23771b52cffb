//! Reads live Kubernetes clusters with kubeconfigs of people who are not trusted.
//!
//! [`connect`] decides where a connection may go, [`client`] makes requests of bounded size, [`list`] reads lists page by page,
//! [`read`] puts looks and snapshots together, and [`failure`] says in words for people what went wrong.

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
use failure::Failure;

/// How long to wait and how much to read.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Until a connection is made.
    pub connect: Duration,
    /// For a whole look. A view gets its time from who asks for it.
    pub probe: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Most bytes of one answer; a list of 500 large pods has some 10 MB.
    pub body_bytes: usize,
    /// Most objects of one kind that are shown.
    pub objects: usize,
    /// Most clients kept ready, each with up to two connections.
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
            // Some 40 kB each with their connections; to make one anew takes half a millisecond.
            clients: 256,
        }
    }
}

/// Identity of a kubeconfig: a digest, so that the cache holds no second copy of a secret.
type Fingerprint = [u8; 32];

/// Reads live clusters through their API.
pub struct KubeInspector {
    connector: Connector,
    limits: Limits,
    clients: Cache<Fingerprint, ApiClient>,
}

impl KubeInspector {
    /// An inspector that connects to addresses `rules` allow.
    #[must_use]
    pub fn new(rules: AddressRules, limits: Limits) -> Self {
        Self { connector: Connector::new(rules, limits.connect), clients: Cache::new(limits.clients), limits }
    }

    async fn client(&self, kubeconfig: &Kubeconfig) -> Result<(Fingerprint, ApiClient), Failure> {
        let digest = ring::digest::digest(&ring::digest::SHA256, kubeconfig.expose().as_bytes());
        let fingerprint = Fingerprint::try_from(digest.as_ref()).unwrap_or_default();
        if let Some(client) = self.clients.get(&fingerprint) {
            return Ok((fingerprint, client));
        }
        let access = ApiAccess::of(kubeconfig).ok_or(Failure::UnusableKubeconfig("it is not a checked one"))?;
        let (connector, limits) = (self.connector.clone(), self.limits.clone());
        // Only the system's certificates are read from files. Threads for nothing cost memory: each has a heap of its own.
        let client = if access.authorities.is_some() {
            ApiClient::new(&access, connector, &limits)?
        } else {
            let made = spawn_blocking(move || ApiClient::new(&access, connector, &limits)).await;
            made.map_err(|_| Failure::UnusableKubeconfig("it makes no client"))??
        };
        self.clients.insert(fingerprint, client.clone());
        Ok((fingerprint, client))
    }

    /// Runs `read` with the kubeconfig's client. A connection kept from last time may have been closed by the other side meanwhile,
    /// so what ends with a closed connection is tried again with a new one, once.
    async fn with_client<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        kubeconfig: &Kubeconfig,
        read: impl Fn(ApiClient) -> F,
    ) -> Result<T, Failure> {
        let mut outcome = Err(Failure::Closed);
        for _ in 0..2 {
            let (fingerprint, client) = self.client(kubeconfig).await?;
            // If this future is dropped by a deadline, the client is forgotten as well: what hangs once would hang again.
            let mut spoilt = Forget { clients: &self.clients, fingerprint, armed: true };
            outcome = read(client).await;
            spoilt.armed = outcome.as_ref().is_err_and(Failure::spoils_client);
            drop(spoilt);
            if !matches!(outcome, Err(Failure::Closed)) {
                break;
            }
        }
        outcome
    }

    async fn snapshot(&self, kubeconfig: &Kubeconfig, slices: bool, within: Duration) -> Result<Snapshot, Failure> {
        let deadline = Instant::now() + within;
        // Lists that are late are left out of the view; the rest of it is wanted nevertheless.
        let lists = deadline - within / 20;
        let read = self.with_client(kubeconfig, |client| read::snapshot(client, &self.limits, lists, slices));
        timeout_at(deadline, read).await.unwrap_or(Err(Failure::Silent))
    }
}

/// Forgets a client unless told otherwise.
struct Forget<'a> {
    clients: &'a Cache<Fingerprint, ApiClient>,
    fingerprint: Fingerprint,
    armed: bool,
}

impl Drop for Forget<'_> {
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
        match timeout(self.limits.probe, read).await.unwrap_or(Err(Failure::Silent)) {
            Ok(version) => ProbeResult::Reached { version },
            Err(failure) => failure.into_look(),
        }
    }

    async fn status(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<ClusterStatus, InspectError> {
        put_together(self.snapshot(kubeconfig, false, within).await?).await
    }

    async fn topology(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<Topology, InspectError> {
        put_together(self.snapshot(kubeconfig, true, within).await?).await
    }
}

/// Makes a view of a snapshot, which takes a while for a large one.
async fn put_together<T: From<Snapshot> + Send + 'static>(snapshot: Snapshot) -> Result<T, InspectError> {
    let made = spawn_blocking(move || T::from(snapshot)).await;
    made.map_err(|_| InspectError::Refused("what the cluster answered cannot be put together".to_owned()))
}

impl std::fmt::Debug for KubeInspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeInspector").field("limits", &self.limits).finish_non_exhaustive()
    }
}
