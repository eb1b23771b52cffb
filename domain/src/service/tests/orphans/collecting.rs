//! The effect of an inventory on the list of orphans.

use super::*;
use crate::{
    catalog::Scope,
    cluster::Cluster,
    ledger::{ProviderResource, UNCERTAIN},
    observation::{EngineError, InventoryItem, Observation, ProvisioningState},
    port::engine::{Capabilities, EngineDescriptor},
    reason::ReasonCode,
    service::tests::provider::{able, observed_cluster},
    timeline::Tombstone,
};

fn found(cluster: ClusterId, names: &[&str]) -> Vec<InventoryItem> {
    names.iter().map(|name| InventoryItem { cluster, resource: resource(name) }).collect()
}

fn tombstone(fixture: &Fixture, cluster: ClusterId, ago: TimeDelta) -> Tombstone {
    Tombstone {
        cluster,
        name: "left".try_into().unwrap(),
        organization: fixture.world.acme,
        owner: fixture.world.people.ann.id,
        at: fixture.world.now() - ago,
    }
}

const TERM: Option<Term> = Some(Term::Held(Revision(7)));

#[tokio::test]
async fn resources_without_a_cluster_are_listed() {
    let minutes = TimeDelta::minutes;
    // How long ago its cluster was deleted, `None` without a tombstone; whether the orphan is listed, and its name.
    let rows = [
        (None, true, None),
        (Some(minutes(5)), true, Some("left")),
        (Some(minutes(600)), true, Some("left")),
        // The inventory may be older than the deletion.
        (Some(minutes(5) - TimeDelta::seconds(1)), false, None),
        (Some(minutes(0)), false, None),
    ];
    for (deleted_ago, listed, name) in rows {
        let fixture = Fixture::new();
        let cluster = ClusterId::random();
        if let Some(ago) = deleted_ago {
            fixture.world.put_tombstone(tombstone(&fixture, cluster, ago));
        }
        fixture.provider.inventory.set(Ok(found(cluster, &["pool", "net"])));
        fixture.sweep().await.unwrap();
        assert_eq!(fixture.call_names(), ["inventory"], "no other call is made");
        let now = fixture.world.now();
        let expected = listed.then(|| {
            let orphan = Orphan {
                cluster,
                name: name.map(Into::into),
                organization: fixture.world.acme,
                provisioner: fixture.world.making,
                resources: resource_records(&["pool", "net"], now),
                state: OrphanState::Listed,
                listed_at: now,
                seen_at: Some(now),
            };
            Write::Put(Box::new(orphan), None, TERM)
        });
        assert_eq!(fixture.written.take(), expected.into_iter().collect::<Vec<_>>(), "deleted {deleted_ago:?} ago");
    }
}

#[tokio::test]
async fn resources_of_existing_clusters_are_not_listed() {
    let fixture = Fixture::new();
    let world = &fixture.world;
    let all = [world.cluster, world.foreign_cluster].iter().flat_map(|id| found(*id, &["net"])).collect();
    fixture.provider.inventory.set(Ok(all));
    fixture.sweep().await.unwrap();
    assert_eq!(fixture.written.len(), 0);
}

