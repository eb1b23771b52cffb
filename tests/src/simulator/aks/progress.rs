//! What is under way with a cluster: it begins, it takes its time, something comes of it.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    account::Door,
    cluster::ClusterName,
    error,
    operation::{Effect, Operation, Outcome},
    provider::Aks,
};
use crate::simulator::{
    call::Reply,
    fault::{Doom, Twist},
    kubernetes::{ClusterApi, Kubernetes},
    provider::Moment,
    tls::Tls,
};

/// A documentation address: nothing answers there.
const NOWHERE: &str = "https://203.0.113.7:443";

impl Aks {
    /// The refusal if something is under way with a cluster.
    pub(super) fn free(&self, name: &ClusterName) -> Result<(), Reply> {
        let Some(cluster) = self.clusters.get(name) else { return Ok(()) };
        let Some(operation) = cluster.operation.as_ref().and_then(|id| self.operations.get(id)) else { return Ok(()) };
        Err(match operation.effect.pool() {
            _ if self.is_enveloped => error::old_busy(operation.effect.state()),
            Some(pool) => error::pool_busy(pool, operation.effect.state()),
            None => error::busy(operation.effect.verb()),
        })
    }

    /// Begins something with a cluster that is there; the operation.
    pub(super) fn start(&mut self, name: &ClusterName, effect: Effect, moment: &Moment, twist: &Twist) -> Operation {
        let id = Uuid::new_v4().to_string();
        self.remember(name);
        let change = self.changes;
        let mut location = String::new();
        if let Some(cluster) = self.clusters.get_mut(name) {
            location.clone_from(&cluster.location);
            cluster.operation = Some(id.clone());
            let state = effect.state();
            match effect.pool() {
                // The cluster shows nothing of it.
                Some(pool) => {
                    if let Some(pool) = cluster.pool_mut(pool) {
                        state.clone_into(&mut pool.state);
                        pool.change = change;
                    }
                }
                None => {
                    state.clone_into(&mut cluster.state);
                    if !matches!(effect, Effect::Tags | Effect::Abort(_)) {
                        for pool in &mut cluster.pools {
                            state.clone_into(&mut pool.state);
                            pool.change = change;
                        }
                    }
                }
            }
        }
        let operation = Operation {
            id: id.clone(),
            cluster: name.clone(),
            location,
            started: moment.now,
            ends: moment.after(effect.takes()),
            effect,
            outcome: None,
            doom: twist.doom.clone(),
            word: None,
        };
        self.operations.insert(id, operation.clone());
        operation
    }

    /// An operation is done: it takes effect, or fails.
    pub(super) fn finish(&mut self, id: &str) {
        let Some(done) = self.operations.get_mut(id) else { return };
        let failure = done.failure();
        done.outcome = Some(match failure.clone() {
            None => Outcome::Succeeded,
            Some((code, message)) => Outcome::Failed(code, message),
        });
        let done = done.clone();
        let name = done.cluster.clone();
        if self.clusters.get(&name).is_none_or(|cluster| cluster.operation.as_deref() != Some(id)) {
            return;
        }
        self.remember(&name);
        match (failure, &done.effect) {
            (Some(failure), _) => self.fail(&name, &done, failure),
            (None, Effect::Delete) => self.forget(&name),
            (None, Effect::Abort(other)) => self.aborted(&name, other),
            (None, effect) => self.succeed(&name, effect),
        }
    }

    /// A cluster and what belongs to it are gone.
    pub(super) fn forget(&mut self, name: &ClusterName) {
        let Some(cluster) = self.clusters.remove(name) else { return };
        self.apis.remove(name);
        self.accounts.remove_door(&name.id().to_lowercase());
        if let Some(subscription) = self.subscriptions.get_mut(&name.subscription.to_lowercase()) {
            subscription.remove_group(cluster.node_group());
        }
    }

