//! A guard around every engine: each call has a time limit, and a provider that does not answer is not called by everyone at once.
//!
//! Once a provider has not answered, calls to it fail immediately for a while with the error of the last one. Then one call is let
//! through to check whether the provider answers again (a circuit breaker). A thousand clusters of a hanging provider then cost one
//! waiting call, and each cluster is still reconciled, so that its deadline is kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kqueen_domain::{
    id::ProvisionerId,
    ledger::ResourceRef,
    observation::{EngineError, InventoryItem, Observation},
    operation::NetworkPolicy,
    parameter::Offers,
    port::engine::{ClusterSpec, Engine, EngineDescriptor, IssuedToken, ProviderCredentials},
    reason::ReasonCode,
    secret::{SecretMap, SecretValue},
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Time limit of a call to a provider.
const CALL: Duration = Duration::from_secs(30);
/// Time limit of a check of credentials.
const CHECK: Duration = Duration::from_secs(9);
/// Time limit of reading what a provider offers: people wait for it.
const OFFERS: Duration = Duration::from_secs(5);
/// How long a provider that did not answer is not called, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(40));
/// Maximum number of providers that are remembered as not answering.
const MAX_OUTAGES: usize = 10_000;

/// A provider that did not answer.
struct Outage {
    error: EngineError,
    until: Instant,
    backoff: Duration,
}

/// An engine whose calls are guarded.
pub struct Guarded {
    inner: Arc<dyn Engine>,
    call: Duration,
    outages: Mutex<HashMap<ProvisionerId, Outage>>,
}

