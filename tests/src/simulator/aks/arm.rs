//! What Resource Manager and the compute provider say besides: subscriptions, resource groups, registrations, regions, sizes, quotas.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    account::Principal,
    catalog::{Region, Size, families},
    cluster::Cluster,
    error,
    operation::Operation,
    provider::Aks,
    subscription::{NAMESPACES, Registration, Subscription},
};
use crate::simulator::{
    call::{Call, Reply},
    provider::Moment,
};

/// How long a registration takes.
const REGISTERING: TimeDelta = TimeDelta::minutes(1);

impl Aks {
    pub(super) fn arm(&mut self, call: &Call, caller: &Principal, moment: &Moment) -> Result<Reply, Reply> {
        let id = call.parameter("subscription");
        let subscription = self.subscription(id).ok_or_else(|| error::no_subscription(id))?;
        let answer = match call.kind() {
            "subscriptions.get" => subscription.to_json(),
            "subscriptions.list_locations" => {
                let regions = Region::all().map(|region| location(subscription, region));
                json!({"value": regions.collect::<Vec<_>>()})
            }
            "resource_groups.list" => {
                let groups = subscription.groups().map(|group| subscription.group_json(group));
                json!({"value": groups.collect::<Vec<_>>()})
            }
            "resource_groups.get" => {
                let name = call.parameter("group");
                let group = subscription.group(name).ok_or_else(|| error::no_group(name))?;
                subscription.group_json(group)
            }
            "permissions.list_for_resource_group" => {
                let name = call.parameter("group");
                subscription.group(name).ok_or_else(|| error::no_group(name))?;
                let actions =
                    caller.permissions.as_ref().map_or_else(|| json!(["*"]), |permissions| json!(permissions));
                json!({"value": [{"actions": actions, "notActions": [], "dataActions": [], "notDataActions": []}]})
            }
            "providers.get" => subscription.provider_json(namespace(call)?),
            "providers.register" => return self.register(call, moment),
            "resource_skus.list" => skus(subscription, call.request.query("$filter"))?,
            "usage.list" => {
                let region = call.parameter("location");
                let region = Region::named(region).ok_or_else(|| {
                    error::arm(
                        400,
                        "NoRegisteredProviderFound",
                        format!("No registered resource provider found for location '{region}'."),
                    )
                })?;
                self.usages(subscription, region)
            }
            "operations.get" => return self.operation(call).map(|operation| operation.shown(moment)),
            "operations.result" => return self.operation(call).map(|operation| operation.result(call, moment)),
            other => return Err(error::unimplemented(other)),
        };
        Ok(Reply::ok(answer))
    }

    fn register(&mut self, call: &Call, moment: &Moment) -> Result<Reply, Reply> {
        let (id, namespace) = (call.parameter("subscription"), namespace(call)?);
        self.changes += 1;
        let subscription = self.subscriptions.get_mut(&id.to_lowercase());
        let subscription = subscription.ok_or_else(|| error::no_subscription(id))?;
        if !subscription.is_registered(namespace) {
            let until = moment.after(REGISTERING);
            subscription.registrations.insert(namespace.to_owned(), Registration::Registering(until));
        }
        Ok(Reply::ok(subscription.provider_json(namespace)))
    }

    fn operation(&self, call: &Call) -> Result<&Operation, Reply> {
        let (subscription, id) = (call.parameter("subscription"), call.parameter("operation"));
        let found = self.operations.get(id).filter(|operation| operation.cluster.is_in(subscription, None));
        found.ok_or_else(|| error::aks(404, "NotFound", format!("Operation {id} is not found.")))
    }

