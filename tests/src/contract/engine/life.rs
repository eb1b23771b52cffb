//! Promises about one cluster, from nothing to nothing.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use kqueen_domain::{
    id::ClusterId,
    kubeconfig::{self, AddressRules},
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    port::engine::{ClusterSpec, Engine},
    secret::SecretMap,
};

use super::{Case, Stage};

pub async fn its_forms_are_what_it_reads(engine: &dyn Engine, stage: &dyn Stage) {
    let (descriptor, mut case) = (engine.descriptor(), Case::new(engine, stage));
    // Through the forms, as what people send comes.
    case.credentials.parameters = descriptor.provisioner.validate("parameters", &case.credentials.parameters).unwrap();
    case.spec.parameters = descriptor.cluster.validate("metadata", &case.spec.parameters).unwrap();
    engine.check(&case.credentials.parameters).await.unwrap();
    let seen = case.run(1).await;
    assert_eq!(seen.node_count, Some(2));
    for (form, given) in
        [(&descriptor.provisioner, &case.credentials.parameters), (&descriptor.cluster, &case.spec.parameters)]
    {
        let declared: BTreeSet<&str> = form.0.iter().map(|field| field.name).collect();
        for name in given.expose().keys() {
            assert!(declared.contains(name.as_str()), "{name} is read and not declared");
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
    let renamed = ClusterSpec { name: "something else".into(), parameters: SecretMap::new(), ..case.spec.clone() };
    assert_eq!(engine.makes(&case.credentials, &renamed), names);
    let other = OwnershipTag { cluster: ClusterId::random(), ..case.spec.tag };
    let others = engine.makes(&case.credentials, &ClusterSpec { tag: other, ..case.spec.clone() });
    assert!(names.iter().all(|name| !others.contains(name)), "{names:?} {others:?}");
}

pub async fn a_cluster_comes_and_goes(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    assert_eq!(case.observe().await, None);
    engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let seen = case.observe().await.unwrap();
    assert_ne!(seen.state, ProvisioningState::Running, "no call waits for a cloud");
    let seen = case.run(1).await;
    assert_eq!(seen.node_count, Some(2));
    assert_eq!(names_of(&seen), case.names().into_iter().collect());
    assert!(seen.resources.iter().all(|thing| thing.provider_id.is_some()), "{seen:?}");
    let given = engine.kubeconfig(&case.credentials, &case.spec).await.unwrap();
    kubeconfig::parse(&given, &anywhere()).unwrap();

    case.destroy(1).await;
    assert!(case.there().await.iter().all(Option::is_none));
    case.run(1).await;
    case.destroy(1).await;
}

pub async fn deploying_again_makes_nothing_more(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    let seen = case.run(3).await;
    assert_eq!(names_of(&seen), case.names().into_iter().collect());
    assert_eq!(seen.resources.len(), case.names().len());
    let before = stage.changes().await;
    engine.deploy(&case.credentials, &case.spec).await.unwrap();
    assert_eq!(stage.changes().await, before);
    let found = engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    assert_eq!(found.len(), seen.resources.len(), "{found:?}");
}

pub async fn deploying_carries_on_where_something_is_missing(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    let before = case.run(1).await;
    let last = case.names().pop().unwrap();
    stage.end(&last).await;
    if case.names().len() > 1 {
        let seen = case.observe().await.unwrap();
        assert_eq!(seen.state, ProvisioningState::Incomplete);
        assert!(seen.resources.iter().all(|thing| thing.name != last));
    } else {
        assert_eq!(case.observe().await, None);
    }
    let after = case.run(1).await;
    for thing in &after.resources {
        assert_eq!(before.resources.contains(thing), thing.name != last, "{thing:?}: {before:?}");
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
        let seen = case.settled().await.unwrap();
        assert_eq!((seen.state, seen.node_count), (ProvisioningState::Running, Some(nodes)));
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
        let seen = case.settled().await.unwrap();
        assert_eq!((seen.state, seen.network_policy.as_ref()), (ProvisioningState::Running, Some(&policy)));
        let before = stage.changes().await;
        engine.set_network_policy(&case.credentials, &case.spec, &policy).await.unwrap();
        assert_eq!(stage.changes().await, before);
    }
}

pub async fn destroying_again_is_success(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    case.destroy(3).await;
    let before = stage.changes().await;
    engine.destroy(&case.credentials, &case.spec).await.unwrap();
    assert_eq!(stage.changes().await, before);
}

pub async fn what_is_not_there_is_missing(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    for _ in 0..2 {
        let (credentials, spec) = (&case.credentials, &case.spec);
        assert_eq!(engine.resize(credentials, spec, 3).await, Err(EngineError::Missing));
        assert_eq!(engine.set_network_policy(credentials, spec, &stage.policy()).await, Err(EngineError::Missing));
        assert_eq!(engine.kubeconfig(credentials, spec).await, Err(EngineError::Missing));
        assert_eq!(case.observe().await, None);
        // Having been there makes no difference.
        case.run(1).await;
        case.destroy(1).await;
    }
}

pub async fn an_orphan_is_taken_down_by_its_tag(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    case.orphaned().destroy(1).await;
    assert!(case.there().await.iter().all(Option::is_none));
    assert_eq!(case.observe().await, None);
}

pub async fn asking_changes_nothing(engine: &dyn Engine, stage: &dyn Stage) {
    let mut case = Case::new(engine, stage);
    case.run(1).await;
    let (before, there) = (stage.changes().await, case.there().await);
    for _ in 0..2 {
        engine.check(&case.credentials.parameters).await.unwrap();
        engine.observe(&case.credentials, &case.spec).await.unwrap();
        engine.kubeconfig(&case.credentials, &case.spec).await.unwrap();
        engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    }
    assert_eq!(stage.changes().await, before);
    assert_eq!(case.there().await, there);
}

pub async fn progress_is_told_while_it_is_made(engine: &dyn Engine, stage: &dyn Stage) {
    if !engine.descriptor().capabilities.progress {
        return;
    }
    let mut case = Case::new(engine, stage);
    engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let mut last = 0;
    for round in 0.. {
        assert!(round < 10_000, "it does not come to an end");
        let seen = case.observe().await.unwrap();
        match seen.state {
            ProvisioningState::Running => break,
            ProvisioningState::Incomplete => engine.deploy(&case.credentials, &case.spec).await.unwrap(),
            ProvisioningState::Working => {
                let progress = seen.progress.unwrap();
                assert!((last..100).contains(&progress), "{progress} % after {last} %");
                last = progress;
                stage.pass(TimeDelta::seconds(1)).await;
            }
            ProvisioningState::Removing | ProvisioningState::Broken(_) => panic!("{seen:?}"),
        }
    }
    assert!(last > 0);
}

fn names_of(seen: &ObservedCluster) -> BTreeSet<ResourceRef> {
    seen.resources.iter().map(|thing| thing.name.clone()).collect()
}

/// Stages are on loopback.
fn anywhere() -> AddressRules {
    AddressRules::denying(Vec::new())
}
