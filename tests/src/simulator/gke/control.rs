//! What tests and people do with the provider besides calling it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    account::ServiceAccount,
    cluster::{Cluster, ClusterName, condition},
    operation::Effect,
    provider::Gke,
};
use crate::simulator::{Simulator, fault::Twist, provider::Moment};

/// Something that happens without a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A cluster fails, for good (`ERROR`) or until somebody acts (`DEGRADED`).
    Breaks {
        cluster: ClusterName,
        #[serde(default = "error")]
        status: String,
        message: String,
    },
    /// A cluster and its pools are well again.
    Recovers { cluster: ClusterName },
    /// A pool of a cluster fails; the cluster itself runs.
    PoolBreaks { cluster: ClusterName, pool: String, message: String },
    /// A cluster is gone from one moment to the next.
    Vanishes { cluster: ClusterName },
    /// Somebody else begins to delete a cluster.
    IsDeleted { cluster: ClusterName },
    /// Somebody else sets the labels of a cluster.
    Labels { cluster: ClusterName, labels: Value },
    /// The control plane begins to be upgraded by itself, as may happen right after a creation.
    Upgrades { cluster: ClusterName, version: String },
    /// A cluster shows a status that nobody has heard of.
    Shows { cluster: ClusterName, status: String },
    /// A zone cannot be reached, or can again.
    Zone { zone: String, is_down: bool },
    /// A machine type is out of stock in a zone, or is there again.
    Stock { project: String, zone: String, machine: String, is_out: bool },
    /// A region is closed to a project, or open.
    Region { project: String, region: String, is_closed: bool },
    /// A version is no longer offered.
    VersionGoes { version: String },
    /// A quota of a region is this.
    Quota { project: String, region: String, metric: String, limit: f64 },
    /// What is switched on in a project.
    Project { project: String, container: bool, compute: bool, billing: bool },
    /// A service account may do only this; everything if nothing is named.
    Permissions { email: String, permissions: Option<Vec<String>> },
    /// A service account is disabled, its key deleted, or both taken back.
    Account { email: String, is_disabled: bool, key_is_deleted: bool },
    /// Every token ends now.
    TokensExpire,
}

fn error() -> String {
    "ERROR".to_owned()
}

impl Gke {
    /// Has something happen.
    ///
    /// # Errors
    /// What it happens to is not there.
    pub fn happen(&mut self, event: Event, moment: &Moment) -> Result<(), String> {
        match event {
            Event::Breaks { cluster, status, message } => {
                let broken = self.changed(&cluster)?;
                broken.status = status;
                broken.conditions = vec![condition("UNKNOWN", &message)];
                self.abandon(&cluster);
            }
            Event::Recovers { cluster } => {
                let well = self.changed(&cluster)?;
                well.conditions.clear();
                "RUNNING".clone_into(&mut well.status);
                for pool in &mut well.pools {
                    "RUNNING".clone_into(&mut pool.status);
                    pool.conditions.clear();
                }
                self.abandon(&cluster);
                self.serve(&cluster);
            }
            Event::PoolBreaks { cluster, pool, message } => {
                let pool = self.changed(&cluster)?.pool_mut(&pool).ok_or("there is no such pool")?;
                "RUNNING_WITH_ERROR".clone_into(&mut pool.status);
                pool.conditions = vec![condition("UNKNOWN", &message)];
            }
            Event::Vanishes { cluster } => {
                self.changed(&cluster)?;
                self.abandon(&cluster);
                self.clusters.remove(&cluster);
                self.apis.remove(&cluster);
            }
            Event::IsDeleted { cluster } => {
                self.changed(&cluster)?;
                self.abandon(&cluster);
                self.started(&cluster, Effect::DeleteCluster, moment)?;
            }
            Event::Labels { cluster, labels } => self.changed(&cluster)?.config["resourceLabels"] = labels,
            Event::Upgrades { cluster, version } => {
                self.changed(&cluster)?;
                self.started(&cluster, Effect::UpgradeMaster(version), moment)?;
            }
            Event::Shows { cluster, status } => self.changed(&cluster)?.status = status,
            Event::Zone { zone, is_down } => {
                if is_down {
                    self.zones_down.insert(zone);
                } else {
                    self.zones_down.remove(&zone);
                }
            }
            Event::Stock { project, zone, machine, is_out } => {
                let stockouts = &mut self.project(&project).stockouts;
                let _was_there =
                    if is_out { stockouts.insert((zone, machine)) } else { stockouts.remove(&(zone, machine)) };
            }
            Event::Region { project, region, is_closed } => {
                let closed = &mut self.project(&project).closed_regions;
                let _was_there = if is_closed { closed.insert(region) } else { closed.remove(&region) };
            }
            Event::VersionGoes { version } => {
                self.versions.valid.retain(|other| *other != version);
                for (_, _, valid) in &mut self.versions.channels {
                    valid.retain(|other| *other != version);
                }
            }
            Event::Quota { project, region, metric, limit } => {
                self.project(&project).set_quota(&region, &metric, limit)
            }
            Event::Project { project, container, compute, billing } => {
                let project = self.project(&project);
                project.container_is_enabled = container;
                project.compute_is_enabled = compute;
                project.has_billing = billing;
            }
            Event::Permissions { email, permissions } => {
                self.accounts.get(&email).ok_or("there is no such account")?;
                let permissions = permissions.map(|permissions| permissions.into_iter().collect());
                self.accounts.change(&email, |account| account.permissions = permissions);
            }
            Event::Account { email, is_disabled, key_is_deleted } => {
                self.accounts.get(&email).ok_or("there is no such account")?;
                self.accounts.change(&email, |account| {
                    account.is_disabled = is_disabled;
                    account.key_is_deleted = key_is_deleted;
                });
            }
            Event::TokensExpire => self.accounts.expire_tokens(),
        }
        Ok(())
    }