    /// The quotas of a region and what is used of each.
    fn usages(&self, subscription: &Subscription, region: Region) -> Value {
        let used = self.used(&subscription.id, region.name);
        let sum = |family: Option<&str>| -> u64 {
            used.iter().filter(|(of, _)| family.is_none_or(|family| family == *of)).map(|(_, cpus)| cpus).sum()
        };
        let usage = |name: &str, title: &str, used: u64| {
            json!({
                "unit": "Count", "currentValue": used, "limit": subscription.limit(region.name, name),
                "name": {"value": name, "localizedValue": title},
            })
        };
        let there = self
            .clusters
            .values()
            .filter(|cluster: &&Cluster| cluster.name.is_in(&subscription.id, None) && cluster.location == region.name);
        let nodes: u64 = there.map(|cluster| u64::from(cluster.nodes())).sum();
        let mut value = vec![
            usage("cores", "Total Regional vCPUs", sum(None)),
            usage("virtualMachines", "Virtual Machines", nodes),
        ];
        for family in families() {
            let words = family.trim_start_matches("standard").trim_end_matches("Family").trim_end();
            value.push(usage(family, &format!("Standard {words} Family vCPUs"), sum(Some(family))));
        }
        json!({"value": value})
    }
}

/// The namespace that a call is about, as it is written.
fn namespace(call: &Call) -> Result<&'static str, Reply> {
    let asked = call.parameter("namespace");
    NAMESPACES.into_iter().find(|namespace| namespace.eq_ignore_ascii_case(asked)).ok_or_else(|| {
        let message = format!("The resource namespace '{asked}' is invalid.");
        error::arm(404, "InvalidResourceNamespace", message)
    })
}

fn location(subscription: &Subscription, region: Region) -> Value {
    let Region { name, title, geography, zones } = region;
    let metadata = json!({
        "regionType": "Physical", "regionCategory": if zones.is_empty() { "Other" } else { "Recommended" },
        "geographyGroup": geography,
    });
    json!({
        "id": format!("/subscriptions/{}/locations/{name}", subscription.id), "name": name, "type": "Region",
        "displayName": title, "regionalDisplayName": format!("({geography}) {title}"), "metadata": metadata,
    })
}

/// What the compute provider has where: VM sizes, and disks, which are none.
fn skus(subscription: &Subscription, filter: Option<&str>) -> Result<Value, Reply> {
    let wanted = match filter {
        None => None,
        Some(filter) => {
            let quoted = filter.strip_prefix("location eq '").and_then(|rest| rest.strip_suffix('\''));
            let message = format!("The filter '{filter}' is not supported: location eq '...' is.");
            Some(quoted.ok_or_else(|| error::arm(400, "InvalidFilter", message))?.to_lowercase())
        }
    };
    let mut value = Vec::new();
    for region in Region::all().filter(|region| wanted.as_deref().is_none_or(|wanted| wanted == region.name)) {
        value.push(json!({
            "resourceType": "disks", "name": "Premium_LRS", "tier": "Premium", "size": "P10",
            "locations": [region.name],
        }));
        let offered = Size::all().filter(|size| size.is_in(region.name));
        value.extend(offered.map(|size| sku(subscription, region, size)));
    }
    Ok(json!({"value": value}))
}

fn sku(subscription: &Subscription, region: Region, size: Size) -> Value {
    let capability = |name: &str, value: String| json!({"name": name, "value": value});
    let is_restricted = subscription.restricted.contains(&(region.name.to_owned(), size.name.to_owned()));
    let restrictions = if is_restricted {
        json!([{
            "type": "Location", "values": [region.name], "restrictionInfo": {"locations": [region.name]},
            "reasonCode": "NotAvailableForSubscription",
        }])
    } else {
        json!([])
    };
    json!({
        "resourceType": "virtualMachines", "name": size.name, "tier": "Standard",
        "size": size.name.trim_start_matches("Standard_"), "family": size.family, "locations": [region.name],
        "locationInfo": [{"location": region.name, "zones": region.zones}],
        "capabilities": [
            capability("vCPUs", size.cpus.to_string()),
            capability("MemoryGB", (f64::from(size.memory_mib) / 1_024.0).to_string()),
            capability("CpuArchitectureType", if size.is_arm() { "Arm64".to_owned() } else { "x64".to_owned() }),
            capability("PremiumIO", if size.name.contains("s_") { "True".to_owned() } else { "False".to_owned() }),
        ],
        "restrictions": restrictions,
    })
}
