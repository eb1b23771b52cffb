//! What is under way with a cluster: it begins, it takes its time, something comes of it.

use serde_json::Value;

use super::{
    cluster::{ClusterName, condition},
    error,
    operation::{Effect, Operation},
    pool::NodePool,
    provider::Gke,
};
use crate::simulator::{
    call::Reply,
    fault::{Doom, Twist},
    kubernetes::{ClusterApi, Kubernetes},
    provider::Moment,
    tls::Tls,
};

/// A documentation address: nothing answers there.
const NOWHERE: &str = "203.0.113.7";

impl Gke {
    /// Begins something with a cluster that is there, unless something else is under way.
    pub(super) fn begin(
        &mut self,
        name: &ClusterName,
        effect: Effect,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Value, Reply> {
        let cluster = self.free(name)?;
        if cluster.status == "ERROR" && effect != Effect::DeleteCluster {
            let message = format!("Cluster \"{}\" is in state ERROR: it can only be deleted.", name.name);
            return Err(error::plain("FAILED_PRECONDITION", message));
        }
        self.remember(name);
        self.start(name, effect, moment, twist)
    }

    /// Begins something; the operation as it is shown.
    pub(super) fn start(
        &mut self,
        name: &ClusterName,
        effect: Effect,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Value, Reply> {
        let id = uuid::Uuid::new_v4();
        // Names sort by their time.
        let operation = format!("operation-{}{:03}-{id}", moment.now.timestamp_millis(), self.next_serial() % 1_000);
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.operation = Some(operation.clone());
            match &effect {
                Effect::CreateCluster => "PROVISIONING",
                Effect::DeleteCluster => "STOPPING",
                _ => "RECONCILING",
            }
            .clone_into(&mut cluster.status);
            match &effect {
                Effect::SetSize { pool, .. } | Effect::UpgradeNodes { pool, .. } => {
                    set_status(cluster.pool_mut(pool), "RECONCILING");
                }
                Effect::DeleteNodePool(pool) => set_status(cluster.pool_mut(pool), "STOPPING"),
                Effect::SetNetworkPolicy(_) => {
                    cluster.pools.iter_mut().for_each(|pool| set_status(Some(pool), "RECONCILING"));
                }
                Effect::DeleteCluster => cluster.pools.iter_mut().for_each(|pool| set_status(Some(pool), "STOPPING")),
                Effect::CreateNodePool(asked) => {
                    let zones: Vec<String> =
                        serde_json::from_value(cluster.config["locations"].clone()).unwrap_or_default();
                    let made = NodePool::asked(asked, &name.location, &zones, &cluster.version);
                    cluster.pools.push(made.map_err(error::invalid)?);
                }
                Effect::CreateCluster | Effect::Update(_) | Effect::UpgradeMaster(_) | Effect::SetLabels(_) => {}
            }
        }
        let begun = Operation {
            name: operation.clone(),
            cluster: name.clone(),
            started: moment.now,
            ends: moment.after(effect.takes()),
            effect,
            is_done: false,
            is_cancelled: false,
            doom: twist.doom.clone(),
            error: None,
        };
        let shown = begun.to_json(self.number(&name.project), moment.now);
        self.operations.insert(operation, begun);
        Ok(shown)
    }

    /// An operation is done: it takes effect, or fails.
    pub(super) fn finish(&mut self, operation: &str) {
        let Some(done) = self.operations.get_mut(operation) else { return };
        done.is_done = true;
        done.error = done.failure();
        let done = done.clone();
        let name = done.cluster.clone();
        if self.clusters.get(&name).is_none_or(|cluster| cluster.operation.as_deref() != Some(operation)) {
            return;
        }
        self.remember(&name);
        if let Some(failure) = &done.error {
            self.fail(&name, &done, failure);
        } else if done.effect == Effect::DeleteCluster {
            self.clusters.remove(&name);
            self.apis.remove(&name);
        } else {
            self.succeed(&name, &done.effect);
        }
    }

    fn succeed(&mut self, name: &ClusterName, effect: &Effect) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        cluster.operation = None;
        "RUNNING".clone_into(&mut cluster.status);
        cluster.conditions.clear();
        for pool in &mut cluster.pools {
            "RUNNING".clone_into(&mut pool.status);
            pool.conditions.clear();
        }
        match effect {
            Effect::SetSize { pool, count } => {
                if let Some(pool) = cluster.pool_mut(pool) {
                    pool.count = *count;
                    // It shows what it was resized to as what it began with.
                    pool.config["initialNodeCount"] = (*count).into();
                }
            }
            Effect::SetNetworkPolicy(policy) => cluster.config["networkPolicy"] = policy.clone(),
            Effect::Update(changed) => {
                for (field, value) in changed.as_object().into_iter().flatten() {
                    cluster.config[field] = value.clone();
                }
            }
            Effect::UpgradeMaster(version) => version.clone_into(&mut cluster.version),
            Effect::UpgradeNodes { pool, version } => {
                if let Some(pool) = cluster.pool_mut(pool) {
                    version.clone_into(&mut pool.version);
                }
            }
            Effect::DeleteNodePool(pool) => cluster.pools.retain(|other| other.name != *pool),
            Effect::SetLabels(labels) => cluster.config["resourceLabels"] = labels.clone(),
            Effect::CreateCluster | Effect::DeleteCluster | Effect::CreateNodePool(_) => {}
        }
        self.serve(name);
    }

