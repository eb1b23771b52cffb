//! What an inventory comes to.

use super::*;
use crate::{
    catalog::Scope,
    cluster::Cluster,
    ledger::{ProviderResource, UNCERTAIN},
    observation::{EngineError, InventoryItem, Observation, ProvisioningState},
    port::engine::{Capabilities, EngineDescriptor},
    reason::ReasonCode,
    service::tests::provider::{able, seen},
    timeline::Tombstone,
};

fn found(cluster: ClusterId, names: &[&str]) -> Vec<InventoryItem> {
    names.iter().map(|name| InventoryItem { cluster, resource: thing(name) }).collect()
}

fn tombstone(yard: &Yard, cluster: ClusterId, ago: TimeDelta) -> Tombstone {
    Tombstone {
        cluster,
        name: "left".try_into().unwrap(),
        organization: yard.world.acme,
        owner: yard.world.people.ann.id,
        at: yard.world.now() - ago,
    }
}

const TERM: Option<Term> = Some(Term::Held(Revision(7)));

#[tokio::test]
async fn what_belongs_to_no_cluster_is_listed() {
    let minutes = TimeDelta::minutes;
    // When its cluster left; `None` if nobody knows of one. Then whether it is listed, and under which name.
    let rows = [
        (None, true, None),
        (Some(minutes(5)), true, Some("left")),
        (Some(minutes(600)), true, Some("left")),
        // What is seen may be from before.
        (Some(minutes(5) - TimeDelta::seconds(1)), false, None),
        (Some(minutes(0)), false, None),
    ];
    for (left, listed, name) in rows {
        let yard = Yard::new();
        let cluster = ClusterId::random();
        if let Some(ago) = left {
            yard.world.put_tombstone(tombstone(&yard, cluster, ago));
        }
        yard.provider.inventory.set(Ok(found(cluster, &["pool", "net"])));
        yard.sweep().await.unwrap();
        assert_eq!(yard.words(), ["inventory"], "nothing is done to it");
        let now = yard.world.now();
        let expected = listed.then(|| {
            let orphan = Orphan {
                cluster,
                name: name.map(Into::into),
                organization: yard.world.acme,
                provisioner: yard.world.making,
                resources: rows_of(&["pool", "net"], now),
                state: OrphanState::Listed,
                listed_at: now,
                seen_at: Some(now),
            };
            Write::Put(Box::new(orphan), None, TERM)
        });
        assert_eq!(yard.written.take(), expected.into_iter().collect::<Vec<_>>(), "left {left:?} ago");
    }
}

fn rows_of(names: &[&str], since: chrono::DateTime<chrono::Utc>) -> Vec<ResourceRecord> {
    super::rows(names, since)
}

#[tokio::test]
async fn what_belongs_to_a_cluster_is_none_whoever_provides_it() {
    let yard = Yard::new();
    let world = &yard.world;
    let all = [world.cluster, world.foreign_cluster].iter().flat_map(|id| found(*id, &["net"])).collect();
    yard.provider.inventory.set(Ok(all));
    yard.sweep().await.unwrap();
    assert_eq!(yard.written.len(), 0);
}