impl Guarded {
    /// Guards an engine with a limit of 30 seconds per call.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self::with_limit(inner, CALL)
    }

    /// Guards an engine with the given limit per call.
    #[must_use]
    pub fn with_limit(inner: Arc<dyn Engine>, call: Duration) -> Self {
        Self { inner, call, outages: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProvisionerId, Outage>> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through, or returns the last error. A call that checks whether the provider answers again moves `until` forward, so
    /// that no other call follows it.
    fn admit(&self, provisioner: ProvisionerId) -> Result<(), EngineError> {
        let now = Instant::now();
        match self.lock().get_mut(&provisioner) {
            Some(outage) if outage.until > now => Err(outage.error.clone()),
            Some(outage) => {
                outage.until = now + self.call + outage.backoff;
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn guard<T: Send>(
        &self,
        credentials: &ProviderCredentials,
        call: impl Future<Output = Result<T, EngineError>> + Send,
    ) -> Result<T, EngineError> {
        self.admit(credentials.provisioner)?;
        let result = bounded(self.call, call).await;
        let mut outages = self.lock();
        match &result {
            Err(error @ EngineError::Unreachable(_)) => {
                let backoff = outages
                    .get(&credentials.provisioner)
                    .map_or(BACKOFF.0, |before| (before.backoff * 2).min(BACKOFF.1));
                if outages.len() < MAX_OUTAGES || outages.contains_key(&credentials.provisioner) {
                    let outage = Outage { error: error.clone(), until: Instant::now() + backoff, backoff };
                    outages.insert(credentials.provisioner, outage);
                }
            }
            _ => drop(outages.remove(&credentials.provisioner)),
        }
        result
    }
}

/// A call that exceeds the limit may still take effect.
async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, EngineError>> + Send,
) -> Result<T, EngineError> {
    timeout(limit, call).await.unwrap_or_else(|_| {
        let cause = format!("the provider did not respond within {} s", limit.as_secs_f64());
        Err(EngineError::unreachable(ReasonCode::ProviderTimedOut, cause))
    })
}

#[async_trait]
impl Engine for Guarded {
    fn descriptor(&self) -> &EngineDescriptor {
        self.inner.descriptor()
    }

    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError> {
        bounded(CHECK, self.inner.check(parameters)).await
    }

    async fn offers(
        &self,
        credentials: &ProviderCredentials,
        values: &BTreeMap<String, String>,
    ) -> Result<Offers, EngineError> {
        bounded(OFFERS, self.inner.offers(credentials, values)).await
    }

    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
        self.inner.makes(credentials, spec)
    }

    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        self.guard(credentials, self.inner.observe(credentials, spec)).await
    }

    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        self.guard(credentials, self.inner.deploy(credentials, spec)).await
    }

    async fn resize(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        node_count: u32,
    ) -> Result<(), EngineError> {
        self.guard(credentials, self.inner.resize(credentials, spec, node_count)).await
    }

    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        self.guard(credentials, self.inner.set_network_policy(credentials, spec, policy)).await
    }

    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        self.guard(credentials, self.inner.destroy(credentials, spec)).await
    }

    async fn kubeconfig(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError> {
        self.guard(credentials, self.inner.kubeconfig(credentials, spec)).await
    }

    async fn issue_token(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<IssuedToken, EngineError> {
        self.guard(credentials, self.inner.issue_token(credentials, spec)).await
    }

    async fn inventory(
        &self,
        credentials: &ProviderCredentials,
        installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        self.guard(credentials, self.inner.inventory(credentials, installation)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

    use kqueen_domain::{id::ClusterId, ledger::OwnershipTag};

    use super::*;
    use crate::engine::ManualEngine;

    /// Hangs, or answers that the cluster is absent.
    #[derive(Default)]
    struct Unreliable {
        hangs: AtomicBool,
        calls: AtomicU32,
        manual: ManualEngine,
    }

    #[async_trait]
    impl Engine for Unreliable {
        fn descriptor(&self) -> &EngineDescriptor {
            self.manual.descriptor()
        }
        async fn check(&self, _: &SecretMap) -> Result<(), EngineError> {
            std::future::pending().await
        }
        fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
            self.manual.makes(credentials, spec)
        }
        async fn observe(&self, _: &ProviderCredentials, _: &ClusterSpec) -> Result<Observation, EngineError> {
            self.calls.fetch_add(1, SeqCst);
            if self.hangs.load(SeqCst) { std::future::pending().await } else { Ok(Observation::Absent) }
        }
        async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
            self.manual.deploy(credentials, spec).await
        }
        async fn resize(
            &self,
            credentials: &ProviderCredentials,
            spec: &ClusterSpec,
            nodes: u32,
        ) -> Result<(), EngineError> {
            self.manual.resize(credentials, spec, nodes).await
        }
        async fn set_network_policy(
            &self,
            a: &ProviderCredentials,
            o: &ClusterSpec,
            p: &NetworkPolicy,
        ) -> Result<(), EngineError> {
            self.manual.set_network_policy(a, o, p).await
        }
        async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
            self.manual.destroy(credentials, spec).await
        }
        async fn kubeconfig(
            &self,
            credentials: &ProviderCredentials,
            spec: &ClusterSpec,
        ) -> Result<SecretValue, EngineError> {
            self.manual.kubeconfig(credentials, spec).await
        }
        async fn inventory(
            &self,
            credentials: &ProviderCredentials,
            installation: Uuid,
        ) -> Result<Vec<InventoryItem>, EngineError> {
            self.manual.inventory(credentials, installation).await
        }
    }

    fn credentials() -> ProviderCredentials {
        ProviderCredentials { provisioner: ProvisionerId::random(), parameters: SecretMap::new() }
    }

    fn spec() -> ClusterSpec {
        let tag = OwnershipTag { installation: Uuid::nil(), cluster: ClusterId::random() };
        ClusterSpec { tag, name: "c".into(), parameters: SecretMap::new(), known: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_provider_gets_one_call_at_a_time() {
        let unreliable = Arc::new(Unreliable::default());
        unreliable.hangs.store(true, SeqCst);
        let guarded = Guarded::new(unreliable.clone());
        let (hanging, healthy) = (credentials(), credentials());
        let first = guarded.observe(&hanging, &spec()).await.unwrap_err();
        assert!(
            matches!(&first, EngineError::Unreachable(why) if why.code == ReasonCode::ProviderTimedOut && why.cause.contains("30 s")),
            "{first}"
        );
        let since = Instant::now();
        for _ in 0..1000 {
            assert_eq!(guarded.observe(&hanging, &spec()).await, Err(first.clone()));
        }
        assert_eq!((since.elapsed(), unreliable.calls.load(SeqCst)), (Duration::ZERO, 1));
        tokio::time::advance(BACKOFF.0).await;
        let (first_spec, second_spec) = (spec(), spec());
        let (one, other) = tokio::join!(guarded.observe(&hanging, &first_spec), async {
            tokio::task::yield_now().await;
            guarded.observe(&hanging, &second_spec).await
        });
        assert_eq!((one, other), (Err(first.clone()), Err(first)));
        assert_eq!(unreliable.calls.load(SeqCst), 2, "one was let through");
        unreliable.hangs.store(false, SeqCst);
        assert_eq!(
            guarded.observe(&healthy, &spec()).await,
            Ok(Observation::Absent),
            "other providers are not affected"
        );
        tokio::time::advance(BACKOFF.1).await;
        for _ in 0..3 {
            assert_eq!(guarded.observe(&hanging, &spec()).await, Ok(Observation::Absent), "it answers again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_has_a_time_limit() {
        let since = Instant::now();
        let found = Guarded::new(Arc::new(Unreliable::default())).check(&SecretMap::new()).await;
        assert!(matches!(found, Err(EngineError::Unreachable(_))));
        assert_eq!(since.elapsed(), CHECK);
    }
}
