//! Derives the observation of a cluster from its resources at the provider: a pure function.

use std::collections::BTreeMap;

use kqueen_domain::{
    ledger::ResourceRef,
    observation::{Observation, ObservedCluster, ProvisioningState},
    reason::{Reason, ReasonCode, Responsible},
};

use super::{
    Gathered,
    client::provider_resource,
    wire::{Resource, Status},
};

/// The observation of a cluster; `names` are its resources.
pub(super) fn observation(names: &[ResourceRef], gathered: &Gathered) -> Observation {
    let Gathered { resources, untagged, .. } = gathered;
    if resources.is_empty() && untagged.is_empty() {
        return Observation::Absent;
    }
    let parts: Vec<Option<&Resource>> = names.iter().map(|name| resources.get(name)).collect();
    let part = |kind: &str| parts.iter().flatten().find(|resource| resource.kind == kind);
    let state = match (provisioning_state(&parts, resources), untagged.keys().next()) {
        (state @ (ProvisioningState::Working | ProvisioningState::Removing), _) => state,
        (_, Some(name)) => ProvisioningState::Broken(ownership_lost(name)),
        (state, None) => state,
    };
    Observation::Present(ObservedCluster {
        progress: progress(&state, &parts),
        state,
        node_count: part("nodepool").and_then(|pool| pool.shape.node_count),
        network_policy: part("cluster").and_then(|cluster| cluster.shape.network_policy.clone()),
        message: message(names, &parts, gathered),
        resources: resources
            .iter()
            .chain(untagged)
            .map(|(name, resource)| provider_resource(resource, &name.location))
            .collect(),
    })
}

fn provisioning_state(parts: &[Option<&Resource>], resources: &BTreeMap<ResourceRef, Resource>) -> ProvisioningState {
    // Other resources with the ownership tag count only when none of the cluster's own resources is left.
    let left: Vec<&Resource> = parts.iter().copied().flatten().collect();
    let left = if left.is_empty() { resources.values().collect() } else { left };
    let is_any = |statuses: &[Status]| left.iter().any(|resource| statuses.contains(&resource.status));
    if is_any(&[Status::Deleting]) {
        ProvisioningState::Removing
    } else if is_any(&[Status::Creating, Status::Updating, Status::Other]) {
        ProvisioningState::Working
    } else if let Some(broken) = left.iter().find(|resource| resource.status == Status::Error) {
        let cause = format!("the {} at the provider has failed", broken.kind);
        let next = "retry, or destroy the cluster";
        ProvisioningState::Broken(
            Reason::new(ReasonCode::ProvisioningFailed, cause, Responsible::Provider, next)
                .with_provider_message(broken.message.as_str()),
        )
    } else if parts.iter().any(Option::is_none) {
        ProvisioningState::Incomplete
    } else {
        ProvisioningState::Running
    }
}

/// The progress of a cluster that is being created or changed. Otherwise there is none.
fn progress(state: &ProvisioningState, parts: &[Option<&Resource>]) -> Option<u8> {
    if !matches!(state, ProvisioningState::Working | ProvisioningState::Incomplete) {
        return None;
    }
    let of_part = |part: &Option<&Resource>| match part {
        None => 0,
        Some(resource) if resource.status == Status::Running => 100,
        Some(resource) => usize::from(resource.progress.unwrap_or(0).min(99)),
    };
    u8::try_from(parts.iter().map(of_part).sum::<usize>() / parts.len().max(1)).ok()
}

/// Why a recorded resource without the ownership tag is not touched.
pub(super) fn ownership_lost(name: &ResourceRef) -> Reason {
    Reason::new(
        ReasonCode::OwnershipLost,
        format!("{name} exists and does not carry our ownership tag any more"),
        Responsible::Admin,
        "restore its labels, or delete it at the provider",
    )
}

fn message(names: &[ResourceRef], parts: &[Option<&Resource>], gathered: &Gathered) -> String {
    let parts = names.iter().zip(parts).map(|(name, part)| match part {
        Some(resource) if resource.status == Status::Error && !resource.message.is_empty() => {
            format!("{} failed: {}", name.kind, resource.message)
        }
        Some(resource) => format!("{} {}", name.kind, resource.status.as_str()),
        None if gathered.untagged.contains_key(name) => format!("{} without its ownership tag", name.kind),
        None if gathered.taken.contains(name) => {
            format!("{} missing, and its name is taken by another resource", name.kind)
        }
        None => format!("{} missing", name.kind),
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
