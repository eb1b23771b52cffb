//! What tests and people do with the provider besides calling it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    account::Principal,
    catalog::Region,
    cluster::{Cluster, ClusterName},
    operation::{Effect, Operation, Outcome},
    provider::Aks,
    subscription::{Registration, Subscription},
};
use crate::simulator::{Simulator, fault::Twist, provider::Moment};

/// Something that happens without a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A cluster fails.
    Breaks {
        cluster: ClusterName,
        #[serde(default = "internal")]
        code: String,
        message: String,
    },
    /// A cluster and its pools are well again; also one whose creation was said to have failed.
    Recovers { cluster: ClusterName },
    /// A pool of a cluster fails; the cluster itself does not.
    PoolBreaks { cluster: ClusterName, pool: String, message: String },
    /// A cluster is gone from one moment to the next.
    Vanishes { cluster: ClusterName },
    /// Somebody else begins to delete a cluster.
    IsDeleted { cluster: ClusterName },
    /// Somebody else sets the tags of a cluster.
    Tags { cluster: ClusterName, tags: BTreeMap<String, String> },
    /// Somebody else, or the upgrade channel, begins to upgrade a cluster.
    Upgrades { cluster: ClusterName, version: String },
    /// What is under way with a cluster does not end.
    Stalls { cluster: ClusterName },
    /// A cluster shows a state that nobody has heard of.
    Shows { cluster: ClusterName, state: String },
    /// The status of what is under way with a cluster says this.
    Says { cluster: ClusterName, status: String },
    /// The certificates of a cluster are rotated: what was handed out is no good any more.
    Rotates { cluster: ClusterName },
    /// A VM size has run out in a region, or is there again.
    Stock { subscription: String, location: String, size: String, is_out: bool },
    /// A VM size may not be used by a subscription in a region, or may again.
    Restriction { subscription: String, location: String, size: String, is_restricted: bool },
    /// A region takes no new customers, or does again.
    Region { subscription: String, location: String, is_closed: bool },
    /// A version is no longer offered.
    VersionGoes { version: String },
    /// A quota of a region is this: `cores`, `ManagedClusters`, or a family.
    Quota { subscription: String, location: String, name: String, limit: u64 },
    /// Whether a resource provider is registered in a subscription.
    Registration { subscription: String, namespace: String, is_registered: bool },
    /// Whether a subscription may only be read, as nobody pays for it.
    Subscription { subscription: String, is_disabled: bool },
    /// A resource group is made, or deleted with all that is in it.
    Group { subscription: String, group: String, location: Option<String> },
    /// A principal may do only this; everything if nothing is named.
    Permissions { client_id: String, permissions: Option<Vec<String>> },
    /// A principal is disabled, its secret expired or replaced, or all taken back.
    Principal {
        client_id: String,
        is_disabled: bool,
        secret_is_expired: bool,
        #[serde(default)]
        secret: Option<String>,
    },
    /// Every token ends now.
    TokensExpire,
    /// In which form AKS refuses: that of Resource Manager, or its own.
    ErrorForm { is_enveloped: bool },
}

fn internal() -> String {
    "InternalOperationError".to_owned()
}

