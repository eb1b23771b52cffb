//! Promises about what is at the provider besides: things of others, and other clusters of ours.

use std::collections::BTreeSet;

use kqueen_domain::{
    id::ClusterId,
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, Observation, ProvisioningState},
    port::engine::Engine,
};
use uuid::Uuid;

use super::{Case, Stage};

/// Marks that are not the case's: none, another installation's for the same cluster, another cluster's of the same installation.
fn others(case: &Case<'_>) -> [Option<OwnershipTag>; 3] {
    let tag = case.spec.tag;
    [
        None,
        Some(OwnershipTag { installation: Uuid::new_v4(), ..tag }),
        Some(OwnershipTag { cluster: ClusterId::random(), ..tag }),
    ]
}

/// Somebody else has one of the cluster's names: every name, with every ownership tag that is not ours.
async fn with_each_name_taken<'a>(engine: &'a dyn Engine, stage: &'a dyn Stage) -> Vec<(Case<'a>, ResourceRef)> {
    let mut cases = Vec::new();
    for position in 0..Case::new(engine, stage).names().len() {
        for other in 0..3 {
            let case = Case::new(engine, stage);
            let name = case.names()[position].clone();
            stage.plant(&name, others(&case)[other]).await;
            cases.push((case, name));
        }
    }
    cases
}

pub async fn what_others_made_is_not_adopted(engine: &dyn Engine, stage: &dyn Stage) {
    for (mut case, name) in with_each_name_taken(engine, stage).await {
        let before = stage.look(&name).await;
        assert_eq!(case.observe().await, None, "{name}");
        let refusal = case.refused().await;
        let EngineError::Rejected(reason) = refusal else { panic!("{name}: {refusal:?}") };
        assert!(reason.cause.contains(&name.name), "{reason}");
        if let Some(seen) = case.observe().await {
            assert!(seen.resources.iter().all(|thing| thing.name != name), "{seen:?}");
            assert_ne!(seen.state, ProvisioningState::Running);
        }
        assert_eq!(stage.look(&name).await, before);
    }
}

pub async fn what_others_made_is_not_taken_down(engine: &dyn Engine, stage: &dyn Stage) {
    for (mut case, name) in with_each_name_taken(engine, stage).await {
        let before = stage.look(&name).await;
        case.refused().await;
        case.destroy(2).await;
        engine.destroy(&case.credentials, &case.spec).await.unwrap();
        assert_eq!(stage.look(&name).await, before);
        for other in case.names().iter().filter(|other| **other != name) {
            assert_eq!(stage.look(other).await, None);
        }
    }
}

pub async fn what_others_made_is_not_changed(engine: &dyn Engine, stage: &dyn Stage) {
    for (case, name) in with_each_name_taken(engine, stage).await {
        let before = stage.look(&name).await;
        let (credentials, spec) = (&case.credentials, &case.spec);
        let outcomes = [
            engine.resize(credentials, spec, 3).await.err(),
            engine.set_network_policy(credentials, spec, &stage.policy()).await.err(),
            engine.kubeconfig(credentials, spec).await.err(),
        ];
        for outcome in outcomes {
            let is_told = matches!(outcome, Some(EngineError::Rejected(_) | EngineError::Missing));
            assert!(is_told, "{name}: {outcome:?}");
        }
        assert_eq!(stage.look(&name).await, before);
    }
}

pub async fn what_has_lost_its_tag_is_reported_and_left_alone(engine: &dyn Engine, stage: &dyn Stage) {
    for position in 0..Case::new(engine, stage).names().len() {
        let mut case = Case::new(engine, stage);
        let made = case.run(1).await.resources;
        let name = case.names()[position].clone();
        stage.untag(&name).await;
        let before = stage.look(&name).await;
        // Whatever is still ours goes.
        for _ in 0..made.len() {
            let seen = case.settled().await.unwrap();
            assert!(seen.resources.iter().any(|thing| thing.name == name), "{seen:?}");
            let ProvisioningState::Broken(reason) = &seen.state else { panic!("{seen:?}") };
            assert!(reason.cause.contains(&name.name), "{reason}");
            drop(engine.destroy(&case.credentials, &case.spec).await);
        }
        let left = engine.destroy(&case.credentials, &case.spec).await;
        assert!(matches!(&left, Err(EngineError::Rejected(_))), "{left:?}");
        assert_eq!(stage.look(&name).await, before);
        // For who does not know of it, it is like anything else that is not ours.
        let orphaned = case.orphaned();
        if let Observation::Present(seen) = engine.observe(&orphaned.credentials, &orphaned.spec).await.unwrap() {
            assert!(seen.resources.iter().all(|thing| thing.name != name), "{seen:?}");
        }
    }
}

pub async fn clusters_leave_each_other_alone(engine: &dyn Engine, stage: &dyn Stage) {
    let mut one = Case::new(engine, stage);
    let mut other = Case::of(engine, stage, one.spec.tag.installation);
    let mut stranger = Case::new(engine, stage);
    for case in [&mut one, &mut other, &mut stranger] {
        case.run(1).await;
    }
    let before = (other.there().await, stranger.there().await);
    engine.resize(&one.credentials, &one.spec, 4).await.unwrap();
    assert_eq!(one.settled().await.unwrap().node_count, Some(4));
    one.destroy(1).await;
    assert_eq!((other.there().await, stranger.there().await), before);
    assert_eq!(other.observe().await.unwrap().state, ProvisioningState::Running);
}

pub async fn an_inventory_is_everything_of_ours_and_nothing_else(engine: &dyn Engine, stage: &dyn Stage) {
    if !engine.descriptor().capabilities.inventory {
        return;
    }
    let installation = Uuid::new_v4();
    assert_eq!(engine.inventory(&stage.credentials(), installation).await, Ok(Vec::new()));
    let mut cases: Vec<Case<'_>> = (0..4).map(|_| Case::of(engine, stage, installation)).collect();
    for case in &mut cases[..3] {
        case.run(1).await;
    }
    // One is on its way, one on its way out, one is gone.
    engine.deploy(&cases[3].credentials, &cases[3].spec).await.unwrap();
    engine.destroy(&cases[1].credentials, &cases[1].spec).await.unwrap();
    cases[2].destroy(1).await;
    // And what does not count: another installation's, and somebody's who has no ownership tag but our names.
    Case::new(engine, stage).run(1).await;
    stage.plant(&Case::of(engine, stage, installation).names()[0], None).await;

    let mut expected = BTreeSet::new();
    for case in &mut cases {
        let cluster = case.spec.tag.cluster;
        let things = case.observe().await.map(|seen| seen.resources).unwrap_or_default();
        expected.extend(things.into_iter().map(|thing| (cluster, thing.name, thing.provider_id)));
    }
    assert!(expected.len() > 2, "{expected:?}");
    let found = engine.inventory(&stage.credentials(), installation).await.unwrap();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    let found = found.into_iter().map(|found| (found.cluster, found.resource.name, found.resource.provider_id));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}
