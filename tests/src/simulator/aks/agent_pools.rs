//! What each method of agent pools does.

use serde_json::{Value, json};

use super::{
    catalog::Region,
    cluster::{Cluster, ClusterName},
    error,
    operation::Effect,
    pool::AgentPool,
    provider::Aks,
    put::{body, precondition, running},
};
use crate::simulator::{
    call::{Call, Reply},
    fault::Twist,
    provider::Moment,
};

impl Aks {
    pub(super) fn agent_pools(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Result<Reply, Reply> {
        let name = ClusterName::new(call.parameter("subscription"), call.parameter("group"), call.parameter("cluster"));
        let pool = call.parameter("pool");
        let seen = self.seen(&name, twist).ok_or_else(|| error::no_cluster(&name))?;
        match call.kind() {
            "agent_pools.list" => {
                let pools: Vec<Value> = seen.pools.iter().map(|pool| pool.to_json(seen)).collect();
                Ok(Reply::ok(json!({"value": pools})))
            }
            "agent_pools.get" => {
                let found = seen.pool(pool).ok_or_else(|| error::no_pool(pool))?;
                Ok(Reply::ok(found.to_json(seen)))
            }
            "agent_pools.get_available_agent_pool_versions" => {
                let offered =
                    self.versions.minors.iter().flat_map(|minor| minor.patches.iter().map(move |it| (it, minor)));
                let versions: Vec<Value> = offered
                    .map(|(version, minor)| {
                        json!({"kubernetesVersion": version, "default": minor.version == self.versions.default,
                            "isPreview": minor.is_preview})
                    })
                    .collect();
                let id = format!("{}/availableAgentPoolVersions/default", name.id());
                let properties = json!({"agentPoolVersions": versions});
                Ok(Reply::ok(json!({"id": id, "name": "default", "properties": properties,
                    "type": "Microsoft.ContainerService/managedClusters/availableAgentPoolVersions"})))
            }
            "agent_pools.create_or_update" => self.put_pool(call, &name, moment, twist),
            "agent_pools.delete" => {
                let cluster = self.clusters.get(&name).ok_or_else(|| error::no_cluster(&name))?;
                let Some(found) = cluster.pool(pool) else { return Ok(Reply::empty(204)) };
                precondition(call, Some(&found.etag()))?;
                if found.is_system() && cluster.pools.iter().filter(|pool| pool.is_system()).count() == 1 {
                    let message = "There has to be at least one system agent pool.";
                    return Err(error::aks(400, "OperationNotAllowed", message));
                }
                self.free(&name)?;
                let operation = self.start(&name, Effect::DeletePool(pool.to_owned()), moment, twist);
                Ok(operation.polled(call, moment, 202, None))
            }
            "agent_pools.abort_latest_operation" => {
                if seen.pool(pool).is_none() {
                    return Err(error::no_pool(pool));
                }
                self.abort(call, &name, Some(pool), moment, twist)
            }
            other => Err(error::unimplemented(other)),
        }
    }

    fn put_pool(&mut self, call: &Call, name: &ClusterName, moment: &Moment, twist: &Twist) -> Result<Reply, Reply> {
        let asked = body(call, "AgentPool")?;
        let cluster = self.clusters.get(name).ok_or_else(|| error::no_cluster(name))?.clone();
        let name = &cluster.name;
        let had = cluster.pool(call.parameter("pool"));
        precondition(call, had.map(AgentPool::etag).as_deref())?;
        self.free(name)?;
        running(&cluster)?;
        let pool = self.pool(&cluster, call.parameter("pool"), &asked["properties"])?;
        let region = Region::named(&cluster.location).ok_or_else(|| error::no_region(&cluster.location))?;
        let before = had.map_or(0, |had| had.count);
        self.within(name, region, &[(&pool, pool.count.saturating_sub(before))])?;
        let (id, effect) = (pool.name.clone(), effect(had, &pool));
        let status = if had.is_some() { 200 } else { 201 };
        self.remember(name);
        let changed = self.clusters.get_mut(name).ok_or_else(|| error::no_cluster(name))?;
        match changed.pool_mut(&id) {
            Some(old) => *old = AgentPool { nodes: old.nodes, version: old.version.clone(), ..pool },
            None => changed.pools.push(pool),
        }
        let operation = self.start(name, effect, moment, twist);
        let shown = self.clusters.get(name).and_then(|cluster: &Cluster| Some(cluster.pool(&id)?.to_json(cluster)));
        Ok(operation.polled(call, moment, status, shown))
    }
}

/// What it takes to make of a pool what it is to be.
fn effect(had: Option<&AgentPool>, pool: &AgentPool) -> Effect {
    let name = pool.name.clone();
    match had {
        None => Effect::CreatePool(name),
        Some(had) if had.version != pool.wanted_version => Effect::UpgradePool(name),
        Some(had) if had.count != pool.count || had.nodes != pool.count => Effect::ScalePool(name),
        Some(_) => Effect::UpdatePool(name),
    }
}
