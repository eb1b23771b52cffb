//! Permissions on clusters, and what clusters may refer to.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

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
        store::{Creation, MockClusterStore, MockProvisionerStore},
    },
    revision::Revision,
    secret::Kubeconfig,
    service::{
        ListRequest, ServiceError,
        clusters::{ClusterPatch, Clusters, NewCluster, live::LiveViews},
        provisioners::providers::Providers,
    },
    user::User,
};

/// A store that accepts every write and has a kubeconfig for every cluster.
fn accepting() -> MockClusterStore {
    let mut store = MockClusterStore::new();
    store.expect_create().returning(|_, _, _, _| Ok(Creation::New(Revision(1))));
    store.expect_update().returning(|_, _, expected| Ok(Revision(expected.0 + 1)));
    store.expect_commit().returning(|_, _, _| Ok(Revision(1)));
    store.expect_metadata().returning(|_| Ok(None));
    store.expect_kubeconfig().returning(|_| Ok(Some(Kubeconfig::new("{}".into()))));
    store
}

/// An inspector that always times out, which shows that it was called.
fn timing_out() -> MockClusterInspector {
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

/// The status of each use case, in the order of the columns below.
async fn column(clusters: &Arc<Clusters>, actor: &User, id: ClusterId) -> [u16; 10] {
    let me = caller(actor);
    let providers = Providers {
        catalog: clusters.catalog.clone(),
        clusters: clusters.store.clone(),
        provisioners: Arc::new(MockProvisionerStore::new()),
        engines: clusters.engines.clone(),
        installation: Uuid::from_u128(42),
    };
    let live = LiveViews { clusters: clusters.clone(), providers, inspector: Arc::new(timing_out()) };
    let live_status = async {
        let opened = live.open(&me, id).await?;
        let kubeconfig = opened.kubeconfig().await?;
        Ok::<_, ServiceError>(opened.status(&kubeconfig, Duration::from_secs(1)).await?)
    };
    let graph = async {
        let opened = live.open(&me, id).await?;
        let kubeconfig = opened.kubeconfig().await?;
        Ok::<_, ServiceError>(opened.topology(&kubeconfig, Duration::from_secs(1)).await?)
    };
    [
        status(&clusters.get(&me, id)),
        status(&clusters.show(&me, id).await),
        status(&clusters.progress(&me, id)),
        status(&live_status.await),
        status(&graph.await),
        status(&clusters.kubeconfig(&me, id).await),
        status(&clusters.update(&me, id, renamed(), None).await),
        status(&clusters.resize(&me, id, 3, None).await),
        status(&clusters.set_network_policy(&me, id, calico(), None).await),
        status(&clusters.delete(&me, id, None).await),
    ]
}

/// Visible, but not changeable.
const READ_ONLY: [u16; 10] = [200, 200, 200, 504, 504, 200, 403, 403, 403, 403];
/// Full access; 501: the engine cannot do it.
const FULL_ACCESS: [u16; 10] = [200, 200, 200, 504, 504, 200, 200, 501, 501, 200];
/// Not visible.
const INVISIBLE: [u16; 10] = [404; 10];

#[tokio::test]
async fn default_permissions_match_the_table() {
    let world = World::new();
    let p = &world.people;
    let clusters = Arc::new(world.clusters(accepting()));
    let rows = [
        (&p.bob, READ_ONLY),
        (&p.ann, FULL_ACCESS),
        (&p.ada, FULL_ACCESS),
        (&p.boss, FULL_ACCESS),
        (&p.root, FULL_ACCESS),
        (&p.eve, INVISIBLE),
        (&p.mal, INVISIBLE),
    ];
    for (actor, expected) in rows {
        assert_eq!(column(&clusters, actor, world.cluster).await, expected, "{}", actor.username);
        assert_eq!(column(&clusters, actor, ClusterId::random()).await, INVISIBLE, "{}", actor.username);
    }
}

#[tokio::test]
async fn the_organization_policy_decides() {
    let only = |action, rule| vec![(action, rule)];
    let world = World::new();
    let p = &world.people;
    let clusters = Arc::new(world.clusters(accepting()));
    let with = |mut column: [u16; 10], at: usize, status: u16| {
        column[at] = status;
        column
    };
    let rows = [
        (only(Action::ClusterGet, Rule::IsOwner), &p.bob, INVISIBLE),
        (only(Action::ClusterGet, Rule::IsOwner), &p.ada, INVISIBLE),
        (only(Action::ClusterGet, Rule::IsOwner), &p.ann, FULL_ACCESS),
        (only(Action::ClusterGet, Rule::IsOwner), &p.root, FULL_ACCESS),
        (only(Action::ClusterGet, Rule::IsAdmin), &p.ann, INVISIBLE),
        (only(Action::ClusterGet, Rule::IsSuperadmin), &p.ada, INVISIBLE),
        (only(Action::ClusterKubeconfig, Rule::IsAdmin), &p.ann, with(FULL_ACCESS, 5, 403)),
        (only(Action::ClusterKubeconfig, Rule::IsAdmin), &p.ada, FULL_ACCESS),
        (only(Action::ClusterKubeconfig, Rule::IsOwner), &p.ada, with(FULL_ACCESS, 5, 403)),
        (only(Action::ClusterUpdate, Rule::All), &p.bob, with(FULL_ACCESS, 9, 403)),
        (only(Action::ClusterDelete, Rule::All), &p.bob, with(READ_ONLY, 9, 200)),
        (only(Action::ClusterDelete, Rule::IsSuperadmin), &p.ada, with(FULL_ACCESS, 9, 403)),
        (only(Action::ClusterDelete, Rule::IsSuperadmin), &p.boss, FULL_ACCESS),
    ];
    for (rules, actor, expected) in rows {
        world.policy(&rules);
        assert_eq!(column(&clusters, actor, world.cluster).await, expected, "{} under {rules:?}", actor.username);
    }
}

#[tokio::test]
async fn a_policy_applies_only_to_its_organization() {
    let world = World::new();
    world.policy(&[(Action::ClusterGet, Rule::IsSuperadmin), (Action::ClusterDelete, Rule::All)]);
    let clusters = Arc::new(world.clusters(accepting()));
    assert_eq!(column(&clusters, &world.people.mal, world.foreign_cluster).await, FULL_ACCESS);
    assert_eq!(column(&clusters, &world.people.bob, world.foreign_cluster).await, INVISIBLE);
}

#[tokio::test]
async fn a_kubeconfig_is_not_fetched_without_permission() {
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
fn lists_show_only_visible_clusters() {
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
                let context = format!("{} with list {list:?}, get {get:?}", actor.username);
                match clusters.list(&me, request) {
                    Ok(page) => {
                        let shown: Vec<_> = page.items.iter().map(|view| view.cluster.record.id).collect();
                        assert_eq!(shown, expected, "{context}");
                        assert_eq!(page.total, expected.len(), "{context}");
                        assert_eq!(clusters.health(&me, request).unwrap().total, expected.len(), "{context}");
                    }
                    Err(ServiceError::Forbidden(_)) => {
                        assert!(![p.ada.id, p.bob.id, p.ann.id].into_iter().any(may), "{context}");
                        assert_eq!(status(&clusters.health(&me, request)), 403, "{context}");
                    }
                    Err(error) => panic!("{context}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn creating_follows_role_owner_and_provisioner() {
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
async fn missing_and_foreign_references_have_the_same_error() {
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
async fn changing_the_owner_follows_the_role() {
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
async fn permission_to_update_does_not_allow_taking_ownership() {
    let world = World::new();
    let p = &world.people;
    world.policy(&[(Action::ClusterUpdate, Rule::All)]);
    let clusters = world.clusters(accepting());
    let owned_by = |owner| ClusterPatch { owner: Some(owner), ..renamed() };
    let bob = caller(&p.bob);
    assert_eq!(status(&clusters.update(&bob, world.cluster, renamed(), None).await), 200);
    assert_eq!(status(&clusters.update(&bob, world.cluster, owned_by(p.bob.id), None).await), 403);
    // Sending back the current owner is no change.
    assert_eq!(status(&clusters.update(&bob, world.cluster, owned_by(p.ann.id), None).await), 200);
}

#[tokio::test]
async fn without_a_known_policy_access_is_denied() {
    let world = World::new();
    let p = &world.people;
    world.deleted(RecordId::Organization(world.acme));
    let clusters = Arc::new(world.clusters_with(accepting(), fresh()));
    for actor in [&p.bob, &p.ann, &p.ada] {
        let me = caller(actor);
        assert_eq!(column(&clusters, actor, world.cluster).await, INVISIBLE, "{}", actor.username);
        assert_ne!(status(&clusters.create(&me, new_cluster(world.provisioner, None), None).await), 200);
        assert_eq!(status(&clusters.list(&me, &ListRequest::default())), 403);
    }
    assert_eq!(column(&clusters, &p.root, world.cluster).await, FULL_ACCESS);
}

#[tokio::test]
async fn invisible_objects_cannot_be_referenced() {
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
