//! Looking at clusters: what is stored when, and what ends of itself.

use std::sync::Arc;

use chrono::TimeDelta;

use super::world::{Log, World, cluster, noon, status};
use crate::{
    cluster::{Cluster, Lifecycle, Look, Phase, Sighting},
    id::ClusterId,
    port::{
        inspector::MockClusterInspector,
        store::{Change, ClusterSecrets, MockClusterStore, Revision, StoreError},
    },
    secret::Kubeconfig,
    service::looks::{Looked, Looks},
};

fn answered(version: &str) -> Look {
    Look::Answered { version: version.into() }
}

fn refused(reason: &str) -> Look {
    Look::Refused { reason: reason.into() }
}

fn silent(reason: &str) -> Look {
    Look::Silent { reason: reason.into() }
}

/// Looks that find `look` and a store that keeps sightings in `seen`.
fn looks(world: &World, look: Look, seen: &Log<Sighting>) -> Looks {
    let mut store = MockClusterStore::new();
    store.expect_kubeconfig().returning(|_| Ok(Some(Kubeconfig::new("of the cluster".into()))));
    let log = seen.clone();
    store.expect_record_sighting().returning(move |sighting| {
        log.push(sighting.clone());
        Ok(())
    });
    let mut inspector = MockClusterInspector::new();
    inspector
        .expect_look()
        .withf(|kubeconfig| kubeconfig.expose() == "of the cluster")
        .returning(move |_| look.clone());
    with(world, store, inspector)
}

fn with(world: &World, store: MockClusterStore, inspector: MockClusterInspector) -> Looks {
    Looks {
        catalog: world.catalog.clone(),
        store: Arc::new(store),
        inspector: Arc::new(inspector),
        clock: world.clock.clone(),
    }
}

/// What the catalog holds when `look` was found at noon.
fn known(world: &World, look: Look, version: Option<&str>) -> Sighting {
    let sighting = Sighting {
        cluster: world.cluster,
        phase: look.phase(),
        look,
        version: version.map(Into::into),
        phase_changed_at: noon(),
        at: noon(),
    };
    world.put_sighting(sighting.clone());
    sighting
}

#[tokio::test]
async fn a_first_look_is_news_whatever_it_finds() {
    let rows = [
        (answered("v1.37.2"), Phase::Ready, Some("v1.37.2")),
        (refused("not Kubernetes"), Phase::Failed, None),
        (silent("connection refused"), Phase::Unknown, None),
    ];
    for (look, phase, version) in rows {
        let world = World::new();
        let seen = Log::default();
        let looked = looks(&world, look.clone(), &seen).look_at(world.cluster).await.unwrap();
        assert_eq!(looked, Looked::Changed);
        let expected = Sighting {
            cluster: world.cluster,
            look,
            version: version.map(Into::into),
            phase,
            phase_changed_at: world.now(),
            at: world.now(),
        };
        assert_eq!(seen.only(), expected);
    }
}

#[tokio::test]
async fn the_same_look_again_only_moves_the_age() {
    for look in [answered("v1.37.2"), refused("not Kubernetes"), silent("connection refused")] {
        let world = World::new();
        known(&world, look.clone(), Some("v1.37.2"));
        let seen = Log::default();
        let looked = looks(&world, look, &seen).look_at(world.cluster).await.unwrap();
        assert_eq!((looked, seen.len()), (Looked::Same(world.now()), 0));
    }
}

#[tokio::test]
async fn a_phase_has_changed_when_it_changed_and_a_version_is_kept_while_nobody_answers() {
    // Before, after; whether the phase is another; the version known afterwards.
    let rows = [
        (answered("v1.36.0"), answered("v1.37.2"), false, Some("v1.37.2")),
        (silent("time-out"), silent("connection refused"), false, Some("v1.36.0")),
        (refused("401"), refused("403"), false, Some("v1.36.0")),
        (answered("v1.36.0"), silent("time-out"), true, Some("v1.36.0")),
        (answered("v1.36.0"), refused("401"), true, Some("v1.36.0")),
        (silent("time-out"), refused("401"), true, Some("v1.36.0")),
        (silent("time-out"), answered("v1.37.2"), true, Some("v1.37.2")),
    ];
    for (before, after, other_phase, version) in rows {
        let world = World::new();
        known(&world, before.clone(), Some("v1.36.0"));
        let seen = Log::default();
        let looked = looks(&world, after.clone(), &seen).look_at(world.cluster).await.unwrap();
        let sighting = seen.only();
        let what = format!("{before:?} then {after:?}");
        assert_eq!(looked, Looked::Changed, "{what}");
        assert_eq!(sighting.phase_changed_at, if other_phase { world.now() } else { noon() }, "{what}");
        assert_eq!((sighting.version.as_deref(), sighting.phase), (version, after.phase()), "{what}");
        assert_eq!((sighting.at, sighting.look), (world.now(), after), "{what}");
    }
}

