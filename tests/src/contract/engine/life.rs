//! Promises about the life cycle of a cluster.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use kqueen_domain::{
    id::ClusterId,
    kubeconfig::{self, AddressRules},
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    port::engine::{ClusterSpec, Engine},
};

use super::{Case, Stage};

pub async fn the_declared_parameters_are_those_it_reads(engine: &dyn Engine, stage: &dyn Stage) {
    let (descriptor, mut case) = (engine.descriptor(), Case::new(engine, stage));
    // Validated by the schemas, as parameters in requests are.
    case.credentials.parameters = descriptor.provisioner.validate("parameters", &case.credentials.parameters).unwrap();
    case.spec.parameters = descriptor.cluster.validate("metadata", &case.spec.parameters).unwrap();
    engine.check(&case.credentials.parameters).await.unwrap();
    let observed = case.run(1).await;
    assert_eq!(observed.node_count, Some(2));
    for (form, given) in
        [(&descriptor.provisioner, &case.credentials.parameters), (&descriptor.cluster, &case.spec.parameters)]
    {
        let declared: BTreeSet<&str> = form.0.iter().map(|field| field.name.as_ref()).collect();
        for name in given.expose().keys() {
            assert!(declared.contains(name.as_str()), "{name} is read but not declared");
        }
    }
}

pub async fn good_credentials_are_accepted(engine: &dyn Engine, stage: &dyn Stage) {
    engine.check(&stage.credentials().parameters).await.unwrap();
}

pub async fn names_are_those_of_the_cluster(engine: &dyn Engine, stage: &dyn Stage) {
    let case = Case::new(engine, stage);
    let names = case.names();
    assert!(!names.is_empty());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    let renamed = ClusterSpec { name: "something else".into(), ..case.spec.clone() };
    assert_eq!(engine.makes(&case.credentials, &renamed), names);
    let other = OwnershipTag { cluster: ClusterId::random(), ..case.spec.tag };
    let others = engine.makes(&case.credentials, &ClusterSpec { tag: other, ..case.spec.clone() });
    assert!(names.iter().all(|name| !others.contains(name)), "{names:?} {others:?}");
}

pub async fn a_cluster_is_deployed_and_destroyed(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    assert_eq!(case.observe().await, None);
    engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let observed = case.observe().await.unwrap();
    assert_ne!(observed.state, ProvisioningState::Running, "no call waits for the provider");
    let observed = case.run(1).await;
    assert_eq!(observed.node_count, Some(2));
    assert_eq!(names_of(&observed), case.names().into_iter().collect());
    assert!(observed.resources.iter().all(|resource| resource.provider_id.is_some()), "{observed:?}");
    let given = engine.kubeconfig(&case.credentials, &case.spec).await.unwrap();
    kubeconfig::parse(&given, &anywhere()).unwrap();

    case.destroy(1).await;
    assert!(case.resources().await.iter().all(Option::is_none));
    case.run(1).await;
    case.destroy(1).await;
}

pub async fn deploying_again_creates_nothing_more(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    let observed = case.run(3).await;
    assert_eq!(names_of(&observed), case.names().into_iter().collect());
    assert_eq!(observed.resources.len(), case.names().len());
    let before = stage.changes().await;
    engine.deploy(&case.credentials, &case.spec).await.unwrap();
    assert_eq!(stage.changes().await, before);
    let found = engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    assert_eq!(found.len(), observed.resources.len(), "{found:?}");
}

pub async fn deploying_continues_where_a_resource_is_missing(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    let before = case.run(1).await;
    let last = case.names().pop().unwrap();
    stage.end(&last).await;
    if case.names().len() > 1 {
        let observed = case.observe().await.unwrap();
        assert_eq!(observed.state, ProvisioningState::Incomplete);
        assert!(observed.resources.iter().all(|resource| resource.name != last));
    } else {
        assert_eq!(case.observe().await, None);
    }
    let after = case.run(1).await;
    for resource in &after.resources {
        assert_eq!(before.resources.contains(resource), resource.name != last, "{resource:?}: {before:?}");
    }
}

pub async fn resizing_again_is_success(engine: &dyn Engine, stage: &dyn Stage) {
    if !engine.descriptor().capabilities.resize {
        return;
    }
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    for nodes in [5, 1] {
        for _ in 0..2 {
            engine.resize(&case.credentials, &case.spec, nodes).await.unwrap();
        }
        let observed = case.settled().await.unwrap();
        assert_eq!((observed.state, observed.node_count), (ProvisioningState::Running, Some(nodes)));
        let before = stage.changes().await;
        engine.resize(&case.credentials, &case.spec, nodes).await.unwrap();
        assert_eq!(stage.changes().await, before);
    }
}

