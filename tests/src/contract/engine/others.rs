//! Promises about foreign resources at the provider, and about other clusters of ours.

use std::collections::BTreeSet;

use kqueen_domain::{
    id::ClusterId,
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, Observation, ProvisioningState},
    port::engine::Engine,
};
use uuid::Uuid;

use super::{Case, Stage};

/// Ownership tags other than the case's: none, another installation's for the same cluster, another cluster's of the same installation.
fn other_tags(case: &Case<'_>) -> [Option<OwnershipTag>; 3] {
    let tag = case.spec.tag;
    [
        None,
        Some(OwnershipTag { installation: Uuid::new_v4(), ..tag }),
        Some(OwnershipTag { cluster: ClusterId::random(), ..tag }),
    ]
}

/// A foreign resource has one of the cluster's names: a case for every name and every other ownership tag.
async fn with_each_name_taken<'a>(engine: &'a dyn Engine, stage: &'a dyn Stage) -> Vec<(Case<'a>, ResourceRef)> {
    let mut cases = Vec::new();
    for position in 0..Case::new(engine, stage).names().len() {
        for other in 0..3 {
            let case = Case::new(engine, stage);
            let name = case.names()[position].clone();
            stage.plant(&name, other_tags(&case)[other]).await;
            cases.push((case, name));
        }
    }
    cases
}

pub async fn foreign_resources_are_not_adopted(engine: &dyn Engine, stage: &dyn Stage) {
    for (mut case, name) in with_each_name_taken(engine, stage).await {
        let before = stage.resource(&name).await;
        assert_eq!(case.observe().await, None, "{name}");
        let error = case.rejected().await;
        let EngineError::Rejected(reason) = error else { panic!("{name}: {error:?}") };
        assert!(reason.cause.contains(&name.name), "{reason}");
        if let Some(observed) = case.observe().await {
            assert!(observed.resources.iter().all(|resource| resource.name != name), "{observed:?}");
            assert_ne!(observed.state, ProvisioningState::Running);
        }
        assert_eq!(stage.resource(&name).await, before);
    }
}

pub async fn foreign_resources_are_not_deleted(engine: &dyn Engine, stage: &dyn Stage) {
    for (mut case, name) in with_each_name_taken(engine, stage).await {
        let before = stage.resource(&name).await;
        case.rejected().await;
        case.destroy(2).await;
        engine.destroy(&case.credentials, &case.spec).await.unwrap();
        assert_eq!(stage.resource(&name).await, before);
        for other in case.names().iter().filter(|other| **other != name) {
            assert_eq!(stage.resource(other).await, None);
        }
    }
}

pub async fn foreign_resources_are_not_changed(engine: &dyn Engine, stage: &dyn Stage) {
    for (case, name) in with_each_name_taken(engine, stage).await {
        let before = stage.resource(&name).await;
        let (credentials, spec) = (&case.credentials, &case.spec);
        let outcomes = [
            engine.resize(credentials, spec, 3).await.err(),
            engine.set_network_policy(credentials, spec, &stage.policy()).await.err(),
            engine.kubeconfig(credentials, spec).await.err(),
        ];
        for outcome in outcomes {
            let is_expected = matches!(outcome, Some(EngineError::Rejected(_) | EngineError::Missing));
            assert!(is_expected, "{name}: {outcome:?}");
        }
        assert_eq!(stage.resource(&name).await, before);
    }
}

pub async fn a_resource_without_its_tag_is_reported_and_not_touched(engine: &dyn Engine, stage: &dyn Stage) {
    for position in 0..Case::new(engine, stage).names().len() {
        let mut case = Case::new(engine, stage);
        let resources = case.run(1).await.resources;
        let name = case.names()[position].clone();
        stage.untag(&name).await;
        let before = stage.resource(&name).await;
        // What is still ours is deleted.
        for _ in 0..resources.len() {
            let observed = case.settled().await.unwrap();
            assert!(observed.resources.iter().any(|resource| resource.name == name), "{observed:?}");
            let ProvisioningState::Broken(reason) = &observed.state else { panic!("{observed:?}") };
            assert!(reason.cause.contains(&name.name), "{reason}");
            drop(engine.destroy(&case.credentials, &case.spec).await);
        }
        let left = engine.destroy(&case.credentials, &case.spec).await;
        assert!(matches!(&left, Err(EngineError::Rejected(_))), "{left:?}");
        assert_eq!(stage.resource(&name).await, before);
        // Without a record of it, it is like any foreign resource.
        let orphaned = case.orphaned();
        if let Observation::Present(observed) = engine.observe(&orphaned.credentials, &orphaned.spec).await.unwrap() {
            assert!(observed.resources.iter().all(|resource| resource.name != name), "{observed:?}");
        }
    }
}

pub async fn clusters_do_not_affect_each_other(engine: &dyn Engine, stage: &dyn Stage) {
    let mut one = Case::new(engine, stage);
    let mut other = Case::of(engine, stage, one.spec.tag.installation);
    let mut stranger = Case::new(engine, stage);
    for case in [&mut one, &mut other, &mut stranger] {
        case.run(1).await;
    }
    let before = (other.resources().await, stranger.resources().await);
    engine.resize(&one.credentials, &one.spec, 4).await.unwrap();
    assert_eq!(one.settled().await.unwrap().node_count, Some(4));
    one.destroy(1).await;
    assert_eq!((other.resources().await, stranger.resources().await), before);
    assert_eq!(other.observe().await.unwrap().state, ProvisioningState::Running);
}

pub async fn an_inventory_is_all_resources_of_the_installation(engine: &dyn Engine, stage: &dyn Stage) {
    if !engine.descriptor().capabilities.inventory {
        return;
    }
    let installation = Uuid::new_v4();
    assert_eq!(engine.inventory(&stage.credentials(), installation).await, Ok(Vec::new()));
    let mut cases: Vec<Case<'_>> = (0..4).map(|_| Case::of(engine, stage, installation)).collect();
    for case in &mut cases[..3] {
        case.run(1).await;
    }
    // One is being deployed, one is being destroyed, one no longer exists.
    engine.deploy(&cases[3].credentials, &cases[3].spec).await.unwrap();
    engine.destroy(&cases[1].credentials, &cases[1].spec).await.unwrap();
    cases[2].destroy(1).await;
    // Not included: another installation's resources, and a resource with one of our names but no ownership tag.
    Case::new(engine, stage).run(1).await;
    stage.plant(&Case::of(engine, stage, installation).names()[0], None).await;

    let mut expected = BTreeSet::new();
    for case in &mut cases {
        let cluster = case.spec.tag.cluster;
        let resources = case.observe().await.map(|observed| observed.resources).unwrap_or_default();
        expected.extend(resources.into_iter().map(|resource| (cluster, resource.name, resource.provider_id)));
    }
    // One that runs, and one that is being created.
    assert!(expected.len() >= 2, "{expected:?}");
    let found = engine.inventory(&stage.credentials(), installation).await.unwrap();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    let found = found.into_iter().map(|found| (found.cluster, found.resource.name, found.resource.provider_id));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}
