//! The parts of Compute Engine that tell what is offered where, and what is left of the quotas.

use serde_json::{Value, json};

use super::{
    catalog::{self, Machine},
    error,
    provider::{Gke, unimplemented},
};
use crate::simulator::call::{Call, Reply, Request};

const BASE: &str = "https://www.googleapis.com/compute/v1/projects";
const CREATED: &str = "2020-01-01T00:00:00.000-08:00";
/// Most items on a page, and as many if a caller does not say.
const PAGE: usize = 500;

impl Gke {
    pub(super) fn compute(&self, call: &Call) -> Result<Value, Reply> {
        let project = call.parameter("project");
        match call.kind() {
            "compute.zones.list" => {
                let zones = catalog::zones().into_iter().enumerate();
                let items = zones.map(|(number, zone)| self.zone(project, number, &zone)).collect();
                page(&call.request, "compute#zoneList", &format!("projects/{project}/zones"), items)
            }
            "compute.regions.list" => {
                let regions = catalog::regions().enumerate();
                let items = regions.map(|(number, region)| self.region(project, number, region)).collect();
                page(&call.request, "compute#regionList", &format!("projects/{project}/regions"), items)
            }
            "compute.regions.get" => {
                let asked = call.parameter("region");
                let found = catalog::regions().enumerate().find(|(_, region)| *region == asked);
                let (number, region) = found.ok_or_else(|| {
                    error::plain(
                        "NOT_FOUND",
                        format!("The resource 'projects/{project}/regions/{asked}' was not found"),
                    )
                })?;
                Ok(self.region(project, number, region))
            }
            "compute.machineTypes.list" => {
                let zone = call.parameter("location");
                if !catalog::is_zone(zone) {
                    let message = format!("The resource 'projects/{project}/zones/{zone}' was not found");
                    return Err(error::plain("NOT_FOUND", message));
                }
                let offered = Machine::all().enumerate().filter(|(_, machine)| machine.is_in(zone));
                let items = offered.map(|(number, machine)| shown(project, zone, number, machine)).collect();
                let id = format!("projects/{project}/zones/{zone}/machineTypes");
                page(&call.request, "compute#machineTypeList", &id, items)
            }
            other => Err(unimplemented(other)),
        }
    }

    fn zone(&self, project: &str, number: usize, zone: &str) -> Value {
        let region = catalog::region_of(zone).unwrap_or_default();
        json!({
            "kind": "compute#zone", "id": (2_000 + number).to_string(), "creationTimestamp": CREATED, "name": zone,
            "description": zone, "status": if self.zones_down.contains(zone) { "DOWN" } else { "UP" },
            "region": format!("{BASE}/{project}/regions/{region}"),
            "selfLink": format!("{BASE}/{project}/zones/{zone}"),
            "availableCpuPlatforms": ["Intel Broadwell", "Intel Skylake", "AMD Rome"], "supportsPzs": true,
        })
    }

    fn region(&self, project: &str, number: usize, region: &str) -> Value {
        let used = self.used(project, region);
        let limits = self.projects.get(project).map(|project| project.limits(region)).unwrap_or_default();
        let quota = |(metric, limit): (&str, f64)| json!({"metric": metric, "limit": limit, "usage": used.of(metric)});
        let zones: Vec<String> =
            catalog::zones_of(region).iter().map(|zone| format!("{BASE}/{project}/zones/{zone}")).collect();
        json!({
            "kind": "compute#region", "id": (1_000 + number).to_string(), "creationTimestamp": CREATED, "name": region,
            "description": region, "status": "UP", "zones": zones, "supportsPzs": true,
            "quotas": limits.into_iter().map(quota).collect::<Vec<_>>(),
            "selfLink": format!("{BASE}/{project}/regions/{region}"),
        })
    }
}

fn shown(project: &str, zone: &str, number: usize, machine: Machine) -> Value {
    let Machine { name, cpus, memory_mib, .. } = machine;
    json!({
        "kind": "compute#machineType", "id": (3_000 + number).to_string(), "creationTimestamp": CREATED, "name": name,
        "description": format!("{cpus} vCPU, {} GB RAM", f64::from(memory_mib) / 1_024.0), "guestCpus": cpus,
        "memoryMb": memory_mib, "imageSpaceGb": 0, "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": "263168", "zone": zone, "isSharedCpu": machine.is_shared_core(),
        "architecture": if name.starts_with("t2a") { "ARM64" } else { "X86_64" },
        "selfLink": format!("{BASE}/{project}/zones/{zone}/machineTypes/{name}"),
    })
}

/// The part of a list that was asked for.
fn page(request: &Request, kind: &str, id: &str, items: Vec<Value>) -> Result<Value, Reply> {
    let invalid = |field: &str, value: &str| error::invalid(format!("Invalid value for field '{field}': '{value}'."));
    let most = match request.query("maxResults") {
        None => PAGE,
        Some(asked) => {
            asked.parse::<usize>().ok().filter(|most| *most <= PAGE).ok_or_else(|| invalid("maxResults", asked))?
        }
    };
    let from = match request.query("pageToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let number = token.strip_prefix("page-").and_then(|number| number.parse::<usize>().ok());
            number.ok_or_else(|| invalid("pageToken", token))?
        }
    };
    let count = items.len();
    let items: Vec<Value> = items.into_iter().skip(from).take(most.max(1)).collect();
    let end = from + items.len();
    let mut answer = json!({"kind": kind, "id": id, "selfLink": format!("https://www.googleapis.com/compute/v1/{id}")});
    if !items.is_empty() {
        answer["items"] = items.into();
    }
    if end < count {
        answer["nextPageToken"] = format!("page-{end}").into();
    }
    Ok(answer)
}
