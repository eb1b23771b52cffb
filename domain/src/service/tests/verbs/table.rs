//! Every verb in every state by everybody.

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

async fn ask(counter: &Counter, by: &User, verb: Verb) -> u16 {
    let (clusters, me, id) = (&counter.clusters, caller(by), counter.id);
    match verb {
        Verb::Resize => status(&clusters.resize(&me, id, 5, None).await),
        Verb::SetNetworkPolicy => status(&clusters.set_network_policy(&me, id, policy(true), None).await),
        Verb::Delete => status(&clusters.delete(&me, id, None).await),
        Verb::Retry => status(&clusters.retry(&me, id).await),
        Verb::Cancel => {
            let newest = counter.cluster().operation.unwrap_or_else(OperationId::random);
            status(&clusters.cancel(&me, newest).await)
        }
        Verb::Forget => status(&clusters.forget(&me, id, None).await),
    }
}

/// The lifecycle, or `None` where the cluster is not there any more.
fn lifecycle(counter: &Counter) -> Option<Lifecycle> {
    counter.world.catalog.cluster(counter.id).map(|view| view.cluster.record.lifecycle.clone())
}

#[tokio::test]
async fn every_verb_in_every_state_by_whoever_may() {
    // In the order of `STATES`; what the engine cannot do is 501.
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
                let counter = Counter::with(state);
                let user = people(&counter.world).find(|user| user.username == by).unwrap();
                let before = lifecycle(&counter);
                let what = format!("{by}: {verb:?} {state:?}");
                assert_eq!(ask(&counter, &user, verb).await, expected, "{what}");
                let after = match verb {
                    _ if expected != 200 => before,
                    Verb::Resize | Verb::SetNetworkPolicy => Some(Lifecycle::Updating),
                    Verb::Delete if state == Attached => None,
                    Verb::Delete => Some(Lifecycle::Destroying),
                    Verb::Retry => Some(Lifecycle::Deploying),
                    // Stopping is the reconciler's.
                    Verb::Cancel => before,
                    Verb::Forget => None,
                };
                assert_eq!(lifecycle(&counter), after, "{what}");
                let writes = expected == 200 && (verb, state) != (Verb::Delete, Destroying);
                assert_eq!(counter.commits().len(), usize::from(writes), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_is_told_so_and_who_may_not_see_is_told_nothing() {
    for verb in VERBS {
        for state in STATES {
            let counter = Counter::with(state);
            let p = &counter.world.people;
            let ends = matches!(state, Deploying | Updating | Destroying);
            let looks_on = match verb {
                Verb::Cancel if state == Attached => 404,
                // What has ended cannot be stopped by anybody.
                Verb::Cancel if !ends => 409,
                _ => 403,
            };
            let mut rows = vec![(&p.bob, looks_on), (&p.eve, 404), (&p.mal, 404)];
            if verb == Verb::Forget {
                rows.push((&p.ann, 403));
            }
            for (user, expected) in rows {
                assert_eq!(ask(&counter, user, verb).await, expected, "{}: {verb:?} {state:?}", user.username);
            }
            assert_eq!(counter.commits().len(), 0, "{verb:?} {state:?}");
        }
    }
}

#[tokio::test]
async fn the_policy_of_the_organization_decides() {
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
            let counter = Counter::with(state);
            counter.world.policy(&[(action, Rule::All)]);
            let expected = if verbs.contains(&verb) { 200 } else { 403 };
            assert_eq!(ask(&counter, &counter.world.people.bob, verb).await, expected, "{verb:?} under {action}");
        }
    }
}

#[tokio::test]
async fn trying_again_to_destroy_is_changing_unless_somebody_had_thought_better_of_it() {
    use OperationStatus::{Cancelled, Failed};
    let failed = || Lifecycle::Failed { reason: failure() };
    let update: &[Action] = &[Action::ClusterUpdate];
    let delete: &[Action] = &[Action::ClusterDelete];
    let both: &[Action] = &[Action::ClusterUpdate, Action::ClusterDelete];
    let rows = [
        // Whoever was allowed to has asked for it, and it stands.
        (failed(), Failed, update, 200),
        (failed(), Failed, delete, 403),
        // Whoever may change a cluster may not thereby destroy it.
        (failed(), Cancelled, update, 403),
        (Lifecycle::Ready, Cancelled, update, 403),
        (Lifecycle::Ready, Cancelled, delete, 403),
        (failed(), Cancelled, both, 200),
        (Lifecycle::Ready, Cancelled, both, 200),
    ];
    for (lifecycle, status, allowed, expected) in rows {
        let counter = Counter::after(lifecycle, OperationKind::Destroy, status);
        let rules: Vec<_> = allowed.iter().map(|action| (*action, Rule::All)).collect();
        counter.world.policy(&rules);
        let what = format!("{status:?} with {allowed:?}");
        assert_eq!(ask(&counter, &counter.world.people.bob, Verb::Retry).await, expected, "{what}");
        if expected == 200 {
            assert_eq!(counter.cluster().lifecycle, Lifecycle::Destroying, "{what}");
        }
    }
}

#[tokio::test]
async fn what_the_engine_cannot_do_is_said_with_its_name() {
    let capabilities = Capabilities { deploy: true, ..Capabilities::default() };
    for verb in [Verb::Resize, Verb::SetNetworkPolicy] {
        let mut counter = Counter::with(Ready);
        counter.clusters.engines = engines(EngineDescriptor { capabilities, ..able() });
        let (me, id) = (counter.ann(), counter.id);
        let error = match verb {
            Verb::Resize => counter.clusters.resize(&me, id, 5, None).await.unwrap_err(),
            _ => counter.clusters.set_network_policy(&me, id, policy(true), None).await.unwrap_err(),
        };
        let ServiceError::Unsupported(message) = error else { panic!("{error:?}") };
        assert!(message.starts_with("Engine of the Tests cannot "), "{message}");
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
        let mut counter = Counter::with(state);
        counter.clusters.engines = EngineRegistry::default();
        assert_eq!(ask(&counter, &counter.world.people.ada, verb).await, expected, "{verb:?}");
    }
}
