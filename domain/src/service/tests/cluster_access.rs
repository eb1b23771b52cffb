//! Who may do what to clusters, and what clusters may refer to.

use std::{sync::Arc, time::Duration};

use super::{
    doubles::{fields, fresh, kubeconfig, status},
    world::{World, caller, cluster},
};
use crate::{
    access::{Action, Rule, Target, allows},
    catalog::RecordId,
    id::{ClusterId, ProvisionerId, UserId},
    operation::NetworkPolicy,
    port::{
        inspector::{InspectError, MockClusterInspector},
        store::{Creation, MockClusterStore},
    },
    revision::Revision,
    secret::Kubeconfig,
    service::{
        ListRequest, ServiceError,
        clusters::{ClusterPatch, Clusters, NewCluster, live::LiveViews},
    },
    user::User,
};

/// A store that accepts every write and has a kubeconfig for every cluster.
fn accepting() -> MockClusterStore {
    let mut store = MockClusterStore::new();
    store.expect_create().returning(|_, _, _, _| Ok(Creation::New(Revision(1))));
    store.expect_update().returning(|_, _, seen| Ok(Revision(seen.0 + 1)));
    store.expect_commit().returning(|_, _, _| Ok(Revision(1)));
    store.expect_metadata().returning(|_| Ok(None));
    store.expect_kubeconfig().returning(|_| Ok(Some(Kubeconfig::new("{}".into()))));
    store
}

/// An inspector whose answers show that it was asked.
fn silent() -> MockClusterInspector {
    let mut inspector = MockClusterInspector::new();
    inspector.expect_status().returning(|_, _| Err(InspectError::TimedOut("no answer".into())));
    inspector.expect_topology().returning(|_, _| Err(InspectError::TimedOut("no answer".into())));
    inspector
}

fn new_cluster(provisioner: ProvisionerId, owner: Option<UserId>) -> NewCluster {
    NewCluster {
        name: "new".try_into().unwrap(),
        provisioner,
        owner,
        metadata: None,
        kubeconfig: Some(kubeconfig("abc").into()),
    }
}

fn renamed() -> ClusterPatch {
    ClusterPatch { name: Some("other".try_into().unwrap()), ..ClusterPatch::default() }
}

fn calico() -> NetworkPolicy {
    NetworkPolicy { provider: "CALICO".into(), enabled: true }
}

/// What each use case answers on acme's cluster, in the order of the columns below.
async fn column(clusters: &Arc<Clusters>, actor: &User, id: ClusterId) -> [u16; 10] {
    let me = caller(actor);
    let live = LiveViews { clusters: clusters.clone(), inspector: Arc::new(silent()) };
    let seen = async { Ok::<_, ServiceError>(live.open(&me, id).await?.status(Duration::from_secs(1)).await?) };
    let graph = async { Ok::<_, ServiceError>(live.open(&me, id).await?.topology(Duration::from_secs(1)).await?) };
    [
        status(&clusters.get(&me, id)),
        status(&clusters.show(&me, id).await),
        status(&clusters.progress(&me, id)),
        status(&seen.await),
        status(&graph.await),
        status(&clusters.kubeconfig(&me, id).await),
        status(&clusters.update(&me, id, renamed(), None).await),
        status(&clusters.resize(&me, id, 3, None).await),
        status(&clusters.set_network_policy(&me, id, calico(), None).await),
        status(&clusters.delete(&me, id, None).await),
    ]
}

/// Shown, but nothing may be done to it.
const LOOKS_ON: [u16; 10] = [200, 200, 200, 504, 504, 200, 403, 403, 403, 403];
/// Everything; what the engine cannot do is 501.
const DOES: [u16; 10] = [200, 200, 200, 504, 504, 200, 200, 501, 501, 200];
/// Not even that it is there.
const BLIND: [u16; 10] = [404; 10];

