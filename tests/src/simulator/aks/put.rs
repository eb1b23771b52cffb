//! Clusters and pools that are made or changed by saying how they are to be.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    account::Principal,
    catalog::{Region, Size, order},
    check::SCHEMAS,
    cluster::{Cluster, ClusterName, completed},
    error,
    operation::Effect,
    pool::AgentPool,
    provider::Aks,
};
use crate::simulator::{
    call::{Call, Reply},
    fault::Twist,
    provider::Moment,
};

/// The body of a call, if it is what the schema says.
pub(super) fn body(call: &Call, schema: &str) -> Result<Value, Reply> {
    let body = call.request.json().ok_or_else(error::no_json)?;
    let violations = SCHEMAS.violations(schema, &body);
    if violations.is_empty() { Ok(body) } else { Err(error::bad_body(&violations)) }
}

/// Whether the caller knows the resource as it is, as far as it says so.
pub(super) fn precondition(call: &Call, etag: Option<&str>) -> Result<(), Reply> {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    let given = |name: &str| call.request.header(name).map(plain).filter(|tag| !tag.is_empty());
    let is = |given: &str| etag.is_some_and(|etag| given == "*" || given == etag);
    if let Some(given) = given("if-match").filter(|given| !is(given)) {
        return Err(error::etag(&given, etag.unwrap_or_default()));
    }
    match given("if-none-match").filter(|given| is(given)) {
        Some(given) => Err(error::etag(&given, etag.unwrap_or_default())),
        None => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let ends = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    name.len() <= 63 && name.chars().all(fits) && ends(name.chars().next()) && ends(name.chars().last())
}

/// What does not go together.
fn network(properties: &Value) -> Result<(), Reply> {
    let network = &properties["networkProfile"];
    let is = |field: &str, value: &str| network[field] == value;
    let refused = |message: &str| Err(error::aks(400, "BadRequest", message));
    if is("networkPolicy", "cilium") && !is("networkDataplane", "cilium") {
        return refused("Network policy cilium requires network dataplane cilium.");
    }
    if is("networkDataplane", "cilium") && !(is("networkPlugin", "azure") || is("networkPlugin", "none")) {
        return refused("Network dataplane cilium requires network plugin azure.");
    }
    if is("networkDataplane", "cilium") && (is("networkPolicy", "azure") || is("networkPolicy", "calico")) {
        return refused("Network dataplane cilium requires network policy cilium or none.");
    }
    if is("networkPluginMode", "overlay") && !is("networkPlugin", "azure") {
        return refused("Network plugin mode overlay requires network plugin azure.");
    }
    Ok(())
}

impl Aks {
    /// `managedClusters` with PUT.
    pub(super) fn put_cluster(
        &mut self,
        call: &Call,
        caller: &Principal,
        moment: &Moment,
        twist: &Twist,
    ) -> Result<Reply, Reply> {
        let asked = body(call, "ManagedCluster")?;
        let path = ClusterName::new(call.parameter("subscription"), call.parameter("group"), call.parameter("cluster"));
        let existing = self.clusters.get(&path).cloned();
        let name = existing.as_ref().map_or(path, |cluster| cluster.name.clone());
        precondition(call, existing.as_ref().map(Cluster::etag).as_deref())?;
        self.free(&name)?;
        let location = asked["location"].as_str().unwrap_or_default();
        let region = Region::named(location).ok_or_else(|| error::no_region(location))?;
        let (cluster, effect) = match existing {
            None => (self.new_cluster(&name, region, &asked, caller, moment)?, Effect::Create),
            Some(cluster) => self.changed_cluster(cluster, region, &asked)?,
        };
        let (status, is_new) = if self.clusters.contains_key(&name) { (200, false) } else { (201, true) };
        self.remember(&name);
        if let Some(subscription) = self.subscriptions.get_mut(&name.subscription.to_lowercase())
            && is_new
        {
            subscription.put_group(cluster.node_group(), region.name, Some(name.id()));
        }
        self.clusters.insert(name.clone(), Cluster { change: self.changes, ..cluster });
        let operation = self.start(&name, effect, moment, twist);
        Ok(operation.polled(call, moment, status, self.shown(&name)))
    }

    /// A cluster that is asked for and not there yet.
    pub(super) fn new_cluster(
        &self,
        name: &ClusterName,
        region: Region,
        asked: &Value,
        caller: &Principal,
        moment: &Moment,
    ) -> Result<Cluster, Reply> {
        if !is_name(&name.name) {
            let why = "Name may only contain letters, numbers, underscores, and hyphens, has to start and end with a \
                       letter or number, and be between 1 and 63 characters long";
            return Err(error::invalid("name", why));
        }
        let Some(subscription) = self.subscription(&name.subscription) else {
            return Err(error::no_subscription(&name.subscription));
        };
        if subscription.closed_regions.contains(region.name) {
            return Err(error::closed_region(&name.name));
        }
        let properties = &asked["properties"];
        if properties["dnsPrefix"].is_null() && properties["fqdnSubdomain"].is_null() {
            return Err(error::invalid("dnsPrefix", "DNS prefix is missing"));
        }
        let kind = asked["identity"]["type"].as_str().unwrap_or("None");
        if kind == "None" && properties["servicePrincipalProfile"]["secret"].is_null() {
            let message = "Required parameter servicePrincipalProfile is missing (null).";
            return Err(error::aks(400, "InvalidParameter", message));
        }
        let version = self.version(name, region, properties)?;
        let config = completed(asked, name, region.name);
        network(&config["properties"])?;
        let mut cluster = Cluster {
            name: name.clone(),
            location: region.name.to_owned(),
            config,
            pools: Vec::new(),
            version,
            state: "Creating".to_owned(),
            power: "Running".to_owned(),
            error: None,
            operation: None,
            endpoint: None,
            token: Uuid::new_v4().simple().to_string(),
            created: moment.now,
            created_by: caller.client_id.clone(),
            is_planted: false,
            change: 0,
        };
        if subscription.group(cluster.node_group()).is_some() {
            let message = format!("The node resource group {} already exists.", cluster.node_group());
            return Err(error::aks(400, "NodeResourceGroupAlreadyExists", message));
        }
        cluster.pools = self.pools(&cluster, properties)?;
        if !cluster.pools.iter().any(AgentPool::is_system) {
            return Err(error::aks(400, "InvalidParameter", "Must define at least one system pool."));
        }
        let there = self
            .clusters
            .values()
            .filter(|other| other.name.is_in(&name.subscription, None) && other.location == region.name);
        let limit = subscription.limit(region.name, "ManagedClusters");
        if there.count() as u64 >= limit {
            return Err(error::clusters(region.name, limit));
        }
        let grown: Vec<(&AgentPool, u32)> = cluster.pools.iter().map(|pool| (pool, pool.count)).collect();
        self.within(name, region, &grown)?;
        Ok(cluster)
    }

    /// A cluster that is there, as it is asked to be. PUT replaces what it had.
    fn changed_cluster(&self, old: Cluster, region: Region, asked: &Value) -> Result<(Cluster, Effect), Reply> {
        let name = old.name.clone();
        if old.location != region.name {
            let message = format!(
                "The resource '{}' already exists in location '{}' in resource group '{}'. A resource with the same name \
                 cannot be created in location '{}'. Please select a new resource name.",
                name.name, old.location, name.group, region.name
            );
            return Err(error::arm(409, "InvalidResourceLocation", message));
        }
        running(&old)?;
        let mut asked = asked.clone();
        // What was once said stays where nothing is said of it.
        for field in ["dnsPrefix", "nodeResourceGroup", "kubernetesVersion", "linuxProfile", "networkProfile"] {
            if asked["properties"][field].is_null() && !old.properties()[field].is_null() {
                asked["properties"][field] = old.properties()[field].clone();
            }
        }
        for field in ["identity", "sku"] {
            if asked[field].is_null() && !old.config[field].is_null() {
                asked[field] = old.config[field].clone();
            }
        }
        let principal = &asked["properties"]["servicePrincipalProfile"];
        let had_secret = !old.properties()["servicePrincipalProfile"]["secret"].is_null();
        if had_secret && principal["secret"].is_null() {
            let message = "The credentials in ServicePrincipalProfile were invalid. Please see https://aka.ms/aks-sp-help \
                           for more details. (Details: Service principal secret is missing.)";
            return Err(error::aks(400, "ServicePrincipalValidationClientError", message));
        }
        let config = completed(&asked, &name, region.name);
        let (was, is) = (old.properties(), &config["properties"]);
        for field in ["dnsPrefix", "nodeResourceGroup"] {
            if was[field] != is[field] {
                return Err(error::unchangeable(&format!("properties.{field}")));
            }
        }
        for field in ["networkPlugin", "podCidr", "serviceCidr", "networkPolicy"] {
            let (was, is) = (&was["networkProfile"][field], &is["networkProfile"][field]);
            // Also since API version 2024-05-01: Calico and Azure's own policy manager may be uninstalled.
            let is_switched = field == "networkPolicy" && (was == "none" || is == "none" && was != "cilium");
            if was != is && !is_switched {
                return Err(error::unchangeable(&format!("networkProfile.{field}")));
            }
        }
        network(is)?;
        let version = self.version(&name, region, is)?;
        self.upgradable(&old.version, &version)?;
        let effect = if old.endpoint.is_none() {
            Effect::Create
        } else if version != old.version {
            Effect::Upgrade
        } else {
            Effect::Update
        };
        let mut cluster = Cluster { config, ..old.clone() };
        // Pools may not be newer than what the control plane is about to be.
        let target = Cluster { version, ..cluster.clone() };
        let pools = self.pools(&target, &asked["properties"])?;
        let mut grown = Vec::new();
        for pool in &pools {
            let had = old.pool(&pool.name);
            let before = had.map_or(0, |had| had.count);
            grown.push((pool, pool.count.saturating_sub(before)));
        }
        self.within(&name, region, &grown)?;
        for pool in pools {
            match cluster.pool_mut(&pool.name) {
                Some(old) => *old = AgentPool { nodes: old.nodes, version: old.version.clone(), ..pool },
                None => cluster.pools.push(pool),
            }
        }
        Ok((cluster, effect))
    }

    fn version(&self, name: &ClusterName, region: Region, properties: &Value) -> Result<String, Reply> {
        let asked = properties["kubernetesVersion"].as_str().unwrap_or_default();
        self.versions.resolve(asked).ok_or_else(|| error::no_version(&name.name, asked, region.name))
    }

    /// The refusal if nothing leads from one version to another.
    fn upgradable(&self, from: &str, to: &str) -> Result<(), Reply> {
        let offered = self.versions.upgrades(from);
        if from == to || offered.iter().any(|(version, _)| *version == to) {
            return Ok(());
        }
        let offered: Vec<&str> = offered.into_iter().map(|(version, _)| version).collect();
        let message = format!(
            "Upgrading Kubernetes version {from} to {to} is not allowed. Available upgrades: [{}]. Please see \
             https://aka.ms/aks-supported-k8s-ver for version details.",
            offered.join(" ")
        );
        Err(error::aks(400, "OperationNotAllowed", message))
    }

    /// The pools that are asked for as part of a cluster.
    fn pools(&self, cluster: &Cluster, properties: &Value) -> Result<Vec<AgentPool>, Reply> {
        let mut pools: Vec<AgentPool> = Vec::new();
        for asked in properties["agentPoolProfiles"].as_array().into_iter().flatten() {
            let name = asked["name"].as_str().unwrap_or_default();
            let pool = self.pool(cluster, name, asked)?;
            if pools.iter().any(|other| other.name == pool.name) {
                return Err(error::invalid("agentPoolProfile.name", "Agent pool names have to be unique"));
            }
            pools.push(pool);
        }
        Ok(pools)
    }

    /// A pool as it is asked for, in a cluster of that version.
    pub(super) fn pool(&self, cluster: &Cluster, name: &str, asked: &Value) -> Result<AgentPool, Reply> {
        let had = cluster.pool(name);
        let version = match asked["orchestratorVersion"].as_str().filter(|version| !version.is_empty()) {
            None => had.map_or(&cluster.version, |had| &had.wanted_version).clone(),
            // What it has, it may keep, though it is no longer offered.
            Some(asked) if had.is_some_and(|had| had.wanted_version == asked) => asked.to_owned(),
            Some(asked) => self.versions.resolve(asked).ok_or_else(|| error::no_pool_version(asked))?,
        };
        if order(&version) > order(&cluster.version) {
            let message = format!(
                "Node pool version {version} and control plane version {} are incompatible. Minor version of node pool \
                 version is bigger than control plane version. For more information, please check \
                 https://aka.ms/aks/UpgradeVersionRules",
                cluster.version
            );
            return Err(error::aks(400, "NodePoolMcVersionIncompatible", message));
        }
        let mut asked = asked.clone();
        for (field, value) in had.and_then(|had| had.config.as_object()).into_iter().flatten() {
            if asked[field].is_null() {
                asked[field] = value.clone();
            }
        }
        if let Some(had) = had
            && asked["count"].is_null()
        {
            asked["count"] = had.count.into();
        }
        let pool = AgentPool::asked(name, &asked, &version)?;
        if let Some(had) = had {
            for field in ["vmSize", "osType", "type", "osDiskSizeGB", "availabilityZones"] {
                if pool.config[field] != had.config[field] {
                    return Err(error::unchangeable(&format!("properties.{field}")));
                }
            }
        }
        if let Some(size) = pool.size()
            && pool.is_system()
            && (size.cpus < 2 || size.memory_mib < 4_096)
        {
            let message = format!(
                "The system node pool must use VM sku with more than 2 cores and 4GB memory. Current sku is {}.",
                size.name
            );
            return Err(error::aks(400, "SystemPoolSkuTooLow", message));
        }
        Ok(pool)
    }

    /// The refusal if so many more nodes cannot be had: sizes, stock, quotas.
    pub(super) fn within(&self, name: &ClusterName, region: Region, grown: &[(&AgentPool, u32)]) -> Result<(), Reply> {
        let Some(subscription) = self.subscription(&name.subscription) else { return Ok(()) };
        let is_offered = |size: &Size| {
            size.is_in(region.name)
                && !subscription.restricted.contains(&(region.name.to_owned(), size.name.to_owned()))
        };
        for (pool, more) in grown.iter().filter(|(_, more)| *more > 0) {
            let asked = pool.config["vmSize"].as_str().unwrap_or_default();
            let size = pool.size().filter(is_offered).ok_or_else(|| {
                let offered: Vec<&str> = Size::all().filter(is_offered).map(|size| size.name).collect();
                error::no_size(asked, region.name, &offered)
            })?;
            if *more > 0 && subscription.stockouts.contains(&(region.name.to_owned(), size.name.to_owned())) {
                return Err(error::no_stock(size.name, region.name));
            }
        }
        let wanted: Vec<(&str, u64)> = grown.iter().map(|(pool, more)| pool.usage(*more)).collect();
        let used = self.used(&name.subscription, region.name);
        let sum = |usage: &[(&str, u64)], family: Option<&str>| -> u64 {
            usage.iter().filter(|(of, _)| family.is_none_or(|family| family == *of)).map(|(_, cpus)| cpus).sum()
        };
        let (limit, all) = (subscription.limit(region.name, "cores"), sum(&wanted, None));
        if all > 0 && sum(&used, None) + all > limit {
            return Err(error::cores(name, region.name, limit, sum(&used, None), all));
        }
        for (family, _) in &wanted {
            let (limit, used) = (subscription.limit(region.name, family), sum(&used, Some(family)));
            let more = sum(&wanted, Some(family));
            if more > 0 && used + more > limit {
                return Err(error::family(family, region.name, limit.saturating_sub(used), more));
            }
        }
        Ok(())
    }

    /// The vCPUs that a subscription uses in a region, by family, a family as often as there are pools.
    pub(super) fn used(&self, subscription: &str, region: &str) -> Vec<(&'static str, u64)> {
        let there = self
            .clusters
            .values()
            .filter(|cluster| cluster.name.is_in(subscription, None) && cluster.location == region);
        there.flat_map(Cluster::usage).collect()
    }
}

/// The refusal if a cluster is stopped: nothing of it can be changed then.
pub(super) fn running(cluster: &Cluster) -> Result<(), Reply> {
    if cluster.power != "Stopped" {
        return Ok(());
    }
    let message = "Operation is not allowed because the managed cluster is stopped. Please start it first.";
    let body = json!({"code": "OperationNotAllowed", "details": null, "message": message, "subcode": ""});
    Err(Reply::json(400, body))
}
