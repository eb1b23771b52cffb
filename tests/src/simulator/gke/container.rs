//! What each method of the container API does.

use serde_json::{Value, json};

use super::{
    account::ServiceAccount,
    catalog::{self, order},
    cluster::{Cluster, ClusterName, refused},
    error,
    operation::{Effect, Operation},
    pool::NodePool,
    project::{CLUSTERS_PER_PLACE, Usage},
    provider::{Gke, action, unimplemented},
};
use crate::simulator::{
    call::{Call, Reply},
    fault::Twist,
    provider::Moment,
};

impl Gke {
    pub(super) fn container(
        &mut self,
        call: &Call,
        account: &ServiceAccount,
        body: &Value,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Value, Reply> {
        let (project, location) = (call.parameter("project"), call.parameter("location"));
        let name = ClusterName::new(project, location, call.parameter("cluster"));
        let pool = call.parameter("nodePool");
        if !call.route.is_read && !name.name.is_empty() {
            self.free(&name)?;
        }
        match action(call.kind()) {
            "getServerConfig" | "getServerconfig" => self.server_config(location),
            "clusters.list" => self.list_clusters(project, location, twist),
            "clusters.get" => {
                let cluster = self.seen(&name, twist).ok_or_else(|| error::not_found(&name.to_string()))?;
                Ok(cluster.to_json(self.number(project)))
            }
            "clusters.create" => self.create(project, location, account, body, moment, twist),
            "clusters.delete" => self.begin(&name, Effect::DeleteCluster, moment, twist),
            "clusters.update" => self.update(&name, &body["update"], moment, twist),
            "clusters.updateMaster" | "clusters.master" => {
                let effect = self.upgrade_master(&name, body["masterVersion"].as_str().unwrap_or_default())?;
                self.begin(&name, effect, moment, twist)
            }
            "clusters.setNetworkPolicy" => {
                let effect = self.set_network_policy(&name, &body["networkPolicy"])?;
                self.begin(&name, effect, moment, twist)
            }
            "clusters.setAddons" | "clusters.addons" => {
                self.update(&name, &json!({"desiredAddonsConfig": body["addonsConfig"]}), moment, twist)
            }
            "clusters.setResourceLabels" | "clusters.resourceLabels" => {
                let cluster = self.existing(&name)?;
                let fingerprint = cluster.to_json(0)["labelFingerprint"].clone();
                if body["labelFingerprint"].as_str().is_some_and(|given| !given.is_empty() && fingerprint != given) {
                    return Err(error::plain(
                        "FAILED_PRECONDITION",
                        "Labels could not be set due to fingerprint mismatch.",
                    ));
                }
                self.begin(&name, Effect::SetLabels(body["resourceLabels"].clone()), moment, twist)
            }
            "clusters.fetchClusterUpgradeInfo" => {
                let target = self.versions.resolve("latest", None).unwrap_or_default();
                self.existing(&name)?;
                Ok(json!({"minorTargetVersion": target, "patchTargetVersion": self.versions.default,
                    "autoUpgradeStatus": ["ACTIVE"], "endOfStandardSupportTimestamp": "2028-01-31"}))
            }
            "clusters.nodePools.list" => {
                let cluster = self.seen(&name, twist).ok_or_else(|| error::not_found(&name.to_string()))?;
                let number = self.number(project);
                let pools: Vec<Value> = cluster.pools.iter().map(|pool| pool.to_json(cluster, number)).collect();
                Ok(json!({"nodePools": pools}))
            }
            "clusters.nodePools.get" => {
                let cluster = self.seen(&name, twist).ok_or_else(|| error::not_found(&name.to_string()))?;
                let found = cluster.pool(pool).ok_or_else(|| no_pool(&name, pool))?;
                Ok(found.to_json(cluster, self.number(project)))
            }
            "clusters.nodePools.create" => {
                let effect = self.create_pool(&name, &body["nodePool"])?;
                self.begin(&name, effect, moment, twist)
            }
            "clusters.nodePools.delete" => {
                self.existing_pool(&name, pool)?;
                self.begin(&name, Effect::DeleteNodePool(pool.to_owned()), moment, twist)
            }
            "clusters.nodePools.setSize" => {
                let effect = self.set_size(&name, pool, &body["nodeCount"])?;
                self.begin(&name, effect, moment, twist)
            }
            "clusters.nodePools.update" => {
                let asked = body["nodeVersion"].as_str().unwrap_or_default();
                let effect = self.upgrade_nodes(&name, pool, asked)?;
                self.begin(&name, effect, moment, twist)
            }
            "operations.list" => {
                let number = self.number(project);
                let is_asked_for = |operation: &&Operation| {
                    operation.cluster.project == project && (location == "-" || operation.cluster.location == location)
                };
                let found = self.operations.values().filter(is_asked_for);
                Ok(json!({"operations": found.map(|found| found.to_json(number, moment.now)).collect::<Vec<_>>()}))
            }
            "operations.get" => {
                let operation = self.operation(project, location, call.parameter("operation"))?;
                Ok(operation.to_json(self.number(project), moment.now))
            }
            "operations.cancel" => self.cancel(project, location, call.parameter("operation"), moment),
            _ => Err(unimplemented(call.kind())),
        }
    }

    fn server_config(&self, location: &str) -> Result<Value, Reply> {
        place(location)?;
        let channel = |(name, default, valid): &(String, String, Vec<String>)| {
            json!({"channel": name, "defaultVersion": default, "validVersions": valid,
                "upgradeTargetVersion": valid.iter().max_by_key(|version| order(version))})
        };
        Ok(json!({
            "defaultClusterVersion": self.versions.default, "validMasterVersions": self.versions.valid,
            "validNodeVersions": self.versions.valid, "defaultImageType": "COS_CONTAINERD",
            "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD"],
            "channels": self.versions.channels.iter().map(channel).collect::<Vec<_>>(),
        }))
    }