#[tokio::test]
async fn an_unchanged_orphan_is_written_every_five_minutes_and_a_change_at_once() {
    for state in [OrphanState::Listed, Fixture::new().ignored()] {
        let fixture = Fixture::new();
        let orphan = fixture.put(state);
        // Seen an hour ago.
        fixture.provider.inventory.set(Ok(found(orphan.cluster, &["net", "pool"])));
        let at = fixture.world.now();
        fixture.sweep().await.unwrap();
        let expected =
            Orphan { resources: resource_records(&["net", "pool"], at), seen_at: Some(at), ..orphan.clone() };
        assert!(matches!(fixture.written.only(), Write::Put(orphan, Some(_), TERM) if *orphan == expected));
        // In any order.
        fixture.provider.inventory.set(Ok(found(orphan.cluster, &["pool", "net"])));
        fixture.world.clock.advance(TimeDelta::minutes(4));
        fixture.sweep().await.unwrap();
        assert_eq!(fixture.written.len(), 0);
        fixture.world.clock.advance(TimeDelta::minutes(1));
        fixture.sweep().await.unwrap();
        assert!(
            matches!(fixture.written.only(), Write::Put(orphan, ..) if orphan.seen_at == Some(fixture.world.now()))
        );
        let renewed = ProviderResource { provider_id: Some("another".into()), ..resource("pool") };
        for items in
            [found(orphan.cluster, &["net"]), vec![InventoryItem { cluster: orphan.cluster, resource: renewed }]]
        {
            fixture.provider.inventory.set(Ok(items.clone()));
            fixture.sweep().await.unwrap();
            let Write::Put(orphan, ..) = fixture.written.only() else { panic!() };
            let stored: Vec<_> = orphan.resources.iter().map(|record| &record.resource).collect();
            assert_eq!(stored, items.iter().map(|found| &found.resource).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn the_first_observation_is_written_at_once() {
    let fixture = Fixture::new();
    let listed = Orphan { seen_at: None, ..fixture.orphan(OrphanState::Listed) };
    fixture.world.put_orphan(listed.clone());
    fixture.provider.inventory.set(Ok(found(listed.cluster, &["net", "pool"])));
    fixture.sweep().await.unwrap();
    assert_eq!(fixture.shown(listed.cluster).unwrap().seen_at, Some(fixture.world.now()));
}

#[tokio::test]
async fn an_absent_orphan_is_removed_once_nothing_can_still_appear() {
    for (age, is_removed) in [(UNCERTAIN, false), (UNCERTAIN + TimeDelta::seconds(1), true)] {
        for state in [OrphanState::Listed, Fixture::new().ignored(), Fixture::new().deleting(None)] {
            let fixture = Fixture::new();
            let listed_at = fixture.world.now() - age;
            let orphan = Orphan { listed_at, ..fixture.orphan(state.clone()) };
            fixture.world.put_orphan(orphan.clone());
            fixture.sweep().await.unwrap();
            assert_eq!(fixture.shown(orphan.cluster).is_none(), is_removed, "{state:?}");
            let removed = is_removed.then_some(Write::Removed(orphan.cluster, TERM));
            assert_eq!(fixture.written.take(), removed.into_iter().collect::<Vec<_>>(), "{state:?}");
        }
    }
}

#[tokio::test]
async fn an_inventory_counts_from_the_time_it_began() {
    let fixture = Fixture::new();
    let listed_at = fixture.world.now() - UNCERTAIN;
    let orphan = Orphan { listed_at, ..fixture.orphan(OrphanState::Listed) };
    fixture.world.put_orphan(orphan.clone());
    // The provider takes half a minute to answer.
    let clock = fixture.world.clock.clone();
    fixture.events.during("inventory", move || clock.advance(TimeDelta::seconds(30)));
    fixture.sweep().await.unwrap();
    assert!(fixture.shown(orphan.cluster).is_some());
}

#[tokio::test]
async fn orphans_of_other_provisioners_are_not_changed() {
    let fixture = Fixture::new();
    for provisioner in [fixture.world.provisioner, ProvisionerId::random()] {
        let orphan = Orphan { provisioner, ..fixture.orphan(fixture.deleting(None)) };
        fixture.world.put_orphan(orphan.clone());
        // Whether it is found here or not.
        for items in [found(orphan.cluster, &["more"]), Vec::new()] {
            fixture.provider.inventory.set(Ok(items));
            fixture.sweep().await.unwrap();
            assert_eq!((fixture.written.len(), fixture.call_names()), (0, vec!["inventory"]));
        }
    }
}

#[tokio::test]
async fn a_copied_tag_does_not_reveal_the_name_of_a_foreign_cluster() {
    let fixture = Fixture::new();
    let cluster = ClusterId::random();
    let foreign = Tombstone { organization: fixture.world.other, ..tombstone(&fixture, cluster, TimeDelta::days(1)) };
    fixture.world.put_tombstone(foreign);
    fixture.provider.inventory.set(Ok(found(cluster, &["net"])));
    fixture.sweep().await.unwrap();
    assert_eq!(fixture.shown(cluster).unwrap().name, None);
}

#[tokio::test]
async fn a_failed_inventory_changes_nothing() {
    for error in [
        EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused"),
        EngineError::Denied(reason("the key was revoked")),
        EngineError::Missing,
        EngineError::Unsupported("list anything"),
    ] {
        let fixture = Fixture::new();
        let before = [fixture.put(OrphanState::Listed), fixture.put(fixture.ignored())];
        fixture.provider.inventory.set(Err(error));
        fixture.sweep().await.unwrap();
        assert_eq!((fixture.written.len(), fixture.call_names()), (0, vec!["inventory"]));
        assert_eq!(before.map(|orphan| fixture.shown(orphan.cluster)).iter().flatten().count(), 2);
    }
}

#[tokio::test]
async fn an_engine_without_inventory_is_not_asked_for_one() {
    let fixture = Fixture::new();
    let capabilities = Capabilities { deploy: true, ..Capabilities::default() };
    fixture.provider.descriptor.set(EngineDescriptor { capabilities, ..able() });
    let listed = fixture.put(OrphanState::Listed);
    let deleting = fixture.put(fixture.deleting(None));
    fixture.sweep().await.unwrap();
    // Deleting orphans are observed one by one.
    assert_eq!(fixture.call_names(), ["observe"]);
    assert!(fixture.shown(listed.cluster).is_some() && fixture.shown(deleting.cluster).is_none());
}

#[tokio::test]
async fn attaching_and_unknown_provisioners_are_not_swept() {
    let fixture = Fixture::new();
    for provisioner in [fixture.world.provisioner, ProvisionerId::random()] {
        fixture.orphan_collector().sweep(provisioner).await.unwrap();
    }
    assert!(fixture.call_names().is_empty());
}

#[tokio::test]
async fn only_the_leader_sweeps() {
    let fixture = Fixture::new();
    fixture.term.set(None);
    fixture.put(fixture.deleting(None));
    assert!(matches!(fixture.sweep().await, Err(StoreError::NotLeader)));
    assert!(fixture.call_names().is_empty());
}

#[tokio::test]
async fn a_write_names_the_term_of_its_inventory() {
    let fixture = Fixture::new();
    fixture.provider.inventory.set(Ok(found(ClusterId::random(), &["net"])));
    let term = fixture.term.clone();
    fixture.events.during("inventory", move || term.set(Some(Term::Held(Revision(9)))));
    fixture.sweep().await.unwrap();
    // The store refuses a write in an ended term.
    assert!(matches!(fixture.written.only(), Write::Put(_, None, TERM)));
}

#[tokio::test]
async fn a_conflicting_write_is_left_to_the_next_sweep() {
    let harmless = [StoreError::Conflict, StoreError::Missing, StoreError::Dangling { field: "provisioner" }];
    for error in harmless {
        let fixture = Fixture::new();
        fixture.provider.inventory.set(Ok(found(ClusterId::random(), &["net"])));
        fixture.refusals.push(error);
        fixture.sweep().await.unwrap();
        assert!(fixture.world.catalog.orphans(Scope::All).is_empty());
        fixture.sweep().await.unwrap();
        assert_eq!(fixture.world.catalog.orphans(Scope::All).len(), 1);
    }
    for error in [StoreError::NotLeader, StoreError::Unavailable("down".into())] {
        let fixture = Fixture::new();
        let expected = error.to_string();
        fixture.put(OrphanState::Listed);
        fixture.refusals.push(error);
        assert_eq!(fixture.sweep().await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn an_orphan_whose_cluster_exists_is_only_removed_from_the_list() {
    // Listed by a replica that did not know the cluster yet.
    for state in [OrphanState::Listed, Fixture::new().ignored(), Fixture::new().deleting(None)] {
        let fixture = Fixture::new();
        let orphan = fixture.put(state);
        let world = &fixture.world;
        let cluster = super::super::world::cluster("alive", world.making, &world.people.ann);
        world.put_cluster(Cluster { id: orphan.cluster, ..cluster });
        fixture.provider.inventory.set(Ok(found(orphan.cluster, &["net", "pool"])));
        fixture.sweep().await.unwrap();
        assert_eq!(fixture.call_names(), ["inventory"]);
        assert_eq!(fixture.written.only(), Write::Removed(orphan.cluster, TERM));
    }
}

#[tokio::test]
async fn a_resource_missing_from_the_inventory_is_gone_only_if_an_observation_confirms_it() {
    let elsewhere = Err(EngineError::Denied(reason("the key is for another project")));
    let present = Ok(Observation::Present(observed_cluster(ProvisioningState::Running)));
    let gone = [Ok(Observation::Absent), Err(EngineError::Missing)];
    // The inventory, the observation, and the resources listed then.
    let rows = [
        (vec![], elsewhere.clone(), vec!["net", "pool"]),
        (vec!["net"], elsewhere.clone(), vec!["net", "pool"]),
        (vec!["more"], elsewhere, vec!["more", "net", "pool"]),
        (vec![], present.clone(), vec!["net", "pool"]),
        (vec!["more"], present, vec!["more", "net", "pool"]),
        (vec!["net"], gone[0].clone(), vec!["net"]),
        (vec!["net"], gone[1].clone(), vec!["net"]),
        (vec![], gone[0].clone(), vec![]),
        (vec![], gone[1].clone(), vec![]),
    ];
    for (inventory, observation, listed) in rows {
        let fixture = Fixture::new();
        let orphan = fixture.put(OrphanState::Listed);
        fixture.provider.inventory.set(Ok(found(orphan.cluster, &inventory)));
        fixture.provider.observation.set(observation.clone());
        fixture.sweep().await.unwrap();
        let what = format!("{inventory:?} and {observation:?}");
        assert_eq!(fixture.call_names(), ["inventory", "observe"], "{what}");
        let [(_, spec)] = &fixture.provider.calls.take()[..] else { panic!("{what}") };
        assert_eq!(spec.known, [resource("net"), resource("pool")], "the known resources");
        let shown = fixture.shown(orphan.cluster).map(|orphan| orphan.resources).unwrap_or_default();
        let mut names: Vec<_> = shown.iter().map(|record| record.resource.name.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, listed, "{what}");
    }
}