impl Aks {
    /// Has something happen.
    ///
    /// # Errors
    /// What it happens to is not there.
    pub fn happen(&mut self, event: Event, moment: &Moment) -> Result<(), String> {
        match event {
            Event::Breaks { cluster, code, message } => {
                self.abandon(&cluster);
                let broken = self.changed(&cluster)?;
                "Failed".clone_into(&mut broken.state);
                broken.error = Some((code, message));
            }
            Event::Recovers { cluster } => self.recover(&cluster)?,
            Event::PoolBreaks { cluster, pool, message } => {
                let change = self.changes + 1;
                let pool = self.changed(&cluster)?.pool_mut(&pool).ok_or("there is no such pool")?;
                "Failed".clone_into(&mut pool.state);
                pool.error = Some((internal(), message));
                pool.change = change;
            }
            Event::Vanishes { cluster } => {
                self.changed(&cluster)?;
                self.abandon(&cluster);
                self.forget(&cluster);
            }
            Event::IsDeleted { cluster } => {
                self.changed(&cluster)?;
                self.abandon(&cluster);
                self.start(&cluster, Effect::Delete, moment, &Twist::default());
            }
            Event::Tags { cluster, tags } => self.changed(&cluster)?.config["tags"] = json!(tags),
            Event::Upgrades { cluster, version } => {
                let upgraded = self.changed(&cluster)?;
                upgraded.config["properties"]["kubernetesVersion"] = version.into();
                self.start(&cluster, Effect::Upgrade, moment, &Twist::default());
            }
            Event::Stalls { cluster } => {
                let ends = moment.now + chrono::TimeDelta::days(30);
                self.under_way(&cluster)?.ends = ends;
            }
            Event::Shows { cluster, state } => self.changed(&cluster)?.state = state,
            Event::Says { cluster, status } => self.under_way(&cluster)?.word = Some(status),
            Event::Rotates { cluster } => {
                self.changed(&cluster)?.token = Uuid::new_v4().simple().to_string();
                self.serve(&cluster);
            }
            Event::VersionGoes { version } => {
                for minor in &mut self.versions.minors {
                    minor.patches.retain(|patch| *patch != version);
                }
                self.versions.minors.retain(|minor| minor.version != version && !minor.patches.is_empty());
            }
            Event::Permissions { client_id, permissions } => {
                self.accounts.get(&client_id).ok_or("there is no such principal")?;
                let permissions = permissions.map(|permissions| permissions.into_iter().collect());
                self.accounts.change(&client_id, |principal| principal.permissions = permissions);
            }
            Event::Principal { client_id, is_disabled, secret_is_expired, secret } => {
                self.accounts.get(&client_id).ok_or("there is no such principal")?;
                self.accounts.change(&client_id, |principal| {
                    principal.is_disabled = is_disabled;
                    principal.secret_is_expired = secret_is_expired;
                    if let Some(secret) = secret {
                        principal.secret = secret;
                    }
                });
            }
            Event::TokensExpire => self.accounts.expire_tokens(),
            Event::ErrorForm { is_enveloped } => self.is_enveloped = is_enveloped,
            of_subscription => self.happen_to_subscription(of_subscription)?,
        }
        Ok(())
    }

    fn happen_to_subscription(&mut self, event: Event) -> Result<(), String> {
        let set = |places: &mut BTreeSet<(String, String)>, place: (String, String), is_in: bool| {
            let _was_there = if is_in { places.insert(place) } else { places.remove(&place) };
        };
        match event {
            Event::Stock { subscription, location, size, is_out } => {
                set(&mut self.find(&subscription)?.stockouts, (location, size), is_out);
            }
            Event::Restriction { subscription, location, size, is_restricted } => {
                set(&mut self.find(&subscription)?.restricted, (location, size), is_restricted);
            }
            Event::Region { subscription, location, is_closed } => {
                let closed = &mut self.find(&subscription)?.closed_regions;
                let _was_there = if is_closed { closed.insert(location) } else { closed.remove(&location) };
            }
            Event::Quota { subscription, location, name, limit } => {
                self.find(&subscription)?.set_quota(&location, &name, limit);
            }
            Event::Registration { subscription, namespace, is_registered } => {
                let state = if is_registered { Registration::Registered } else { Registration::NotRegistered };
                self.find(&subscription)?.registrations.insert(namespace, state);
            }
            Event::Subscription { subscription, is_disabled } => self.find(&subscription)?.is_disabled = is_disabled,
            Event::Group { subscription, group, location: Some(location) } => {
                self.find(&subscription)?.add_group(&group, &location);
            }
            Event::Group { subscription, group, location: None } => {
                self.find(&subscription)?.remove_group(&group);
                let there = self.clusters.keys().filter(|name| name.is_in(&subscription, Some(&group)));
                for name in there.cloned().collect::<Vec<_>>() {
                    self.changed(&name)?;
                    self.abandon(&name);
                    self.forget(&name);
                }
            }
            other => return Err(format!("{other:?} is not about a subscription")),
        }
        Ok(())
    }

    fn find(&mut self, subscription: &str) -> Result<&mut Subscription, String> {
        self.subscriptions.get_mut(&subscription.to_lowercase()).ok_or_else(|| format!("there is no {subscription}"))
    }

    /// A cluster that is about to change.
    fn changed(&mut self, name: &ClusterName) -> Result<&mut Cluster, String> {
        if !self.clusters.contains_key(name) {
            return Err(format!("there is no {name}"));
        }
        self.remember(name);
        self.clusters.get_mut(name).ok_or_else(|| format!("there is no {name}"))
    }

    fn under_way(&mut self, name: &ClusterName) -> Result<&mut Operation, String> {
        let operation = self.clusters.get(name).and_then(|cluster| cluster.operation.clone());
        let operation = operation.and_then(|operation| self.operations.get_mut(&operation));
        operation.ok_or_else(|| format!("nothing is under way with {name}"))
    }