    fn list_clusters(&self, project: &str, location: &str, twist: &Twist) -> Result<Value, Reply> {
        if location != "-" {
            place(location)?;
        }
        let number = self.number(project);
        let is_asked_for =
            |name: &&ClusterName| name.project == project && (location == "-" || name.location == location);
        let mut names: Vec<&ClusterName> = self.clusters.keys().filter(is_asked_for).collect();
        if twist.is_stale {
            names.extend(self.before.keys().filter(is_asked_for));
            names.sort();
            names.dedup();
        }
        let reached = names.into_iter().filter(|name| !self.zones_down.contains(&name.location));
        let clusters: Vec<Value> =
            reached.filter_map(|name| self.seen(name, twist)).map(|cluster| cluster.to_json(number)).collect();
        // What is empty is left out.
        let mut answer = json!({});
        if !clusters.is_empty() {
            answer["clusters"] = clusters.into();
        }
        if !self.zones_down.is_empty() {
            answer["missingZones"] = json!(self.zones_down);
        }
        Ok(answer)
    }

    pub(super) fn existing(&self, name: &ClusterName) -> Result<&Cluster, Reply> {
        self.clusters.get(name).ok_or_else(|| error::not_found(&name.to_string()))
    }

    /// A cluster with which nothing is under way.
    pub(super) fn free(&self, name: &ClusterName) -> Result<&Cluster, Reply> {
        let cluster = self.existing(name)?;
        cluster.operation.as_ref().map_or(Ok(cluster), |operation| Err(error::busy(operation)))
    }

    fn existing_pool(&self, name: &ClusterName, pool: &str) -> Result<&NodePool, Reply> {
        self.existing(name)?.pool(pool).ok_or_else(|| no_pool(name, pool))
    }

