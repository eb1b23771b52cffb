//! What the things at the provider make of a cluster: a pure function.

use std::collections::BTreeMap;

use kqueen_domain::{
    ledger::ResourceRef,
    observation::{Observation, ObservedCluster, ProvisioningState},
    reason::{Reason, ReasonCode, Responsible},
};

use super::{
    Gathered,
    client::made,
    wire::{Status, Thing},
};

/// How a cluster is.
///
/// `names` is what it is made of.
pub(super) fn observation(names: &[ResourceRef], gathered: &Gathered) -> Observation {
    let Gathered { things, untagged, .. } = gathered;
    if things.is_empty() && untagged.is_empty() {
        return Observation::Absent;
    }
    let parts: Vec<Option<&Thing>> = names.iter().map(|name| things.get(name)).collect();
    let part = |kind: &str| parts.iter().flatten().find(|thing| thing.kind == kind);
    let condition = match (condition(&parts, things), untagged.keys().next()) {
        (under_way @ (ProvisioningState::Working | ProvisioningState::Removing), _) => under_way,
        (_, Some(name)) => ProvisioningState::Broken(lost_its_tag(name)),
        (condition, None) => condition,
    };
    Observation::Present(ObservedCluster {
        progress: progress(&condition, &parts),
        state: condition,
        node_count: part("nodepool").and_then(|pool| pool.shape.node_count),
        network_policy: part("cluster").and_then(|cluster| cluster.shape.network_policy.clone()),
        message: words(names, &parts, gathered),
        resources: things.iter().chain(untagged).map(|(name, thing)| made(thing, &name.location)).collect(),
    })
}

fn condition(parts: &[Option<&Thing>], things: &BTreeMap<ResourceRef, Thing>) -> ProvisioningState {
    // What carries the ownership tag and is no part of the cluster matters only when nothing else is left.
    let left: Vec<&Thing> = parts.iter().copied().flatten().collect();
    let left = if left.is_empty() { things.values().collect() } else { left };
    let is_any = |statuses: &[Status]| left.iter().any(|thing| statuses.contains(&thing.status));
    if is_any(&[Status::Deleting]) {
        ProvisioningState::Removing
    } else if is_any(&[Status::Creating, Status::Updating, Status::Other]) {
        ProvisioningState::Working
    } else if let Some(broken) = left.iter().find(|thing| thing.status == Status::Error) {
        let cause = format!("the {} at the provider has failed", broken.kind);
        let next = "retry, or destroy the cluster";
        ProvisioningState::Broken(
            Reason::new(ReasonCode::ProvisioningFailed, cause, Responsible::Provider, next)
                .with_words(broken.message.as_str()),
        )
    } else if parts.iter().any(Option::is_none) {
        ProvisioningState::Incomplete
    } else {
        ProvisioningState::Running
    }
}

/// How far the parts are that are being made or changed. What is at rest, or is being taken down, tells no progress.
fn progress(condition: &ProvisioningState, parts: &[Option<&Thing>]) -> Option<u8> {
    if !matches!(condition, ProvisioningState::Working | ProvisioningState::Incomplete) {
        return None;
    }
    let of_part = |part: &Option<&Thing>| match part {
        None => 0,
        Some(thing) if thing.status == Status::Running => 100,
        Some(thing) => usize::from(thing.progress.unwrap_or(0).min(99)),
    };
    u8::try_from(parts.iter().map(of_part).sum::<usize>() / parts.len().max(1)).ok()
}

/// Why something that was made for the cluster is not touched.
pub(super) fn lost_its_tag(name: &ResourceRef) -> Reason {
    Reason::new(
        ReasonCode::OwnershipLost,
        format!("{name} is there and does not carry our ownership tag any more"),
        Responsible::Admin,
        "put its labels back, or take it down at the provider",
    )
}

fn words(names: &[ResourceRef], parts: &[Option<&Thing>], gathered: &Gathered) -> String {
    let told = names.iter().zip(parts).map(|(name, part)| match part {
        Some(thing) if thing.status == Status::Error && !thing.message.is_empty() => {
            format!("{} failed: {}", name.kind, thing.message)
        }
        Some(thing) => format!("{} {}", name.kind, thing.status.as_str()),
        None if gathered.untagged.contains_key(name) => format!("{} without its ownership tag", name.kind),
        None if gathered.taken.contains(name) => {
            format!("{} not there, and its name is taken by something else", name.kind)
        }
        None => format!("{} not there", name.kind),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
