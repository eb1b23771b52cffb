//! Every verb in every state by every user.

use super::*;
use crate::{
    access::{Action, Rule},
    service::tests::doubles::status,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verb {
    Resize,
    SetNetworkPolicy,
    Delete,
    Retry,
    Cancel,
    Forget,
}

const VERBS: [Verb; 6] = [Verb::Resize, Verb::SetNetworkPolicy, Verb::Delete, Verb::Retry, Verb::Cancel, Verb::Forget];

async fn ask(fixture: &Fixture, by: &User, verb: Verb) -> u16 {
    let (clusters, me, id) = (&fixture.clusters, caller(by), fixture.id);
    match verb {
        Verb::Resize => status(&clusters.resize(&me, id, 5, None).await),
        Verb::SetNetworkPolicy => status(&clusters.set_network_policy(&me, id, policy(true), None).await),
        Verb::Delete => status(&clusters.delete(&me, id, None).await),
        Verb::Retry => status(&clusters.retry(&me, id).await),
        Verb::Cancel => {
            let newest = fixture.cluster().operation.unwrap_or_else(OperationId::random);
            status(&clusters.cancel(&me, newest).await)
        }
        Verb::Forget => status(&clusters.forget(&me, id, None).await),
    }
}

/// The lifecycle, or `None` once the cluster is removed.
fn lifecycle(fixture: &Fixture) -> Option<Lifecycle> {
    fixture.world.catalog.cluster(fixture.id).map(|view| view.cluster.record.lifecycle.clone())
}

#[tokio::test]
async fn permitted_verbs_match_the_table() {
    // In the order of `STATES`; 501: the engine cannot do it.
    let rows = [
        (Verb::Resize, [501, 409, 200, 409, 409, 409]),
        (Verb::SetNetworkPolicy, [501, 409, 200, 409, 409, 409]),
        (Verb::Delete, [200; 6]),
        (Verb::Retry, [501, 409, 409, 409, 409, 200]),
        (Verb::Cancel, [404, 200, 409, 200, 200, 409]),
        (Verb::Forget, [200; 6]),
    ];
    for (verb, row) in rows {
        for (state, expected) in STATES.into_iter().zip(row) {
            let people = |world: &World| {
                let p = &world.people;
                let admins = [p.ada.clone(), p.boss.clone(), p.root.clone()];
                let owner = (verb != Verb::Forget).then(|| p.ann.clone());
                admins.into_iter().chain(owner)
            };
            for by in people(&World::new()).map(|user| user.username) {
                let fixture = Fixture::with(state);
                let user = people(&fixture.world).find(|user| user.username == by).unwrap();
                let before = lifecycle(&fixture);
                let what = format!("{by}: {verb:?} {state:?}");
                assert_eq!(ask(&fixture, &user, verb).await, expected, "{what}");
                let after = match verb {
                    _ if expected != 200 => before,
                    Verb::Resize | Verb::SetNetworkPolicy => Some(Lifecycle::Updating),
                    Verb::Delete if state == Attached => None,
                    Verb::Delete => Some(Lifecycle::Destroying),
                    Verb::Retry => Some(Lifecycle::Deploying),
                    // The reconciler carries out the cancel.
                    Verb::Cancel => before,
                    Verb::Forget => None,
                };
                assert_eq!(lifecycle(&fixture), after, "{what}");
                let writes = expected == 200 && (verb, state) != (Verb::Delete, Destroying);
                assert_eq!(fixture.commits().len(), usize::from(writes), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn forbidden_verbs_answer_403_and_invisible_clusters_404() {
    for verb in VERBS {
        for state in STATES {
            let fixture = Fixture::with(state);
            let p = &fixture.world.people;
            let is_running = matches!(state, Deploying | Updating | Destroying);
            let visible = match verb {
                Verb::Cancel if state == Attached => 404,
                // An ended operation cannot be cancelled by anybody.
                Verb::Cancel if !is_running => 409,
                _ => 403,
            };
            let mut rows = vec![(&p.bob, visible), (&p.eve, 404), (&p.mal, 404)];
            if verb == Verb::Forget {
                rows.push((&p.ann, 403));
            }
            for (user, expected) in rows {
                assert_eq!(ask(&fixture, user, verb).await, expected, "{}: {verb:?} {state:?}", user.username);
            }
            assert_eq!(fixture.commits().len(), 0, "{verb:?} {state:?}");
        }
    }
}

#[tokio::test]
async fn the_organization_policy_decides() {
    let rows = [
        (Action::ClusterUpdate, vec![Verb::Resize, Verb::SetNetworkPolicy, Verb::Retry, Verb::Cancel]),
        (Action::ClusterDelete, vec![Verb::Delete]),
        (Action::ClusterForget, vec![Verb::Forget]),
    ];
    for (action, verbs) in rows {
        for verb in VERBS {
            let state = match verb {
                Verb::Retry => Failed,
                Verb::Cancel => Updating,
                Verb::Resize | Verb::SetNetworkPolicy | Verb::Delete | Verb::Forget => Ready,
            };
            let fixture = Fixture::with(state);
            fixture.world.policy(&[(action, Rule::All)]);
            let expected = if verbs.contains(&verb) { 200 } else { 403 };
            assert_eq!(ask(&fixture, &fixture.world.people.bob, verb).await, expected, "{verb:?} under {action}");
        }
    }
}

#[tokio::test]
async fn retrying_a_cancelled_destroy_also_needs_permission_to_delete() {
    use OperationStatus::{Cancelled, Failed};
    let failed = || Lifecycle::Failed { reason: failure() };
    let update: &[Action] = &[Action::ClusterUpdate];
    let delete: &[Action] = &[Action::ClusterDelete];
    let both: &[Action] = &[Action::ClusterUpdate, Action::ClusterDelete];
    let rows = [
        // The destroy was requested with permission and is still valid.
        (failed(), Failed, update, 200),
        (failed(), Failed, delete, 403),
        // Permission to update is not permission to destroy.
        (failed(), Cancelled, update, 403),
        (Lifecycle::Ready, Cancelled, update, 403),
        (Lifecycle::Ready, Cancelled, delete, 403),
        (failed(), Cancelled, both, 200),
        (Lifecycle::Ready, Cancelled, both, 200),
    ];
    for (lifecycle, status, allowed, expected) in rows {
        let fixture = Fixture::after(lifecycle, OperationKind::Destroy, status);
        let rules: Vec<_> = allowed.iter().map(|action| (*action, Rule::All)).collect();
        fixture.world.policy(&rules);
        let what = format!("{status:?} with {allowed:?}");
        assert_eq!(ask(&fixture, &fixture.world.people.bob, Verb::Retry).await, expected, "{what}");
        if expected == 200 {
            assert_eq!(fixture.cluster().lifecycle, Lifecycle::Destroying, "{what}");
        }
    }
}

#[tokio::test]
async fn an_unsupported_request_names_the_engine() {
    let capabilities = Capabilities { deploy: true, ..Capabilities::default() };
    for verb in [Verb::Resize, Verb::SetNetworkPolicy] {
        let mut fixture = Fixture::with(Ready);
        fixture.clusters.engines = engines(EngineDescriptor { capabilities, ..able() });
        let (me, id) = (fixture.ann(), fixture.id);
        let error = match verb {
            Verb::Resize => fixture.clusters.resize(&me, id, 5, None).await.unwrap_err(),
            _ => fixture.clusters.set_network_policy(&me, id, policy(true), None).await.unwrap_err(),
        };
        let ServiceError::Unsupported(message) = error else { panic!("{error:?}") };
        assert!(message.starts_with("Test Engine cannot "), "{message}");
    }
}

#[tokio::test]
async fn without_its_engine_a_cluster_can_be_destroyed_cancelled_and_forgotten() {
    let rows = [
        (Verb::Resize, Ready, 409),
        (Verb::SetNetworkPolicy, Ready, 409),
        (Verb::Retry, Failed, 409),
        (Verb::Delete, Ready, 200),
        (Verb::Cancel, Updating, 200),
        (Verb::Forget, Updating, 200),
    ];
    for (verb, state, expected) in rows {
        let mut fixture = Fixture::with(state);
        fixture.clusters.engines = EngineRegistry::default();
        assert_eq!(ask(&fixture, &fixture.world.people.ada, verb).await, expected, "{verb:?}");
    }
}