    fn create(
        &mut self,
        project: &str,
        location: &str,
        account: &ServiceAccount,
        body: &Value,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Value, Reply> {
        let asked = &body["cluster"];
        let name = ClusterName::new(project, location, asked["name"].as_str().unwrap_or_default());
        let region = place(location)?;
        let is_closed = self.projects.get(project).is_some_and(|project| project.closed_regions.contains(region));
        if is_closed {
            let message = format!("Permission denied on 'locations/{location}' (or it may not exist).");
            return Err(error::plain("PERMISSION_DENIED", message));
        }
        if self.clusters.contains_key(&name) {
            return Err(error::exists(&name.to_string()));
        }
        let channel = asked["releaseChannel"]["channel"].as_str();
        let version = asked["initialClusterVersion"].as_str().unwrap_or_default();
        let version = self.versions.resolve(version, channel).map_err(refused)?;
        let cluster = Cluster::asked(name.clone(), asked, &version, moment.now).map_err(refused)?;
        let may_use_nodes = account.permissions.as_ref().is_none_or(|may| may.contains("iam.serviceAccounts.actAs"));
        if !may_use_nodes {
            let message = "The user does not have access to service account \"default\". Ask a project owner to grant you \
                           the iam.serviceAccountUser role on the service account.";
            return Err(error::invalid(message));
        }
        let there = self.clusters.keys().filter(|other| other.project == project && other.location == location).count();
        if there >= CLUSTERS_PER_PLACE {
            let message = format!(
                "Insufficient quota to satisfy the request: there are {there} clusters in {location}, and no more than \
                 {CLUSTERS_PER_PLACE} may be."
            );
            return Err(error::plain("PERMISSION_DENIED", message));
        }
        self.within_quota(project, region, &cluster.usage())?;
        self.within_stock(&cluster)?;
        self.remember(&name);
        self.clusters.insert(name.clone(), Cluster { change: self.changes, ..cluster });
        self.start(&name, Effect::CreateCluster, moment, twist)
    }

    /// Machines of a kind that is out of stock are refused before anything is made. Whether the stock suffices for what is under way
    /// is another matter, see [`Doom`](crate::simulator::Doom).
    fn within_stock(&self, cluster: &Cluster) -> Result<(), Reply> {
        let Some(project) = self.projects.get(&cluster.name.project) else { return Ok(()) };
        for pool in &cluster.pools {
            let machine = pool.machine().map_or("", |machine| machine.name).to_owned();
            for zone in &pool.zones {
                if project.stockouts.contains(&(zone.clone(), machine.clone())) {
                    let message = format!(
                        "The zone 'projects/{}/zones/{zone}' does not have enough resources available to fulfill the \
                         request. Try a different zone, or try again later.",
                        project.name
                    );
                    return Err(error::plain("UNAVAILABLE", message));
                }
            }
        }
        Ok(())
    }

    /// What a project uses in a region.
    pub(super) fn used(&self, project: &str, region: &str) -> Usage {
        let mut used = Usage::default();
        let of_region = |cluster: &&Cluster| {
            cluster.name.project == project && catalog::region_of(&cluster.name.location) == Some(region)
        };
        for cluster in self.clusters.values().filter(of_region) {
            used.add(&cluster.usage());
        }
        used
    }

    fn within_quota(&self, project: &str, region: &str, wanted: &Usage) -> Result<(), Reply> {
        let Some(known) = self.projects.get(project) else { return Ok(()) };
        let used = self.used(project, region);
        for (metric, limit) in known.limits(region) {
            let (wanted, used) = (wanted.of(metric), used.of(metric));
            if wanted > 0.0 && used + wanted > limit {
                return Err(error::quota(project, metric, wanted, limit, used));
            }
        }
        Ok(())
    }

    fn set_size(&self, name: &ClusterName, pool: &str, count: &Value) -> Result<Effect, Reply> {
        let cluster = self.existing(name)?;
        let found = self.existing_pool(name, pool)?;
        // What is zero may be left out.
        let count = if count.is_null() { Some(0) } else { count.as_u64().and_then(|count| u32::try_from(count).ok()) };
        let count = count.filter(|count| *count <= 1_000);
        let count = count.ok_or_else(|| error::invalid("Node pool size must be between 0 and 1000 nodes per zone."))?;
        if count > found.count {
            let more = found.usage(count - found.count, cluster.has_addresses());
            let region = catalog::region_of(&name.location).unwrap_or_default();
            self.within_quota(&name.project, region, &more)?;
        }
        Ok(Effect::SetSize { pool: pool.to_owned(), count })
    }

    fn create_pool(&self, name: &ClusterName, asked: &Value) -> Result<Effect, Reply> {
        let cluster = self.existing(name)?;
        let pool = asked["name"].as_str().unwrap_or_default();
        if cluster.pool(pool).is_some() {
            return Err(error::exists(&format!("{name}/nodePools/{pool}")));
        }
        let locations: Vec<String> = serde_json::from_value(cluster.config["locations"].clone()).unwrap_or_default();
        let made = NodePool::asked(asked, &name.location, &locations, &cluster.version).map_err(refused)?;
        let region = catalog::region_of(&name.location).unwrap_or_default();
        self.within_quota(&name.project, region, &made.usage(made.count, cluster.has_addresses()))?;
        Ok(Effect::CreateNodePool(asked.clone()))
    }

    fn set_network_policy(&self, name: &ClusterName, policy: &Value) -> Result<Effect, Reply> {
        let cluster = self.existing(name)?;
        let is_wanted = policy["enabled"] == true;
        if is_wanted && cluster.has_dataplane_v2() {
            let message = "Enabling NetworkPolicy for clusters with DatapathProvider=ADVANCED_DATAPATH is not allowed.";
            return Err(error::invalid(message));
        }
        if is_wanted && cluster.config["addonsConfig"]["networkPolicyConfig"]["disabled"] == true {
            let message = "The network policy addon must be enabled before updating the nodes.";
            return Err(error::plain("FAILED_PRECONDITION", message));
        }
        let mut policy = policy.clone();
        if is_wanted && policy["provider"].is_null() {
            policy["provider"] = "CALICO".into();
        }
        Ok(Effect::SetNetworkPolicy(policy))
    }

    fn upgrade_master(&self, name: &ClusterName, asked: &str) -> Result<Effect, Reply> {
        let cluster = self.existing(name)?;
        let channel = cluster.config["releaseChannel"]["channel"].as_str();
        let version = self.versions.resolve(asked, channel).map_err(refused)?;
        if order(&version) < order(&cluster.version) {
            let message =
                format!("Master cannot be downgraded to \"{version}\": it is of version \"{}\".", cluster.version);
            return Err(error::invalid(message));
        }
        Ok(Effect::UpgradeMaster(version))
    }

    fn upgrade_nodes(&self, name: &ClusterName, pool: &str, asked: &str) -> Result<Effect, Reply> {
        let cluster = self.existing(name)?;
        let found = self.existing_pool(name, pool)?;
        let version = match asked {
            "" => found.version.clone(),
            "-" => cluster.version.clone(),
            _ => self.versions.resolve(asked, None).map_err(refused)?,
        };
        if order(&version) > order(&cluster.version) {
            let message =
                format!("Node version \"{version}\" must not be greater than master version \"{}\".", cluster.version);
            return Err(error::invalid(message));
        }
        Ok(Effect::UpgradeNodes { pool: pool.to_owned(), version })
    }

    fn update(&mut self, name: &ClusterName, update: &Value, moment: &Moment, twist: &Twist) -> Result<Value, Reply> {
        let cluster = self.existing(name)?;
        let desired: Vec<&String> = update.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
        let desired: Vec<&String> =
            desired.into_iter().filter(|field| !matches!(field.as_str(), "desiredNodePoolId" | "etag")).collect();
        let [field] = desired.as_slice() else {
            return Err(error::invalid("Exactly one update can be applied to a cluster with each update request."));
        };
        let value = &update[field.as_str()];
        let effect = match field.as_str() {
            "desiredMasterVersion" => self.upgrade_master(name, value.as_str().unwrap_or_default())?,
            "desiredNodeVersion" => {
                let first = cluster.pools.first().map_or("", |pool| pool.name.as_str());
                let pool = update["desiredNodePoolId"].as_str().unwrap_or(first).to_owned();
                self.upgrade_nodes(name, &pool, value.as_str().unwrap_or_default())?
            }
            "desiredAddonsConfig" => {
                let mut addons = cluster.config["addonsConfig"].clone();
                for (addon, config) in value.as_object().into_iter().flatten() {
                    // An empty one means that it is not disabled.
                    addons[addon] = config.clone();
                }
                Effect::Update(json!({"addonsConfig": addons}))
            }
            other => {
                let mut letters = other.strip_prefix("desired").unwrap_or(other).chars();
                let first = letters.next().map(|first| first.to_ascii_lowercase());
                let field: String = first.into_iter().chain(letters).collect();
                let is_shown = super::encoding::CONTAINER
                    .definition("Cluster")
                    .is_some_and(|cluster| !cluster["properties"][&field].is_null());
                Effect::Update(if is_shown { json!({ field: value }) } else { json!({}) })
            }
        };
        self.begin(name, effect, moment, twist)
    }

    fn operation(&self, project: &str, location: &str, name: &str) -> Result<&Operation, Reply> {
        let found = self.operations.get(name);
        let found = found.filter(|it| it.cluster.project == project && it.cluster.location == location);
        found.ok_or_else(|| {
            let place = ClusterName::new(project, location, "").place();
            error::not_found(&format!("projects/{project}/{place}/operations/{name}"))
        })
    }

    fn cancel(&mut self, project: &str, location: &str, name: &str, moment: &Moment) -> Result<Value, Reply> {
        let operation = self.operation(project, location, name)?;
        if operation.is_done {
            return Err(error::plain("FAILED_PRECONDITION", format!("Operation {name} is already done.")));
        }
        if !matches!(operation.effect, Effect::UpgradeNodes { .. }) {
            let message = format!(
                "Operation {name} cannot be cancelled: only node pool upgrade operations support cancellation."
            );
            return Err(error::plain("FAILED_PRECONDITION", message));
        }
        let ends = moment.after(chrono::TimeDelta::seconds(30));
        self.changes += 1;
        if let Some(operation) = self.operations.get_mut(name) {
            operation.is_cancelled = true;
            operation.ends = operation.ends.min(ends);
        }
        Ok(json!({}))
    }
}

/// The region of a place.
fn place(location: &str) -> Result<&'static str, Reply> {
    catalog::region_of(location).ok_or_else(|| error::invalid(format!("Location \"{location}\" does not exist.")))
}

fn no_pool(name: &ClusterName, pool: &str) -> Reply {
    error::not_found(&format!("{name}/nodePools/{pool}"))
}
