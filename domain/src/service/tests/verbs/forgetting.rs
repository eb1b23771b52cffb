//! Forgetting: the record is removed even during an operation, and resources that may remain are listed.

use super::*;
use crate::{
    catalog::{RecordId, Scope},
    ledger::{Ledger, RecordState},
    orphan::{Orphan, OrphanState},
    port::store::RecordChange,
    service::tests::provider::{name, resource},
    timeline::Tombstone,
};

fn ada(fixture: &Fixture) -> Caller {
    caller(&fixture.world.people.ada)
}

/// A ledger with a present, an intended, a deleting and a gone resource.
fn ledger(fixture: &Fixture) -> Ledger {
    let now = fixture.world.now();
    let mut ledger = Ledger::empty(fixture.id);
    ledger.observed(&[resource("gone"), resource("going")], now);
    ledger.condemn(now);
    ledger.observed(&[resource("going"), resource("present")], now);
    ledger.intend([name("maybe")], now);
    ledger
}

#[tokio::test]
async fn remaining_resources_are_returned_and_listed_as_an_orphan() {
    for state in STATES {
        let fixture = Fixture::with(state);
        let (before, read_at) = (fixture.cluster(), fixture.revision());
        let ledger = ledger(&fixture);
        fixture.fake.put_ledger(ledger.clone());
        let forgotten = fixture.clusters.forget(&ada(&fixture), fixture.id, None).await.unwrap();
        let (commit, now) = (fixture.commit(), fixture.world.now());
        let records: Vec<_> = ledger.remaining().cloned().collect();
        let states: Vec<_> = records.iter().map(|record| (record.resource.name.name.as_str(), record.state)).collect();
        let expected =
            [("going", RecordState::Deleting), ("present", RecordState::Present), ("maybe", RecordState::Intended)];
        assert_eq!(states, expected, "the fixture");
        assert_eq!((forgotten.cluster, &forgotten.remaining), (fixture.id, &records), "{state:?}");
        let orphan = Orphan {
            cluster: fixture.id,
            name: Some(before.name.to_string()),
            organization: before.organization,
            provisioner: before.provisioner,
            resources: records,
            state: OrphanState::Listed,
            listed_at: now,
            seen_at: None,
        };
        assert_eq!(commit.work.orphan, Some(orphan), "{state:?}");
        assert!(matches!(commit.record, RecordChange::Remove(seen) if seen == read_at), "{state:?}");
        let event = fixture.timeline_event(&fixture.world.people.ada, None, "the cluster was forgotten");
        assert_eq!(commit.work.timeline[0], event, "{state:?}");
        let (name, organization, owner) = (before.name, before.organization, before.owner);
        let tombstone = Tombstone { cluster: fixture.id, name, organization, owner, at: now };
        assert_eq!(commit.work.tombstone, Some(tombstone), "{state:?}");
    }
}

#[tokio::test]
async fn an_unfinished_operation_ends_with_the_record_and_ended_ones_are_unchanged() {
    for state in STATES {
        let fixture = Fixture::with(state);
        let running = fixture.cluster().operation.and_then(|id| fixture.world.catalog.operation(id));
        let running = running.map(|view| view.operation).filter(|entry| entry.record.status.is_unfinished());
        fixture.clusters.forget(&ada(&fixture), fixture.id, None).await.unwrap();
        let commit = fixture.commit();
        let (events, ended) = (&commit.work.timeline[1..], &commit.work.operations[..]);
        let Some(running) = running else {
            assert!(events.is_empty() && ended.is_empty(), "{state:?}");
            continue;
        };
        let ada = &fixture.world.people.ada;
        let (expected, event) = stopped(&running.record, "the cluster was forgotten", ada, &fixture);
        assert_eq!(ended, [(expected, Some(running.revision))], "{state:?}");
        assert_eq!(events, [event], "{state:?}");
    }
}

#[tokio::test]
async fn without_remaining_resources_nothing_is_listed() {
    let gone = |fixture: &Fixture| {
        let mut ledger = Ledger::empty(fixture.id);
        ledger.observed(&[resource("net")], fixture.world.now());
        ledger.observed(&[], fixture.world.now());
        ledger
    };
    for has_ledger in [false, true] {
        let fixture = Fixture::with(Failed);
        if has_ledger {
            fixture.fake.put_ledger(gone(&fixture));
        }
        let forgotten = fixture.clusters.forget(&ada(&fixture), fixture.id, None).await.unwrap();
        assert!(forgotten.remaining.is_empty());
        assert!(fixture.commit().work.orphan.is_none());
        assert!(fixture.world.catalog.orphans(Scope::All).is_empty());
    }
}

#[tokio::test]
async fn resources_recorded_during_forgetting_are_listed_too() {
    // Just after the ledger was read, the reconciler stores an intent, which changes the operation as well, or an observation.
    for (has_ledger, changes_operation) in [(false, true), (true, true), (true, false)] {
        let fixture = Fixture::with(Deploying);
        if has_ledger {
            fixture.fake.put_ledger(Ledger::empty(fixture.id));
        }
        let (fake, id) = (fixture.fake.clone(), fixture.id);
        fixture.fake.events.during("ledger", move || {
            let world = &fake.world;
            let mut ledger = Ledger::empty(id);
            ledger.intend([name("net")], world.now());
            fake.put_ledger(ledger);
            if changes_operation {
                let mut operation = world.catalog.operations_of(id)[0].operation.record.clone();
                operation.begin(crate::operation::StepKind::Create, world.now());
                world.put_operation(operation);
            }
        });
        let forgotten = fixture.clusters.forget(&ada(&fixture), fixture.id, None).await.unwrap();
        assert_eq!(forgotten.remaining.len(), 1, "{has_ledger} {changes_operation}");
        let orphan = fixture.world.catalog.orphan(fixture.id).unwrap();
        assert_eq!(orphan.orphan.record.resources, forgotten.remaining);
    }
}

#[tokio::test]
async fn forgetting_needs_no_provisioner_and_no_engine() {
    let mut fixture = Fixture::with(Updating);
    fixture.fake.put_ledger(ledger(&fixture));
    fixture.clusters.engines = EngineRegistry::default();
    fixture.world.deleted(RecordId::Provisioner(fixture.world.making));
    let forgotten = fixture.clusters.forget(&ada(&fixture), fixture.id, None).await.unwrap();
    assert_eq!(forgotten.remaining.len(), 3);
}
