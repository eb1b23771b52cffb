use kqueen_domain::operation::NetworkPolicy;
use serde_json::json;

use super::*;

fn name(kind: &str, name: &str) -> ResourceRef {
    ResourceRef { kind: kind.into(), name: name.into(), location: "here".into() }
}

fn names() -> Vec<ResourceRef> {
    ["network", "cluster", "nodepool"].map(|kind| name(kind, "kq")).into()
}

/// A thing as the provider answers it: `cluster running`, or `nodepool creating 40`, or with another name `network/other running`.
fn thing(text: &str) -> (ResourceRef, Thing) {
    let mut words = text.split(' ');
    let first = words.next().unwrap();
    let (kind, named) = first.split_once('/').unwrap_or((first, "kq"));
    let (status, progress) = (words.next().unwrap(), words.next().map(|percent| percent.parse::<u8>().unwrap()));
    let message = if status == "error" { "it burns" } else { "" };
    let thing = json!({
        "kind": kind, "name": named, "id": format!("id of {kind}"), "labels": {}, "status": status,
        "progress": progress, "message": message,
    });
    (name(kind, named), serde_json::from_value(thing).unwrap())
}

fn gathered(things: BTreeMap<ResourceRef, Thing>, taken: Vec<ResourceRef>) -> Gathered {
    Gathered { things, untagged: BTreeMap::new(), taken }
}

fn look(things: &[&str]) -> Observation {
    observation(&names(), &gathered(things.iter().map(|text| thing(text)).collect(), Vec::new()))
}

fn seen(things: &[&str]) -> ObservedCluster {
    match look(things) {
        Observation::Present(seen) => seen,
        Observation::Absent => panic!("{things:?}"),
    }
}

#[test]
fn what_is_done_to_a_part_is_done_to_the_cluster() {
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
        // Something is still being done about it.
        (&["network running", "cluster error", "nodepool updating 10"], Working, Some(36)),
    ];
    for (things, condition, progress) in cases {
        let seen = seen(things);
        assert_eq!((seen.state, seen.progress), (condition, progress), "{things:?}");
        assert_eq!(seen.resources.len(), things.len());
    }
    assert_eq!(look(&[]), Observation::Absent);
}

#[test]
fn what_has_failed_is_told_in_the_providers_words() {
    for things in [&["network error"][..], &["network running", "cluster error", "nodepool running"]] {
        let seen = seen(things);
        let ProvisioningState::Broken(reason) = &seen.state else { panic!("{seen:?}") };
        assert_eq!((reason.provider_message.as_deref(), reason.responsible), (Some("it burns"), Responsible::Provider));
        assert_eq!(seen.progress, None);
        assert!(seen.message.contains("failed: it burns"), "{}", seen.message);
    }
}

#[test]
fn what_carries_the_tag_and_is_no_part_counts_when_nothing_else_is_left() {
    let whole = ["network running", "cluster running", "nodepool running"];
    for extra in ["network/old running", "network/old deleting", "network/old error"] {
        let things = [&whole[..], &[extra]].concat();
        let seen = seen(&things);
        assert_eq!((seen.state, seen.resources.len()), (ProvisioningState::Running, 4), "{extra}");
    }
    assert_eq!(seen(&["network/old running"]).state, ProvisioningState::Incomplete);
    assert_eq!(seen(&["network/old deleting"]).state, ProvisioningState::Removing);
}

#[test]
fn words_say_what_is_there_and_what_is_in_the_way() {
    let (network, cluster) = (thing("network running"), name("cluster", "kq"));
    let Observation::Present(seen) = observation(&names(), &gathered([network].into(), vec![cluster])) else {
        panic!("it is there")
    };
    assert_eq!(
        seen.message,
        "network running, cluster not there, and its name is taken by something else, nodepool not there"
    );
}

#[test]
fn shape_is_that_of_the_parts() {
    let whole = ["network running", "cluster running", "nodepool running"];
    let mut things: BTreeMap<ResourceRef, Thing> = whole.into_iter().map(thing).collect();
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    things.get_mut(&name("nodepool", "kq")).unwrap().shape.node_count = Some(5);
    things.get_mut(&name("cluster", "kq")).unwrap().shape.network_policy = Some(policy.clone());
    let Observation::Present(seen) = observation(&names(), &gathered(things, Vec::new())) else {
        panic!("it is there")
    };
    assert_eq!((seen.node_count, seen.network_policy), (Some(5), Some(policy)));
}