#[tokio::test]
async fn the_same_seen_again_is_written_now_and_then_and_anything_new_at_once() {
    for state in [OrphanState::Listed, Yard::new().ignored()] {
        let yard = Yard::new();
        let orphan = yard.put(state);
        // Seen an hour ago.
        yard.provider.inventory.set(Ok(found(orphan.cluster, &["net", "pool"])));
        let at = yard.world.now();
        yard.sweep().await.unwrap();
        let expected = Orphan { resources: rows(&["net", "pool"], at), seen_at: Some(at), ..orphan.clone() };
        assert!(matches!(yard.written.only(), Write::Put(orphan, Some(_), TERM) if *orphan == expected));
        // In whatever order.
        yard.provider.inventory.set(Ok(found(orphan.cluster, &["pool", "net"])));
        yard.world.clock.advance(TimeDelta::minutes(4));
        yard.sweep().await.unwrap();
        assert_eq!(yard.written.len(), 0);
        yard.world.clock.advance(TimeDelta::minutes(1));
        yard.sweep().await.unwrap();
        assert!(matches!(yard.written.only(), Write::Put(orphan, ..) if orphan.seen_at == Some(yard.world.now())));
        let renewed = ProviderResource { provider_id: Some("another".into()), ..thing("pool") };
        for things in
            [found(orphan.cluster, &["net"]), vec![InventoryItem { cluster: orphan.cluster, resource: renewed }]]
        {
            yard.provider.inventory.set(Ok(things.clone()));
            yard.sweep().await.unwrap();
            let Write::Put(orphan, ..) = yard.written.only() else { panic!() };
            let stored: Vec<_> = orphan.resources.iter().map(|row| &row.resource).collect();
            assert_eq!(stored, things.iter().map(|found| &found.resource).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn what_nobody_had_seen_is_seen_at_once() {
    let yard = Yard::new();
    let listed = Orphan { seen_at: None, ..yard.orphan(OrphanState::Listed) };
    yard.world.put_orphan(listed.clone());
    yard.provider.inventory.set(Ok(found(listed.cluster, &["net", "pool"])));
    yard.sweep().await.unwrap();
    assert_eq!(yard.shown(listed.cluster).unwrap().seen_at, Some(yard.world.now()));
}

#[tokio::test]
async fn what_is_gone_leaves_the_list_once_nothing_may_still_appear() {
    for (age, leaves) in [(UNCERTAIN, false), (UNCERTAIN + TimeDelta::seconds(1), true)] {
        for state in [OrphanState::Listed, Yard::new().ignored(), Yard::new().deleting(None)] {
            let yard = Yard::new();
            let listed_at = yard.world.now() - age;
            let orphan = Orphan { listed_at, ..yard.orphan(state.clone()) };
            yard.world.put_orphan(orphan.clone());
            yard.sweep().await.unwrap();
            assert_eq!(yard.shown(orphan.cluster).is_none(), leaves, "{state:?}");
            let removed = leaves.then_some(Write::Removed(orphan.cluster, TERM));
            assert_eq!(yard.written.take(), removed.into_iter().collect::<Vec<_>>(), "{state:?}");
        }
    }
}

#[tokio::test]
async fn an_inventory_speaks_for_the_time_at_which_it_was_begun() {
    let yard = Yard::new();
    let listed_at = yard.world.now() - UNCERTAIN;
    let orphan = Orphan { listed_at, ..yard.orphan(OrphanState::Listed) };
    yard.world.put_orphan(orphan.clone());
    // The provider takes half a minute to answer.
    let clock = yard.world.clock.clone();
    yard.story.meanwhile("inventory", move || clock.advance(TimeDelta::seconds(30)));
    yard.sweep().await.unwrap();
    assert!(yard.shown(orphan.cluster).is_some());
}

#[tokio::test]
async fn what_can_be_reached_through_another_provisioner_is_left_to_that_one() {
    let yard = Yard::new();
    for provisioner in [yard.world.provisioner, ProvisionerId::random()] {
        let orphan = Orphan { provisioner, ..yard.orphan(yard.deleting(None)) };
        yard.world.put_orphan(orphan.clone());
        // Neither when it is found here as well, nor when it is not.
        for things in [found(orphan.cluster, &["more"]), Vec::new()] {
            yard.provider.inventory.set(Ok(things));
            yard.sweep().await.unwrap();
            assert_eq!((yard.written.len(), yard.words()), (0, vec!["inventory"]));
        }
    }
}

#[tokio::test]
async fn a_copied_tag_tells_nobody_what_somebody_else_s_cluster_was_called() {
    let yard = Yard::new();
    let cluster = ClusterId::random();
    let theirs = Tombstone { organization: yard.world.other, ..tombstone(&yard, cluster, TimeDelta::days(1)) };
    yard.world.put_tombstone(theirs);
    yard.provider.inventory.set(Ok(found(cluster, &["net"])));
    yard.sweep().await.unwrap();
    assert_eq!(yard.shown(cluster).unwrap().name, None);
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_changes_nothing() {
    for error in [
        EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused"),
        EngineError::Denied(reason("the key was revoked")),
        EngineError::Missing,
        EngineError::Unsupported("list anything"),
    ] {
        let yard = Yard::new();
        let before = [yard.put(OrphanState::Listed), yard.put(yard.ignored())];
        yard.provider.inventory.set(Err(error));
        yard.sweep().await.unwrap();
        assert_eq!((yard.written.len(), yard.words()), (0, vec!["inventory"]));
        assert_eq!(before.map(|orphan| yard.shown(orphan.cluster)).iter().flatten().count(), 2);
    }
}

#[tokio::test]
async fn an_engine_that_lists_nothing_is_not_asked_to() {
    let yard = Yard::new();
    let capabilities = Capabilities { deploy: true, ..Capabilities::default() };
    yard.provider.descriptor.set(EngineDescriptor { capabilities, ..able() });
    let listed = yard.put(OrphanState::Listed);
    let going = yard.put(yard.deleting(None));
    yard.sweep().await.unwrap();
    // What is to go is asked for one by one.
    assert_eq!(yard.words(), ["observe"]);
    assert!(yard.shown(listed.cluster).is_some() && yard.shown(going.cluster).is_none());
}

#[tokio::test]
async fn there_is_nothing_to_sweep_where_nothing_is_made() {
    let yard = Yard::new();
    for provisioner in [yard.world.provisioner, ProvisionerId::random()] {
        yard.orphan_collector().sweep(provisioner).await.unwrap();
    }
    assert!(yard.words().is_empty());
}

#[tokio::test]
async fn whoever_does_not_lead_asks_nobody_and_writes_nothing() {
    let yard = Yard::new();
    yard.term.set(None);
    yard.put(yard.deleting(None));
    assert!(matches!(yard.sweep().await, Err(StoreError::NotLeader)));
    assert!(yard.words().is_empty());
}

#[tokio::test]
async fn what_was_found_in_one_term_is_not_written_in_another() {
    let yard = Yard::new();
    yard.provider.inventory.set(Ok(found(ClusterId::random(), &["net"])));
    let term = yard.term.clone();
    yard.story.meanwhile("inventory", move || term.set(Some(Term::Held(Revision(9)))));
    yard.sweep().await.unwrap();
    // The store refuses it then.
    assert!(matches!(yard.written.only(), Write::Put(_, None, TERM)));
}

#[tokio::test]
async fn who_was_overtaken_leaves_it_to_the_next_sweep() {
    let harmless = [StoreError::Conflict, StoreError::Missing, StoreError::Dangling { field: "provisioner" }];
    for error in harmless {
        let yard = Yard::new();
        yard.provider.inventory.set(Ok(found(ClusterId::random(), &["net"])));
        yard.refusals.push(error);
        yard.sweep().await.unwrap();
        assert!(yard.world.catalog.orphans(Scope::All).is_empty());
        yard.sweep().await.unwrap();
        assert_eq!(yard.world.catalog.orphans(Scope::All).len(), 1);
    }
    for error in [StoreError::NotLeader, StoreError::Unavailable("down".into())] {
        let yard = Yard::new();
        let expected = error.to_string();
        yard.put(OrphanState::Listed);
        yard.refusals.push(error);
        assert_eq!(yard.sweep().await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn an_orphan_whose_cluster_is_there_after_all_leaves_the_list_and_nothing_is_done_to_it() {
    // Listed by a replica that had not heard of the cluster yet.
    for state in [OrphanState::Listed, Yard::new().ignored(), Yard::new().deleting(None)] {
        let yard = Yard::new();
        let orphan = yard.put(state);
        let world = &yard.world;
        let cluster = super::super::world::cluster("alive", world.making, &world.people.ann);
        world.put_cluster(Cluster { id: orphan.cluster, ..cluster });
        yard.provider.inventory.set(Ok(found(orphan.cluster, &["net", "pool"])));
        yard.sweep().await.unwrap();
        assert_eq!(yard.words(), ["inventory"]);
        assert_eq!(yard.written.only(), Write::Removed(orphan.cluster, TERM));
    }
}

#[tokio::test]
async fn what_an_inventory_does_not_show_is_gone_only_when_a_look_for_it_says_so() {
    let elsewhere = Err(EngineError::Denied(reason("the key is for another project")));
    let there = Ok(Observation::Present(seen(ProvisioningState::Running)));
    let gone = [Ok(Observation::Absent), Err(EngineError::Missing)];
    // What the inventory shows, what a look finds, what is listed then.
    let rows = [
        (vec![], elsewhere.clone(), vec!["net", "pool"]),
        (vec!["net"], elsewhere.clone(), vec!["net", "pool"]),
        (vec!["more"], elsewhere, vec!["more", "net", "pool"]),
        (vec![], there.clone(), vec!["net", "pool"]),
        (vec!["more"], there, vec!["more", "net", "pool"]),
        (vec!["net"], gone[0].clone(), vec!["net"]),
        (vec!["net"], gone[1].clone(), vec!["net"]),
        (vec![], gone[0].clone(), vec![]),
        (vec![], gone[1].clone(), vec![]),
    ];
    for (inventory, look, listed) in rows {
        let yard = Yard::new();
        let orphan = yard.put(OrphanState::Listed);
        yard.provider.inventory.set(Ok(found(orphan.cluster, &inventory)));
        yard.provider.observation.set(look.clone());
        yard.sweep().await.unwrap();
        let what = format!("{inventory:?} and {look:?}");
        assert_eq!(yard.words(), ["inventory", "observe"], "{what}");
        let [(_, spec)] = &yard.provider.asked.take()[..] else { panic!("{what}") };
        assert_eq!(spec.known, [thing("net"), thing("pool")], "where it was made");
        let shown = yard.shown(orphan.cluster).map(|orphan| orphan.resources).unwrap_or_default();
        let mut names: Vec<_> = shown.iter().map(|row| row.resource.name.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, listed, "{what}");
    }
}