#[tokio::test]
async fn who_does_what_by_default() {
    let world = World::new();
    let p = &world.people;
    let clusters = Arc::new(world.clusters(accepting()));
    let rows = [
        (&p.bob, LOOKS_ON),
        (&p.ann, DOES),
        (&p.ada, DOES),
        (&p.boss, DOES),
        (&p.root, DOES),
        (&p.eve, BLIND),
        (&p.mal, BLIND),
    ];
    for (actor, expected) in rows {
        assert_eq!(column(&clusters, actor, world.cluster).await, expected, "{}", actor.username);
        assert_eq!(column(&clusters, actor, ClusterId::random()).await, BLIND, "{}", actor.username);
    }
}

#[tokio::test]
async fn the_policy_of_the_organization_decides() {
    let only = |action, rule| vec![(action, rule)];
    let world = World::new();
    let p = &world.people;
    let clusters = Arc::new(world.clusters(accepting()));
    let with = |mut column: [u16; 10], at: usize, status: u16| {
        column[at] = status;
        column
    };
    let rows = [
        (only(Action::ClusterGet, Rule::IsOwner), &p.bob, BLIND),
        (only(Action::ClusterGet, Rule::IsOwner), &p.ada, BLIND),
        (only(Action::ClusterGet, Rule::IsOwner), &p.ann, DOES),
        (only(Action::ClusterGet, Rule::IsOwner), &p.root, DOES),
        (only(Action::ClusterGet, Rule::IsAdmin), &p.ann, BLIND),
        (only(Action::ClusterGet, Rule::IsSuperadmin), &p.ada, BLIND),
        (only(Action::ClusterKubeconfig, Rule::IsAdmin), &p.ann, with(DOES, 5, 403)),
        (only(Action::ClusterKubeconfig, Rule::IsAdmin), &p.ada, DOES),
        (only(Action::ClusterKubeconfig, Rule::IsOwner), &p.ada, with(DOES, 5, 403)),
        (only(Action::ClusterUpdate, Rule::All), &p.bob, with(DOES, 9, 403)),
        (only(Action::ClusterDelete, Rule::All), &p.bob, with(LOOKS_ON, 9, 200)),
        (only(Action::ClusterDelete, Rule::IsSuperadmin), &p.ada, with(DOES, 9, 403)),
        (only(Action::ClusterDelete, Rule::IsSuperadmin), &p.boss, DOES),
    ];
    for (rules, actor, expected) in rows {
        world.policy(&rules);
        assert_eq!(column(&clusters, actor, world.cluster).await, expected, "{} under {rules:?}", actor.username);
    }
}

#[tokio::test]
async fn the_policy_of_one_organization_does_not_reach_into_another() {
    let world = World::new();
    world.policy(&[(Action::ClusterGet, Rule::IsSuperadmin), (Action::ClusterDelete, Rule::All)]);
    let clusters = Arc::new(world.clusters(accepting()));
    assert_eq!(column(&clusters, &world.people.mal, world.foreign_cluster).await, DOES);
    assert_eq!(column(&clusters, &world.people.bob, world.foreign_cluster).await, BLIND);
}

#[tokio::test]
async fn a_kubeconfig_the_caller_may_not_read_is_not_fetched_for_it() {
    let world = World::new();
    world.policy(&[(Action::ClusterKubeconfig, Rule::IsAdmin)]);
    let mut store = MockClusterStore::new();
    store.expect_update().returning(|_, _, _| Ok(Revision(1)));
    store.expect_create().returning(|_, _, _, _| Ok(Creation::New(Revision(1))));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    assert!(clusters.show(&ann, world.cluster).await.unwrap().kubeconfig.is_none());
    assert!(clusters.update(&ann, world.cluster, renamed(), None).await.unwrap().kubeconfig.is_none());
    let created = clusters.create(&ann, new_cluster(world.provisioner, None), None).await.unwrap();
    assert!(created.kubeconfig.is_none());
}