pub async fn switching_network_policy_again_is_success(engine: &dyn Engine, stage: &dyn Stage) {
    if !engine.descriptor().capabilities.set_network_policy {
        return;
    }
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    let on = stage.policy();
    let off = NetworkPolicy { enabled: false, ..on.clone() };
    for policy in [on, off] {
        for _ in 0..2 {
            engine.set_network_policy(&case.credentials, &case.spec, &policy).await.unwrap();
        }
        let mut observed = case.settled().await.unwrap();
        // A provider may need several operations for it, one after the other.
        for _ in 0..2 {
            if !is_policy(&observed, &policy) {
                engine.set_network_policy(&case.credentials, &case.spec, &policy).await.unwrap();
                observed = case.settled().await.unwrap();
            }
        }
        assert!(is_policy(&observed, &policy), "{observed:?}");
        assert_eq!(observed.state, ProvisioningState::Running);
        let before = stage.changes().await;
        engine.set_network_policy(&case.credentials, &case.spec, &policy).await.unwrap();
        assert_eq!(stage.changes().await, before);
    }
}

/// Whether the cluster has this policy. The provider of a disabled policy does not matter.
fn is_policy(observed: &ObservedCluster, policy: &NetworkPolicy) -> bool {
    observed.network_policy.as_ref().is_some_and(|now| now == policy || !now.enabled && !policy.enabled)
}

pub async fn destroying_again_is_success(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    case.destroy(3).await;
    let before = stage.changes().await;
    engine.destroy(&case.credentials, &case.spec).await.unwrap();
    assert_eq!(stage.changes().await, before);
}

pub async fn calls_for_an_absent_cluster_return_missing(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    for _ in 0..2 {
        let (credentials, spec) = (&case.credentials, &case.spec);
        assert_eq!(engine.resize(credentials, spec, 3).await, Err(EngineError::Missing));
        assert_eq!(engine.set_network_policy(credentials, spec, &stage.policy()).await, Err(EngineError::Missing));
        assert_eq!(engine.kubeconfig(credentials, spec).await, Err(EngineError::Missing));
        assert_eq!(case.observe().await, None);
        // Having existed makes no difference.
        case.run(1).await;
        case.destroy(1).await;
    }
}

pub async fn an_orphan_is_destroyed_by_its_tag(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    case.orphaned().destroy(1).await;
    assert!(case.resources().await.iter().all(Option::is_none));
    assert_eq!(case.observe().await, None);
}

pub async fn reads_change_nothing(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    let (before, resources) = (stage.changes().await, case.resources().await);
    for _ in 0..2 {
        engine.check(&case.credentials.parameters).await.unwrap();
        engine.observe(&case.credentials, &case.spec).await.unwrap();
        engine.kubeconfig(&case.credentials, &case.spec).await.unwrap();
        engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    }
    assert_eq!(stage.changes().await, before);
    assert_eq!(case.resources().await, resources);
}

pub async fn progress_is_reported_during_deployment(engine: &dyn Engine, stage: &dyn Stage) {
    if !engine.descriptor().capabilities.progress {
        return;
    }
    let mut case = Case::new(engine, stage);
    engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let mut last = 0;
    for round in 0.. {
        assert!(round < 10_000, "the deployment does not end");
        let observed = case.observe().await.unwrap();
        match observed.state {
            ProvisioningState::Running => break,
            ProvisioningState::Incomplete => engine.deploy(&case.credentials, &case.spec).await.unwrap(),
            ProvisioningState::Working => {
                let progress = observed.progress.unwrap();
                assert!((last..100).contains(&progress), "{progress} % after {last} %");
                last = progress;
                stage.pass(TimeDelta::seconds(1)).await;
            }
            ProvisioningState::Removing | ProvisioningState::Broken(_) => panic!("{observed:?}"),
        }
    }
    assert!(last > 0);
}

fn names_of(observed: &ObservedCluster) -> BTreeSet<ResourceRef> {
    observed.resources.iter().map(|resource| resource.name.clone()).collect()
}

/// Allows every address: stages are on loopback.
fn anywhere() -> AddressRules {
    AddressRules::denying(Vec::new())
}