    fn succeed(&mut self, name: &ClusterName, effect: &Effect) {
        let (change, versions) = (self.changes, self.versions.clone());
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        cluster.operation = None;
        match effect {
            Effect::DeletePool(pool) => cluster.pools.retain(|other| other.name != *pool),
            _ if effect.pool().is_some() => {
                if let Some(pool) = effect.pool().and_then(|pool| cluster.pool_mut(pool)) {
                    pool.nodes = pool.count;
                    pool.version.clone_from(&pool.wanted_version);
                    "Succeeded".clone_into(&mut pool.state);
                    pool.error = None;
                    pool.change = change;
                }
                if cluster.pools.iter().all(|pool| pool.error.is_none()) && cluster.state == "Failed" {
                    cluster.error = None;
                    "Succeeded".clone_into(&mut cluster.state);
                }
            }
            _ => {
                "Succeeded".clone_into(&mut cluster.state);
                cluster.error = None;
                match effect {
                    Effect::Stop => "Stopped".clone_into(&mut cluster.power),
                    Effect::Start => "Running".clone_into(&mut cluster.power),
                    Effect::Rotate => cluster.token = Uuid::new_v4().simple().to_string(),
                    _ => {}
                }
                if let Some(version) = versions.resolve(cluster.asked_version())
                    && matches!(effect, Effect::Create | Effect::Update | Effect::Upgrade)
                {
                    cluster.version = version;
                }
                if !matches!(effect, Effect::Tags) {
                    for pool in &mut cluster.pools {
                        pool.nodes = pool.count;
                        pool.version.clone_from(&pool.wanted_version);
                        "Succeeded".clone_into(&mut pool.state);
                        pool.error = None;
                        pool.change = change;
                    }
                }
            }
        }
        self.serve(name);
    }

    fn fail(&mut self, name: &ClusterName, operation: &Operation, failure: (String, String)) {
        let leaves_half = operation.doom.as_ref().is_some_and(|Doom { leaves_half, .. }| *leaves_half);
        let change = self.changes;
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        cluster.operation = None;
        let of_pool = operation.effect.pool().map(str::to_owned);
        for pool in &mut cluster.pools {
            if of_pool.as_ref().is_none_or(|named| *named == pool.name) {
                "Failed".clone_into(&mut pool.state);
                pool.error = Some(failure.clone());
                pool.change = change;
            }
        }
        // Of a pool that fails, its cluster may say nothing.
        if of_pool.is_none() || !leaves_half {
            "Failed".clone_into(&mut cluster.state);
            cluster.error = Some(failure);
        }
        // The control plane is there, and no node.
        if operation.effect != Effect::Create || leaves_half {
            self.serve(name);
        }
    }

    /// An operation was ended where it was.
    fn aborted(&mut self, name: &ClusterName, other: &str) {
        let change = self.changes;
        let effect = self.operations.get_mut(other).map(|operation| {
            operation.outcome = Some(Outcome::Canceled);
            operation.effect.clone()
        });
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        cluster.operation = None;
        let of_pool = effect.as_ref().and_then(Effect::pool);
        let state = if of_pool.is_some() { "Succeeded" } else { "Canceled" };
        state.clone_into(&mut cluster.state);
        for pool in &mut cluster.pools {
            if of_pool.is_none_or(|named| named == pool.name) {
                "Canceled".clone_into(&mut pool.state);
                pool.change = change;
            }
        }
    }

    /// A cluster leads to an API server that has its nodes.
    pub(super) fn serve(&mut self, name: &ClusterName) {
        let tenant = self.tenant_of(&name.subscription);
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let id = name.id().to_lowercase();
        match &self.kubernetes {
            Kubernetes::Nowhere => cluster.endpoint = Some((NOWHERE.to_owned(), String::new())),
            Kubernetes::Given(given) => {
                cluster.endpoint = Some((given.url.trim_end_matches('/').to_owned(), given.authority.clone()));
                cluster.token = given.token.clone().unwrap_or_default();
            }
            Kubernetes::Simulated => {
                let tls = self.tls.get_or_insert_with(Tls::on_loopback);
                let api = self.apis.entry(name.clone()).or_insert_with(|| {
                    let (accounts, id) = (self.accounts.clone(), id.clone());
                    let authorise = Arc::new(move |token: &str| accounts.may_enter(token, &id));
                    ClusterApi::start(tls.clone(), &cluster.version, authorise).expect("there is a free port")
                });
                api.set_version(&cluster.version);
                api.set_nodes(cluster.api_nodes());
                api.be_silent(cluster.power == "Stopped");
                cluster.endpoint = Some((api.url(), api.authority.to_string()));
            }
        }
        let door = Door {
            token: cluster.token.clone(),
            has_local_accounts: cluster.has_local_accounts(),
            tenant: cluster.has_entra().then_some(tenant),
        };
        self.accounts.set_door(&id, door);
    }
}
