use kqueen_domain::operation::NetworkPolicy;
use serde_json::json;

use super::*;

fn name(kind: &str, name: &str) -> ResourceRef {
    ResourceRef { kind: kind.into(), name: name.into(), location: "here".into() }
}

fn names() -> Vec<ResourceRef> {
    ["network", "cluster", "nodepool"].map(|kind| name(kind, "kq")).into()
}

/// A resource as the provider returns it: `cluster running`, or `nodepool creating 40`, or with another name `network/other running`.
fn resource(text: &str) -> (ResourceRef, Resource) {
    let mut parts = text.split(' ');
    let first = parts.next().unwrap();
    let (kind, named) = first.split_once('/').unwrap_or((first, "kq"));
    let (status, progress) = (parts.next().unwrap(), parts.next().map(|percent| percent.parse::<u8>().unwrap()));
    let message = if status == "error" { "it burns" } else { "" };
    let resource = json!({
        "kind": kind, "name": named, "id": format!("id of {kind}"), "labels": {}, "status": status,
        "progress": progress, "message": message,
    });
    (name(kind, named), serde_json::from_value(resource).unwrap())
}

fn gathered(resources: BTreeMap<ResourceRef, Resource>, taken: Vec<ResourceRef>) -> Gathered {
    Gathered { resources, untagged: BTreeMap::new(), taken }
}

fn observe(resources: &[&str]) -> Observation {
    observation(&names(), &gathered(resources.iter().map(|text| resource(text)).collect(), Vec::new()))
}

fn observed(resources: &[&str]) -> ObservedCluster {
    match observe(resources) {
        Observation::Present(observed) => observed,
        Observation::Absent => panic!("{resources:?}"),
    }
}

#[test]
fn the_state_of_the_resources_decides_the_state_of_the_cluster() {
    use ProvisioningState::{Incomplete, Removing, Running, Working};
    let cases: [(&[&str], ProvisioningState, Option<u8>); 12] = [
        (&["network creating 60"], Working, Some(20)),
        (&["network running"], Incomplete, Some(33)),
        (&["network running", "cluster creating 50"], Working, Some(50)),
        (&["network running", "cluster running"], Incomplete, Some(66)),
        (&["cluster running", "nodepool running"], Incomplete, Some(66)),
        (&["network running", "cluster running", "nodepool creating 99"], Working, Some(99)),
        (&["network running", "cluster running", "nodepool running"], Running, None),
        (&["network running", "cluster running", "nodepool updating 50"], Working, Some(83)),
        (&["network running", "cluster upgrading", "nodepool running"], Working, Some(66)),
        (&["network running", "cluster running", "nodepool deleting 10"], Removing, None),
        (&["network running", "cluster error", "nodepool deleting 10"], Removing, None),
        // Another operation is still in progress.
        (&["network running", "cluster error", "nodepool updating 10"], Working, Some(36)),
    ];
    for (resources, state, progress) in cases {
        let observed = observed(resources);
        assert_eq!((observed.state, observed.progress), (state, progress), "{resources:?}");
        assert_eq!(observed.resources.len(), resources.len());
    }
    assert_eq!(observe(&[]), Observation::Absent);
}

#[test]
fn a_failure_is_reported_with_the_providers_message() {
    for resources in [&["network error"][..], &["network running", "cluster error", "nodepool running"]] {
        let observed = observed(resources);
        let ProvisioningState::Broken(reason) = &observed.state else { panic!("{observed:?}") };
        assert_eq!((reason.provider_message.as_deref(), reason.responsible), (Some("it burns"), Responsible::Provider));
        assert_eq!(observed.progress, None);
        assert!(observed.message.contains("failed: it burns"), "{}", observed.message);
    }
}

#[test]
fn other_resources_with_the_tag_count_only_when_nothing_else_is_left() {
    let whole = ["network running", "cluster running", "nodepool running"];
    for extra in ["network/old running", "network/old deleting", "network/old error"] {
        let resources = [&whole[..], &[extra]].concat();
        let observed = observed(&resources);
        assert_eq!((observed.state, observed.resources.len()), (ProvisioningState::Running, 4), "{extra}");
    }
    assert_eq!(observed(&["network/old running"]).state, ProvisioningState::Incomplete);
    assert_eq!(observed(&["network/old deleting"]).state, ProvisioningState::Removing);
}

#[test]
fn the_message_names_what_exists_and_which_names_are_taken() {
    let (network, cluster) = (resource("network running"), name("cluster", "kq"));
    let Observation::Present(observed) = observation(&names(), &gathered([network].into(), vec![cluster])) else {
        panic!("it is present")
    };
    assert_eq!(
        observed.message,
        "network running, cluster missing, and its name is taken by another resource, nodepool missing"
    );
}

#[test]
fn node_count_and_network_policy_are_those_of_the_resources() {
    let whole = ["network running", "cluster running", "nodepool running"];
    let mut resources: BTreeMap<ResourceRef, Resource> = whole.into_iter().map(resource).collect();
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    resources.get_mut(&name("nodepool", "kq")).unwrap().shape.node_count = Some(5);
    resources.get_mut(&name("cluster", "kq")).unwrap().shape.network_policy = Some(policy.clone());
    let Observation::Present(observed) = observation(&names(), &gathered(resources, Vec::new())) else {
        panic!("it is present")
    };
    assert_eq!((observed.node_count, observed.network_policy), (Some(5), Some(policy)));
}
