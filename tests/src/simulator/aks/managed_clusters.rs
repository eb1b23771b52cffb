//! What each method of managed clusters does.

use serde_json::{Value, json};

use super::{
    API_VERSION,
    account::Principal,
    catalog::Region,
    cluster::{Cluster, ClusterName},
    error, kubeconfig,
    operation::Effect,
    provider::Aks,
    put::{body, precondition, running},
};
use crate::simulator::{
    call::{Call, Reply},
    fault::Twist,
    kubernetes::Kubernetes,
    provider::Moment,
};

impl Aks {
    pub(super) fn managed_clusters(
        &mut self,
        call: &Call,
        caller: &Principal,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Reply, Reply> {
        let (subscription, group) = (call.parameter("subscription"), call.parameter("group"));
        let name = ClusterName::new(subscription, group, call.parameter("cluster"));
        match call.kind() {
            "managed_clusters.list" => self.list_clusters(call, None, twist),
            "managed_clusters.list_by_resource_group" => self.list_clusters(call, Some(group), twist),
            "managed_clusters.list_kubernetes_versions" => {
                let location = call.parameter("location");
                Region::named(location).ok_or_else(|| error::no_region(location))?;
                Ok(Reply::ok(self.versions.to_json()))
            }
            "managed_clusters.get" => {
                let cluster = self.seen(&name, twist).ok_or_else(|| error::no_cluster(&name))?;
                Ok(Reply::ok(cluster.to_json(&self.tenant_of(subscription))))
            }
            "managed_clusters.create_or_update" => self.put_cluster(call, caller, moment, twist),
            "managed_clusters.delete" => self.delete_cluster(call, &name, moment, twist),
            "managed_clusters.update_tags" => self.patch_tags(call, &name, moment, twist),
            "managed_clusters.get_upgrade_profile" => {
                let cluster = self.existing(&name)?;
                Ok(Reply::ok(self.upgrade_profile(cluster)))
            }
            "managed_clusters.list_cluster_admin_credentials" => {
                let cluster = self.with_endpoint(&name)?;
                if !cluster.has_local_accounts() {
                    let message = "Getting static credential is not allowed because this cluster is set to disable local \
                                   accounts.";
                    return Err(error::aks(400, "BadRequest", message));
                }
                Ok(Reply::ok(kubeconfig::admin(cluster, self.has_certificates())))
            }
            "managed_clusters.list_cluster_user_credentials" => {
                let tenant = self.tenant_of(subscription);
                let cluster = self.with_endpoint(&name)?;
                let form = call.request.query("format").unwrap_or("exec");
                kubeconfig::user(cluster, &tenant, form, self.has_certificates())
                    .map(Reply::ok)
                    .ok_or_else(|| error::invalid("format", &format!("'{form}' is neither exec nor azure")))
            }
            "managed_clusters.stop" => {
                running(self.existing(&name)?)?;
                self.begin(call, &name, Effect::Stop, moment, twist)
            }
            "managed_clusters.start" => {
                if self.existing(&name)?.power != "Stopped" {
                    let message = "Operation is not allowed because the managed cluster is not stopped.";
                    return Err(error::aks(400, "OperationNotAllowed", message));
                }
                self.begin(call, &name, Effect::Start, moment, twist)
            }
            "managed_clusters.rotate_cluster_certificates" => {
                running(self.existing(&name)?)?;
                self.begin(call, &name, Effect::Rotate, moment, twist)
            }
            "managed_clusters.abort_latest_operation" => self.abort(call, &name, None, moment, twist),
            other => Err(error::unimplemented(other)),
        }
    }

    pub(super) fn existing(&self, name: &ClusterName) -> Result<&Cluster, Reply> {
        self.clusters.get(name).ok_or_else(|| error::no_cluster(name))
    }

    /// A cluster whose API can be reached, which credentials are for.
    fn with_endpoint(&self, name: &ClusterName) -> Result<&Cluster, Reply> {
        let cluster = self.existing(name)?;
        if cluster.endpoint.is_some() { Ok(cluster) } else { Err(error::busy("create")) }
    }

    /// Whether local accounts have a certificate besides their token: a given API server would not know who vouches for it.
    const fn has_certificates(&self) -> bool {
        matches!(self.kubernetes, Kubernetes::Simulated)
    }

    /// A cluster as the API shows it.
    pub(super) fn shown(&self, name: &ClusterName) -> Option<Value> {
        Some(self.clusters.get(name)?.to_json(&self.tenant_of(&name.subscription)))
    }

    /// Lists come in pages.
    fn list_clusters(&self, call: &Call, group: Option<&str>, twist: &Twist) -> Result<Reply, Reply> {
        let subscription = call.parameter("subscription");
        let mut names: Vec<&ClusterName> = self.clusters.keys().collect();
        if twist.is_stale {
            names.extend(self.before.keys());
            names.sort();
            names.dedup();
        }
        let from = match call.request.query("$skipToken").or_else(|| call.request.query("%24skipToken")) {
            None => 0,
            Some(token) => token
                .strip_prefix("after-")
                .and_then(|number| number.parse::<usize>().ok())
                .ok_or_else(|| error::arm(400, "InvalidSkipToken", format!("The skip token '{token}' is invalid.")))?,
        };
        let tenant = self.tenant_of(subscription);
        let found = names.into_iter().filter(|name| name.is_in(subscription, group));
        let all: Vec<&Cluster> = found.filter_map(|name| self.seen(name, twist)).collect();
        let page: Vec<Value> =
            all.iter().skip(from).take(self.page_size).map(|cluster| cluster.to_json(&tenant)).collect();
        let end = from + page.len();
        let mut answer = json!({"value": page});
        if end < all.len() {
            let request = &call.request;
            let next = format!("{}{}?api-version={API_VERSION}&%24skipToken=after-{end}", request.origin, request.path);
            answer["nextLink"] = next.into();
        }
        Ok(Reply::ok(answer))
    }

    fn begin(
        &mut self,
        call: &Call,
        name: &ClusterName,
        effect: Effect,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Reply, Reply> {
        self.free(name)?;
        let operation = self.start(name, effect, moment, twist);
        Ok(operation.polled(call, moment, 202, None))
    }

    fn delete_cluster(
        &mut self,
        call: &Call,
        name: &ClusterName,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Reply, Reply> {
        let Some(cluster) = self.clusters.get(name) else { return Ok(Reply::empty(204)) };
        precondition(call, Some(&cluster.etag()))?;
        let under_way = cluster.operation.as_ref().and_then(|id| self.operations.get(id));
        if let Some(operation) = under_way.filter(|operation| operation.effect == Effect::Delete) {
            return Ok(operation.polled(call, moment, 202, None));
        }
        self.begin(call, name, Effect::Delete, moment, twist)
    }

    fn patch_tags(&mut self, call: &Call, name: &ClusterName, moment: &Moment, twist: &Twist) -> Result<Reply, Reply> {
        let asked = body(call, "TagsObject")?;
        let cluster = self.existing(name)?;
        precondition(call, Some(&cluster.etag()))?;
        self.free(name)?;
        running(cluster)?;
        self.remember(name);
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.config["tags"] = if asked["tags"].is_null() { json!({}) } else { asked["tags"].clone() };
        }
        let operation = self.start(name, Effect::Tags, moment, twist);
        Ok(operation.polled(call, moment, 200, self.shown(name)))
    }

    /// Ends what is under way where it is: of a pool, or whatever it is.
    pub(super) fn abort(
        &mut self,
        call: &Call,
        name: &ClusterName,
        pool: Option<&str>,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Reply, Reply> {
        let cluster = self.existing(name)?;
        let under_way = cluster.operation.as_ref().and_then(|id| self.operations.get(id));
        let under_way = under_way.filter(|operation| pool.is_none() || operation.effect.pool() == pool);
        let refused = |message: &str| Err(error::aks(400, "OperationNotAllowed", message));
        match under_way.map(|operation| (operation.id.clone(), operation.effect.clone())) {
            None => refused("There is no operation in progress that could be aborted."),
            Some((_, Effect::Delete | Effect::Abort(_) | Effect::DeletePool(_))) => {
                refused("The operation in progress cannot be aborted.")
            }
            Some((id, _)) => {
                // It is over when the abort is.
                if let Some(ended) = self.operations.get_mut(&id) {
                    ended.ends = moment.now + chrono::TimeDelta::days(3_650);
                }
                let operation = self.start(name, Effect::Abort(id), moment, twist);
                Ok(operation.polled(call, moment, 202, None))
            }
        }
    }

    fn upgrade_profile(&self, cluster: &Cluster) -> Value {
        let upgrades = |version: &str| -> Vec<Value> {
            let offered = self.versions.upgrades(version).into_iter();
            offered.map(|(version, preview)| json!({"kubernetesVersion": version, "isPreview": preview})).collect()
        };
        let profile =
            |version: &str| json!({"kubernetesVersion": version, "osType": "Linux", "upgrades": upgrades(version)});
        let pools = cluster.pools.iter().map(|pool| {
            let mut shown = profile(&pool.version);
            shown["name"] = pool.name.clone().into();
            shown
        });
        let mut control_plane = profile(&cluster.version);
        control_plane["name"] = "master".into();
        json!({
            "id": format!("{}/upgradeprofiles/default", cluster.name.id()), "name": "default",
            "type": "Microsoft.ContainerService/managedClusters/upgradeprofiles",
            "properties": {"controlPlaneProfile": control_plane, "agentPoolProfiles": pools.collect::<Vec<_>>()},
        })
    }
}