    fn fail(&mut self, name: &ClusterName, operation: &Operation, (code, message): &(String, String)) {
        let leaves_half = operation.doom.as_ref().is_some_and(|Doom { leaves_half, .. }| *leaves_half);
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        cluster.operation = None;
        let told = condition(code, message);
        let pool = match &operation.effect {
            Effect::CreateCluster | Effect::DeleteCluster if !leaves_half => {
                "ERROR".clone_into(&mut cluster.status);
                cluster.conditions = vec![told];
                cluster.pools.iter_mut().for_each(|pool| set_status(Some(pool), "ERROR"));
                return;
            }
            _ if operation.is_cancelled => None,
            Effect::CreateCluster | Effect::DeleteCluster => cluster.pools.first().map(|pool| pool.name.clone()),
            Effect::SetSize { pool, .. } | Effect::UpgradeNodes { pool, .. } | Effect::DeleteNodePool(pool) => {
                Some(pool.clone())
            }
            Effect::CreateNodePool(pool) => pool["name"].as_str().map(str::to_owned),
            Effect::SetNetworkPolicy(_) | Effect::Update(_) | Effect::UpgradeMaster(_) | Effect::SetLabels(_) => None,
        };
        "RUNNING".clone_into(&mut cluster.status);
        for other in &mut cluster.pools {
            "RUNNING".clone_into(&mut other.status);
        }
        if let Some(pool) = pool.and_then(|pool| cluster.pool_mut(&pool)) {
            pool.conditions = vec![told];
            let is_new = matches!(operation.effect, Effect::CreateNodePool(_));
            set_status(Some(pool), if is_new { "ERROR" } else { "RUNNING_WITH_ERROR" });
        }
        self.serve(name);
    }

    /// A cluster leads to an API server that has its nodes.
    pub(super) fn serve(&mut self, name: &ClusterName) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        match &self.kubernetes {
            Kubernetes::Nowhere => cluster.endpoint = Some((NOWHERE.to_owned(), String::new())),
            Kubernetes::Given(given) => {
                let address = given.url.trim_start_matches("https://").trim_end_matches('/').to_owned();
                cluster.endpoint = Some((address, given.authority.clone()));
            }
            Kubernetes::Simulated => {
                let tls = self.tls.get_or_insert_with(Tls::on_loopback);
                let api = self.apis.entry(name.clone()).or_insert_with(|| {
                    let (accounts, project) = (self.accounts.clone(), name.project.clone());
                    let authorise = std::sync::Arc::new(move |token: &str| accounts.may_enter(token, &project));
                    ClusterApi::start(tls.clone(), &cluster.version, authorise).expect("there is a free port")
                });
                api.set_version(&cluster.version);
                api.set_nodes(cluster.api_nodes());
                cluster.endpoint = Some((api.address.clone(), api.authority.to_string()));
            }
        }
    }
}

fn set_status(pool: Option<&mut NodePool>, status: &str) {
    if let Some(pool) = pool {
        status.clone_into(&mut pool.status);
    }
}