#[tokio::test]
async fn there_is_nothing_to_look_at_without_a_cluster_or_its_kubeconfig() {
    let world = World::new();
    let unasked = with(&world, MockClusterStore::new(), MockClusterInspector::new());
    assert_eq!(unasked.look_at(ClusterId::random()).await.unwrap(), Looked::Nothing);
    let bare = Cluster { has_kubeconfig: false, ..cluster("bare", world.making, &world.people.ann) };
    world.put_cluster(bare.clone());
    assert_eq!(unasked.look_at(bare.id).await.unwrap(), Looked::Nothing);

    let mut store = MockClusterStore::new();
    store.expect_kubeconfig().returning(|_| Ok(None));
    let gone = with(&world, store, MockClusterInspector::new());
    assert_eq!(gone.look_at(world.cluster).await.unwrap(), Looked::Nothing);
}

#[tokio::test]
async fn a_cluster_deleted_while_it_was_looked_at_is_nothing_to_look_at() {
    let rows = [(StoreError::Missing, Ok(Looked::Nothing)), (StoreError::Unavailable("down".into()), Err(503))];
    for (error, expected) in rows {
        let world = World::new();
        let mut store = MockClusterStore::new();
        store.expect_kubeconfig().returning(|_| Ok(Some(Kubeconfig::new("{}".into()))));
        store.expect_record_sighting().return_once(|_| Err(error));
        let mut inspector = MockClusterInspector::new();
        inspector.expect_look().returning(|_| silent("time-out"));
        let got = with(&world, store, inspector).look_at(world.cluster).await;
        let code = status(&got);
        assert_eq!(got.map_err(|_| code), expected);
    }
}

#[tokio::test]
async fn ages_are_noted_together_and_not_at_all_when_there_are_none() {
    let world = World::new();
    let mut store = MockClusterStore::new();
    let ages = vec![(world.cluster, world.now()), (world.foreign_cluster, world.now())];
    let expected = ages.clone();
    store.expect_record_ages().withf(move |noted| *noted == expected).times(1).returning(|_| Ok(()));
    let looks = with(&world, store, MockClusterInspector::new());
    looks.note_ages(Vec::new()).await.unwrap();
    looks.note_ages(ages).await.unwrap();
}

#[tokio::test]
async fn what_is_overdue_ends_as_failed_with_what_was_waited_for() {
    let world = World::new();
    let timeout = TimeDelta::hours(1);
    let past = world.now() - timeout - TimeDelta::seconds(1);
    let put = |lifecycle, changed_at| {
        let cluster = Cluster { lifecycle, changed_at, ..cluster("c", world.making, &world.people.ann) };
        world.put_cluster(cluster.clone());
        cluster.id
    };
    let deploying = put(Lifecycle::Deploying, past);
    let updating = put(Lifecycle::Updating, past);
    let destroying = put(Lifecycle::Destroying, past);
    put(Lifecycle::Deploying, world.now() - timeout);
    put(Lifecycle::Failed { reason: "long ago".into() }, past);
    let written: Log<(Cluster, ClusterSecrets, Revision)> = Log::default();
    let (mut store, log) = (MockClusterStore::new(), written.clone());
    store.expect_update().returning(move |cluster, secrets, seen| {
        log.push((cluster.clone(), secrets, seen));
        Ok(seen)
    });
    let ended = with(&world, store, MockClusterInspector::new()).end_overdue(timeout).await.unwrap();
    let written = written.take();
    assert_eq!((ended, written.len()), (3, 3));
    for (id, waited_for) in [(deploying, "made"), (updating, "change"), (destroying, "taken down")] {
        let (after, secrets, seen) = written.iter().find(|(cluster, ..)| cluster.id == id).unwrap();
        let Lifecycle::Failed { reason } = &after.lifecycle else { panic!("{after:?}") };
        assert!(reason.contains(waited_for) && reason.contains("3600 s"), "{reason}");
        assert_eq!(after.changed_at, world.now());
        assert_eq!(*seen, world.catalog.cluster(id).unwrap().cluster.revision);
        assert!(matches!((&secrets.kubeconfig, &secrets.metadata), (Change::Keep, Change::Keep)));
    }
}

#[tokio::test]
async fn an_ending_somebody_else_overtook_is_left_to_the_next_round() {
    let rows =
        [(StoreError::Conflict, Ok(0)), (StoreError::Missing, Ok(0)), (StoreError::Unavailable("".into()), Err(503))];
    for (error, expected) in rows {
        let world = World::new();
        let late = Cluster { lifecycle: Lifecycle::Updating, ..cluster("c", world.making, &world.people.ann) };
        world.put_cluster(late);
        let mut store = MockClusterStore::new();
        store.expect_update().return_once(|_, _, _| Err(error));
        let looks = with(&world, store, MockClusterInspector::new());
        let got = looks.end_overdue(TimeDelta::minutes(1)).await;
        let code = status(&got);
        assert_eq!(got.map_err(|_| code), expected);
    }
}