    /// What is under way with a cluster comes to nothing.
    fn abandon(&mut self, name: &ClusterName) {
        if let Ok(operation) = self.under_way(name) {
            let message = "This operation has been preempted by another operation.".to_owned();
            operation.outcome = Some(Outcome::Failed("OperationPreempted".to_owned(), message));
        }
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.operation = None;
        }
    }

    fn recover(&mut self, name: &ClusterName) -> Result<(), String> {
        self.abandon(name);
        let change = self.changes + 1;
        let well = self.changed(name)?;
        "Succeeded".clone_into(&mut well.state);
        well.error = None;
        for pool in &mut well.pools {
            "Succeeded".clone_into(&mut pool.state);
            pool.error = None;
            pool.nodes = pool.count;
            pool.change = change;
        }
        self.serve(name);
        Ok(())
    }

    /// Puts a cluster there that somebody else has made, and that runs: `asked` is what a caller would have sent, and may lack
    /// what every cluster needs. Its resource group is made if it is not there.
    ///
    /// # Panics
    /// There is no such subscription, or the service would not take the cluster.
    pub fn plant(&mut self, name: &ClusterName, asked: &Value, moment: &Moment) {
        let mut asked = asked.clone();
        if asked["location"].is_null() {
            asked["location"] = "westeurope".into();
        }
        if asked["identity"].is_null() {
            asked["identity"] = json!({"type": "SystemAssigned"});
        }
        if asked["properties"]["dnsPrefix"].is_null() {
            asked["properties"]["dnsPrefix"] = "planted".into();
        }
        if asked["properties"]["agentPoolProfiles"].is_null() {
            asked["properties"]["agentPoolProfiles"] =
                json!([{"name": "agentpool", "mode": "System", "vmSize": "Standard_D2s_v5", "count": 1}]);
        }
        let region = Region::named(asked["location"].as_str().unwrap_or_default()).unwrap();
        let somebody = self.accounts.all().into_iter().next().unwrap_or_else(|| {
            self.accounts.add(&Uuid::nil().to_string(), "", &Uuid::nil().to_string(), &name.subscription)
        });
        let subscription = self.subscriptions.get_mut(&name.subscription.to_lowercase()).unwrap();
        if subscription.group(&name.group).is_none() {
            subscription.add_group(&name.group, region.name);
        }
        let made = self.new_cluster(name, region, &asked, &somebody, moment);
        let mut cluster = made.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        cluster.is_planted = true;
        "Succeeded".clone_into(&mut cluster.state);
        for pool in &mut cluster.pools {
            "Succeeded".clone_into(&mut pool.state);
            pool.nodes = pool.count;
        }
        self.remember(name);
        if let Some(subscription) = self.subscriptions.get_mut(&name.subscription.to_lowercase()) {
            subscription.put_group(cluster.node_group(), region.name, Some(name.id()));
        }
        self.clusters.insert(name.clone(), Cluster { change: self.changes, ..cluster });
        self.serve(name);
    }
}

impl Simulator<Aks> {
    /// A service principal that may do everything in a subscription, and the subscription with an empty resource group `group` in
    /// West Europe; all are made if they are not there. Ids are made of `number`.
    #[must_use]
    pub fn principal(&self, number: u32, group: &str) -> Principal {
        let id = |kind: char| format!("{number:08x}-0000-4000-8000-00000000000{kind}");
        let (tenant, subscription, client) = (id('a'), id('1'), id('c'));
        self.with(|aks, _| {
            let there = aks.add_subscription(&subscription, &tenant);
            if there.group(group).is_none() {
                there.add_group(group, "westeurope");
            }
            let secret = format!("sim~{:x}", Uuid::new_v4().as_u128());
            aks.accounts.get(&client).unwrap_or_else(|| aks.accounts.add(&client, &secret, &tenant, &subscription))
        })
    }

    /// Has something happen.
    ///
    /// # Panics
    /// What it happens to is not there.
    pub fn happen(&self, event: Event) {
        self.with(|aks, moment| aks.happen(event, moment)).unwrap();
    }

    /// Puts a cluster there that somebody else has made.
    ///
    /// # Panics
    /// The service would not take it.
    pub fn plant(&self, name: &ClusterName, asked: &Value) {
        self.with(|aks, moment| aks.plant(name, asked, moment));
    }

    /// A cluster as the API shows it, without its eTags, which differ with every change that changes nothing.
    #[must_use]
    pub fn cluster(&self, name: &ClusterName) -> Option<Value> {
        self.with(|aks, _| {
            let mut shown = aks.shown(name)?;
            shown["eTag"] = Value::Null;
            for pool in shown["properties"]["agentPoolProfiles"].as_array_mut().into_iter().flatten() {
                pool["eTag"] = Value::Null;
            }
            Some(shown)
        })
    }

    /// Every cluster there is that was not planted.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterName> {
        self.with(|aks, _| aks.clusters.values().filter(|it| !it.is_planted).map(|it| it.name.clone()).collect())
    }
}