    /// A cluster that is about to change.
    fn changed(&mut self, name: &ClusterName) -> Result<&mut Cluster, String> {
        if !self.clusters.contains_key(name) {
            return Err(format!("there is no {name}"));
        }
        self.remember(name);
        self.clusters.get_mut(name).ok_or_else(|| format!("there is no {name}"))
    }

    /// What is under way with a cluster comes to nothing.
    fn abandon(&mut self, name: &ClusterName) {
        let operation = self.clusters.get_mut(name).and_then(|cluster| cluster.operation.take());
        if let Some(operation) = operation.and_then(|operation| self.operations.get_mut(&operation)) {
            operation.is_done = true;
            operation.error = Some(("ABORTED".to_owned(), "The operation was aborted.".to_owned()));
        }
    }

    fn started(&mut self, name: &ClusterName, effect: Effect, moment: &Moment) -> Result<(), String> {
        let started = self.start(name, effect, moment, &Twist::default());
        started.map(drop).map_err(|refusal| format!("{refusal:?}"))
    }

    /// Puts a cluster there that somebody else has made, and that runs: `asked` is what a caller would have sent.
    ///
    /// # Panics
    /// The service would not take it.
    pub fn plant(&mut self, name: &ClusterName, asked: &Value, moment: &Moment) {
        let version = asked["initialClusterVersion"].as_str().unwrap_or_default();
        let version = self.versions.resolve(version, None).unwrap();
        let mut asked = asked.clone();
        asked["name"] = name.name.clone().into();
        if asked["nodePools"].is_null() && asked["initialNodeCount"].is_null() {
            asked["initialNodeCount"] = 1.into();
        }
        self.project(&name.project);
        let mut cluster = Cluster::asked(name.clone(), &asked, &version, moment.now).unwrap();
        cluster.is_planted = true;
        "RUNNING".clone_into(&mut cluster.status);
        cluster.pools.iter_mut().for_each(|pool| "RUNNING".clone_into(&mut pool.status));
        self.remember(name);
        self.clusters.insert(name.clone(), Cluster { change: self.changes, ..cluster });
        self.serve(name);
    }
}

impl Simulator<Gke> {
    /// Where tokens are to be had.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/token", self.url)
    }

    /// A service account with every permission in a project, both made if they are not there.
    #[must_use]
    pub fn service_account(&self, name: &str, project: &str) -> ServiceAccount {
        self.with(|gke, _| {
            gke.project(project);
            let email = format!("{name}@{project}.iam.gserviceaccount.com");
            gke.accounts.get(&email).unwrap_or_else(|| gke.accounts.add(name, project))
        })
    }

    /// Has something happen.
    ///
    /// # Panics
    /// What it happens to is not there.
    pub fn happen(&self, event: Event) {
        self.with(|gke, moment| gke.happen(event, moment)).unwrap();
    }

    /// Puts a cluster there that somebody else has made.
    ///
    /// # Panics
    /// The service would not take it.
    pub fn plant(&self, name: &ClusterName, asked: &Value) {
        self.with(|gke, moment| gke.plant(name, asked, moment));
    }

    /// A cluster as the API shows it, without its etag, which differs with every change that changes nothing.
    #[must_use]
    pub fn cluster(&self, name: &ClusterName) -> Option<Value> {
        self.with(|gke, _| {
            let mut shown = gke.clusters.get(name)?.to_json(gke.number(&name.project));
            for field in ["etag", "labelFingerprint"] {
                shown[field] = json!(null);
            }
            Some(shown)
        })
    }

    /// Every cluster there is that was not planted.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterName> {
        self.with(|gke, _| gke.clusters.values().filter(|it| !it.is_planted).map(|it| it.name.clone()).collect())
    }
}