#[test]
fn lists_show_what_the_policy_lets_be_seen() {
    for list in Rule::ALL {
        for get in Rule::ALL {
            let world = World::new();
            let p = &world.people;
            for owner in [&p.ada, &p.bob, &p.ann] {
                world.put_cluster(cluster("more", world.provisioner, owner));
            }
            world.policy(&[(Action::ClusterList, list), (Action::ClusterGet, get)]);
            let clusters = world.clusters(MockClusterStore::new());
            let all = ListRequest { all_namespaces: true, ..ListRequest::default() };
            let acme = ListRequest { namespace: Some("acme".into()), ..ListRequest::default() };
            let everything = clusters.list(&caller(&p.root), &all).unwrap();
            assert_eq!(everything.total, 5);
            for (actor, request) in
                [(&p.bob, &ListRequest::default()), (&p.ada, &ListRequest::default()), (&p.root, &acme)]
            {
                let me = caller(actor);
                let policy = world.catalog.organization(world.acme).unwrap().record.policy.clone();
                let may = |owner| {
                    let target = Target { organization: world.acme, owner: Some(owner) };
                    allows(&me, Action::ClusterList, target, &policy)
                };
                let mut expected: Vec<ClusterId> = Vec::new();
                for view in &everything.items {
                    let record = &view.cluster.record;
                    let here = record.organization == world.acme;
                    if here && may(record.owner) && clusters.get(&me, record.id).is_ok() {
                        expected.push(record.id);
                    }
                }
                let place = format!("{} with list {list:?}, get {get:?}", actor.username);
                match clusters.list(&me, request) {
                    Ok(page) => {
                        let shown: Vec<_> = page.items.iter().map(|view| view.cluster.record.id).collect();
                        assert_eq!(shown, expected, "{place}");
                        assert_eq!(page.total, expected.len(), "{place}");
                        assert_eq!(clusters.health(&me, request).unwrap().total, expected.len(), "{place}");
                    }
                    Err(ServiceError::Forbidden(_)) => {
                        assert!(![p.ada.id, p.bob.id, p.ann.id].into_iter().any(may), "{place}");
                        assert_eq!(status(&clusters.health(&me, request)), 403, "{place}");
                    }
                    Err(error) => panic!("{place}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn who_creates_what_for_whom() {
    let world = World::new();
    let p = &world.people;
    let clusters = world.clusters(accepting());
    let (own, foreign) = (world.provisioner, world.foreign_provisioner);
    let rows = [
        (&p.bob, own, None, 200),
        (&p.bob, own, Some(p.bob.id), 200),
        (&p.bob, own, Some(p.ann.id), 403),
        (&p.bob, own, Some(p.mal.id), 422),
        (&p.bob, foreign, None, 422),
        (&p.ada, own, Some(p.ann.id), 200),
        (&p.ada, own, Some(p.mal.id), 422),
        (&p.ada, foreign, None, 422),
        (&p.eve, own, None, 422),
        (&p.root, own, None, 200),
        (&p.root, own, Some(p.ann.id), 200),
        (&p.root, own, Some(p.mal.id), 422),
        (&p.root, foreign, Some(p.mal.id), 200),
        (&p.root, ProvisionerId::random(), None, 422),
    ];
    for (actor, provisioner, owner, expected) in rows {
        let got = clusters.create(&caller(actor), new_cluster(provisioner, owner), None).await;
        assert_eq!(status(&got), expected, "{} on {provisioner} for {owner:?}", actor.username);
        if let Ok(created) = got {
            let record = &created.view.cluster.record;
            assert_eq!(record.owner, owner.unwrap_or(actor.id));
            assert_eq!(record.organization, if provisioner == own { world.acme } else { world.other });
        }
    }
    world.policy(&[(Action::ClusterCreate, Rule::IsAdmin)]);
    for (actor, expected) in [(&p.bob, 403), (&p.ada, 200), (&p.root, 200)] {
        let got = clusters.create(&caller(actor), new_cluster(own, None), None).await;
        assert_eq!(status(&got), expected, "{}", actor.username);
    }
}

#[tokio::test]
async fn what_is_missing_and_what_is_somebody_else_s_are_refused_in_the_same_words() {
    let world = World::new();
    let p = &world.people;
    let clusters = world.clusters(MockClusterStore::new());
    for actor in [&p.bob, &p.ada] {
        let me = caller(actor);
        let missing = clusters.create(&me, new_cluster(ProvisionerId::random(), None), None).await;
        let foreign = clusters.create(&me, new_cluster(world.foreign_provisioner, None), None).await;
        assert_eq!(fields(missing), fields(foreign));
        let missing = clusters.create(&me, new_cluster(world.provisioner, Some(UserId::random())), None).await;
        let foreign = clusters.create(&me, new_cluster(world.provisioner, Some(p.mal.id)), None).await;
        assert_eq!(fields(missing), fields(foreign));
    }
    let given = |owner| ClusterPatch { owner: Some(owner), ..ClusterPatch::default() };
    let ada = caller(&p.ada);
    let missing = clusters.update(&ada, world.cluster, given(UserId::random()), None).await;
    let foreign = clusters.update(&ada, world.cluster, given(p.mal.id), None).await;
    assert_eq!(fields(missing), fields(foreign));
}

#[tokio::test]
async fn who_gives_a_cluster_to_whom() {
    let world = World::new();
    let p = &world.people;
    let clusters = world.clusters(accepting());
    let rows = [
        (&p.ann, p.ann.id, 200),
        (&p.ann, p.bob.id, 403),
        (&p.bob, p.bob.id, 403),
        (&p.ada, p.bob.id, 200),
        (&p.ada, p.ada.id, 200),
        (&p.ada, p.mal.id, 422),
        (&p.root, p.bob.id, 200),
        (&p.root, p.root.id, 200),
        (&p.root, p.mal.id, 422),
    ];
    for (actor, owner, expected) in rows {
        let patch = ClusterPatch { owner: Some(owner), ..ClusterPatch::default() };
        let got = clusters.update(&caller(actor), world.cluster, patch, None).await;
        assert_eq!(status(&got), expected, "{} gives it to {owner}", actor.username);
    }
}

#[tokio::test]
async fn members_who_may_change_a_cluster_do_not_thereby_come_to_own_it() {
    let world = World::new();
    let p = &world.people;
    world.policy(&[(Action::ClusterUpdate, Rule::All)]);
    let clusters = world.clusters(accepting());
    let owned_by = |owner| ClusterPatch { owner: Some(owner), ..renamed() };
    let bob = caller(&p.bob);
    assert_eq!(status(&clusters.update(&bob, world.cluster, renamed(), None).await), 200);
    assert_eq!(status(&clusters.update(&bob, world.cluster, owned_by(p.bob.id), None).await), 403);
    // The owner it has, sent back with the rest, is no change.
    assert_eq!(status(&clusters.update(&bob, world.cluster, owned_by(p.ann.id), None).await), 200);
}

#[tokio::test]
async fn where_the_policy_is_not_known_the_answer_is_no() {
    let world = World::new();
    let p = &world.people;
    world.deleted(RecordId::Organization(world.acme));
    let clusters = Arc::new(world.clusters_with(accepting(), fresh()));
    for actor in [&p.bob, &p.ann, &p.ada] {
        let me = caller(actor);
        assert_eq!(column(&clusters, actor, world.cluster).await, BLIND, "{}", actor.username);
        assert_ne!(status(&clusters.create(&me, new_cluster(world.provisioner, None), None).await), 200);
        assert_eq!(status(&clusters.list(&me, &ListRequest::default())), 403);
    }
    assert_eq!(column(&clusters, &p.root, world.cluster).await, DOES);
}

#[tokio::test]
async fn what_the_policy_hides_cannot_be_referred_to() {
    let world = World::new();
    let p = &world.people;
    let clusters = world.clusters(accepting());
    world.policy(&[(Action::ProvisionerGet, Rule::IsAdmin), (Action::UserGet, Rule::IsOwner)]);
    let hidden = clusters.create(&caller(&p.bob), new_cluster(world.provisioner, None), None).await;
    let missing = clusters.create(&caller(&p.bob), new_cluster(ProvisionerId::random(), None), None).await;
    assert_eq!(fields(hidden), fields(missing));
    let hidden = clusters.create(&caller(&p.ada), new_cluster(world.provisioner, Some(p.ann.id)), None).await;
    let missing = clusters.create(&caller(&p.ada), new_cluster(world.provisioner, Some(UserId::random())), None).await;
    assert_eq!(fields(hidden), fields(missing));
    let own = clusters.create(&caller(&p.ada), new_cluster(world.provisioner, Some(p.ada.id)), None).await;
    assert_eq!(status(&own), 200);
}
