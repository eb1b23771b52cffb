//! A customer's subscription: its resource groups, what is registered in it, its quotas.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{API_VERSION, catalog::Region};

/// The namespaces of resource providers that are simulated.
pub(super) const NAMESPACES: [&str; 2] = ["Microsoft.ContainerService", "Microsoft.Compute"];

/// How many clusters a subscription may have in a region unless it is told otherwise.
pub(super) const CLUSTERS: u64 = 1_000;
/// The quota of all vCPUs of a region, and that of each family.
pub(super) const CORES: u64 = 10_000;

/// A resource group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceGroup {
    pub name: String,
    pub location: String,
    pub tags: BTreeMap<String, String>,
    /// The id of the cluster whose nodes are in it.
    pub managed_by: Option<String>,
}

/// Whether a resource provider may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Registration {
    #[default]
    NotRegistered,
    /// It will be at that time.
    Registering(DateTime<Utc>),
    Registered,
}

/// A subscription.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subscription {
    pub id: String,
    pub tenant: String,
    /// By their names in small letters.
    groups: BTreeMap<String, ResourceGroup>,
    pub registrations: BTreeMap<String, Registration>,
    /// Nobody pays: it can be read, and nothing else.
    pub is_disabled: bool,
    /// Regions that take no new customers.
    pub closed_regions: BTreeSet<String>,
    /// Limits that are not the usual ones, by region and name: `cores`, `ManagedClusters`, or a family.
    pub quotas: BTreeMap<String, BTreeMap<String, u64>>,
    /// VM sizes of which there are none left at the moment, by region.
    pub stockouts: BTreeSet<(String, String)>,
    /// VM sizes that the subscription may not use, by region.
    pub restricted: BTreeSet<(String, String)>,
}

impl Subscription {
    pub(super) fn new(id: &str, tenant: &str) -> Self {
        let registered = |namespace: &str| (namespace.to_owned(), Registration::Registered);
        Self {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            groups: BTreeMap::new(),
            registrations: NAMESPACES.into_iter().map(registered).collect(),
            is_disabled: false,
            closed_regions: BTreeSet::new(),
            quotas: BTreeMap::new(),
            stockouts: BTreeSet::new(),
            restricted: BTreeSet::new(),
        }
    }

    /// Makes a resource group, or moves it.
    pub fn add_group(&mut self, name: &str, location: &str) {
        self.put_group(name, location, None);
    }

    pub(super) fn put_group(&mut self, name: &str, location: &str, managed_by: Option<String>) {
        let group =
            ResourceGroup { name: name.to_owned(), location: location.to_owned(), tags: BTreeMap::new(), managed_by };
        self.groups.insert(name.to_lowercase(), group);
    }

    pub fn remove_group(&mut self, name: &str) {
        self.groups.remove(&name.to_lowercase());
    }

    /// The resource group of that name, which is the same in capitals and not.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&ResourceGroup> {
        self.groups.get(&name.to_lowercase())
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &ResourceGroup> {
        self.groups.values()
    }

    /// Limits a quota of a region: `cores`, `ManagedClusters`, `standardDSv5Family`…
    pub fn set_quota(&mut self, region: &str, name: &str, limit: u64) {
        self.quotas.entry(region.to_owned()).or_default().insert(name.to_owned(), limit);
    }

    pub(super) fn limit(&self, region: &str, name: &str) -> u64 {
        let usual = if name == "ManagedClusters" { CLUSTERS } else { CORES };
        self.quotas.get(region).and_then(|own| own.get(name)).copied().unwrap_or(usual)
    }

    pub(super) fn is_registered(&self, namespace: &str) -> bool {
        self.registrations.get(namespace) == Some(&Registration::Registered)
    }

    /// Registrations that are through by then.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) {
        for registration in self.registrations.values_mut() {
            if matches!(registration, Registration::Registering(until) if *until <= now) {
                *registration = Registration::Registered;
            }
        }
    }

    /// The subscription as Resource Manager shows it.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": format!("/subscriptions/{}", self.id), "subscriptionId": self.id, "tenantId": self.tenant,
            "displayName": "Simulated", "state": if self.is_disabled { "Disabled" } else { "Enabled" },
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off",
            },
            "authorizationSource": "RoleBased",
        })
    }

    pub(super) fn group_json(&self, group: &ResourceGroup) -> Value {
        let mut shown = json!({
            "id": format!("/subscriptions/{}/resourceGroups/{}", self.id, group.name), "name": group.name,
            "type": "Microsoft.Resources/resourceGroups", "location": group.location, "tags": group.tags,
            "properties": {"provisioningState": "Succeeded"},
        });
        if let Some(cluster) = &group.managed_by {
            shown["managedBy"] = cluster.clone().into();
        }
        shown
    }

    /// A resource provider as Resource Manager shows it.
    pub(super) fn provider_json(&self, namespace: &str) -> Value {
        let registration = self.registrations.get(namespace).cloned().unwrap_or_default();
        let state = match registration {
            Registration::NotRegistered => "NotRegistered",
            Registration::Registering(_) => "Registering",
            Registration::Registered => "Registered",
        };
        let locations: Vec<&str> = Region::all().map(|region| region.title).collect();
        let kinds: &[(&str, &[&str])] = if namespace == NAMESPACES[0] {
            &[("managedClusters", &[API_VERSION]), ("locations/kubernetesVersions", &[API_VERSION])]
        } else {
            &[("virtualMachines", &["2024-07-01"]), ("skus", &["2021-07-01"]), ("locations/usages", &["2024-07-01"])]
        };
        let kind = |(name, versions): &(&str, &[&str])| json!({"resourceType": name, "locations": locations, "apiVersions": versions});
        json!({
            "id": format!("/subscriptions/{}/providers/{namespace}", self.id), "namespace": namespace,
            "registrationPolicy": "RegistrationRequired", "registrationState": state,
            "resourceTypes": kinds.iter().map(kind).collect::<Vec<_>>(),
        })
    }
}
