//! Forgetting: the record goes whatever is under way, and what may remain is listed.

use super::*;
use crate::{
    catalog::{RecordId, Scope},
    ledger::{Ledger, RecordState},
    orphan::{Orphan, OrphanState},
    port::store::RecordChange,
    service::tests::provider::{name, thing},
    timeline::Tombstone,
};

fn ada(counter: &Counter) -> Caller {
    caller(&counter.world.people.ada)
}

/// Something that is there, something that may be, something that is to go, and something that is gone.
fn ledger(counter: &Counter) -> Ledger {
    let now = counter.world.now();
    let mut ledger = Ledger::empty(counter.id);
    ledger.observed(&[thing("gone"), thing("going")], now);
    ledger.condemn(now);
    ledger.observed(&[thing("going"), thing("there")], now);
    ledger.intend([name("may be")], now);
    ledger
}

#[tokio::test]
async fn what_may_remain_is_answered_and_listed_as_an_orphan() {
    for state in STATES {
        let counter = Counter::with(state);
        let (before, read_at) = (counter.cluster(), counter.revision());
        let ledger = ledger(&counter);
        counter.kept.put_ledger(ledger.clone());
        let forgotten = counter.clusters.forget(&ada(&counter), counter.id, None).await.unwrap();
        let (commit, now) = (counter.commit(), counter.world.now());
        let rows: Vec<_> = ledger.remaining().cloned().collect();
        let states: Vec<_> = rows.iter().map(|row| (row.resource.name.name.as_str(), row.state)).collect();
        let expected =
            [("going", RecordState::Deleting), ("there", RecordState::Present), ("may be", RecordState::Intended)];
        assert_eq!(states, expected, "the fixture");
        assert_eq!((forgotten.cluster, &forgotten.remaining), (counter.id, &rows), "{state:?}");
        let orphan = Orphan {
            cluster: counter.id,
            name: Some(before.name.to_string()),
            organization: before.organization,
            provisioner: before.provisioner,
            resources: rows,
            state: OrphanState::Listed,
            listed_at: now,
            seen_at: None,
        };
        assert_eq!(commit.work.orphan, Some(orphan), "{state:?}");
        assert!(matches!(commit.record, RecordChange::Remove(seen) if seen == read_at), "{state:?}");
        let told = counter.told(&counter.world.people.ada, None, "the cluster was forgotten");
        assert_eq!(commit.work.timeline[0], told, "{state:?}");
        let (name, organization, owner) = (before.name, before.organization, before.owner);
        let tombstone = Tombstone { cluster: counter.id, name, organization, owner, at: now };
        assert_eq!(commit.work.tombstone, Some(tombstone), "{state:?}");
    }
}

#[tokio::test]
async fn what_is_under_way_ends_with_the_record_and_what_has_ended_stays_as_it_was() {
    for state in STATES {
        let counter = Counter::with(state);
        let running = counter.cluster().operation.and_then(|id| counter.world.catalog.operation(id));
        let running = running.map(|view| view.operation).filter(|entry| entry.record.status.is_unfinished());
        counter.clusters.forget(&ada(&counter), counter.id, None).await.unwrap();
        let commit = counter.commit();
        let (told, ended) = (&commit.work.timeline[1..], &commit.work.operations[..]);
        let Some(running) = running else {
            assert!(told.is_empty() && ended.is_empty(), "{state:?}");
            continue;
        };
        let ada = &counter.world.people.ada;
        let (expected, entry) = stopped(&running.record, "the cluster was forgotten", ada, &counter);
        assert_eq!(ended, [(expected, Some(running.revision))], "{state:?}");
        assert_eq!(told, [entry], "{state:?}");
    }
}

#[tokio::test]
async fn where_nothing_remains_nothing_is_listed() {
    let gone = |counter: &Counter| {
        let mut ledger = Ledger::empty(counter.id);
        ledger.observed(&[thing("net")], counter.world.now());
        ledger.observed(&[], counter.world.now());
        ledger
    };
    for has_ledger in [false, true] {
        let counter = Counter::with(Failed);
        if has_ledger {
            counter.kept.put_ledger(gone(&counter));
        }
        let forgotten = counter.clusters.forget(&ada(&counter), counter.id, None).await.unwrap();
        assert!(forgotten.remaining.is_empty());
        assert!(counter.commit().work.orphan.is_none());
        assert!(counter.world.catalog.orphans(Scope::All).is_empty());
    }
}

#[tokio::test]
async fn what_is_written_down_while_a_cluster_is_forgotten_is_listed_all_the_same() {
    // Just after the ledger was read the reconciler writes an intent, which moves the operation as well, or something it has seen.
    for (has_ledger, moves_operation) in [(false, true), (true, true), (true, false)] {
        let counter = Counter::with(Deploying);
        if has_ledger {
            counter.kept.put_ledger(Ledger::empty(counter.id));
        }
        let (kept, id) = (counter.kept.clone(), counter.id);
        counter.kept.story.meanwhile("ledger", move || {
            let world = &kept.world;
            let mut ledger = Ledger::empty(id);
            ledger.intend([name("net")], world.now());
            kept.put_ledger(ledger);
            if moves_operation {
                let mut operation = world.catalog.operations_of(id)[0].operation.record.clone();
                operation.begin(crate::operation::StepKind::Create, world.now());
                world.put_operation(operation);
            }
        });
        let forgotten = counter.clusters.forget(&ada(&counter), counter.id, None).await.unwrap();
        assert_eq!(forgotten.remaining.len(), 1, "{has_ledger} {moves_operation}");
        let orphan = counter.world.catalog.orphan(counter.id).unwrap();
        assert_eq!(orphan.orphan.record.resources, forgotten.remaining);
    }
}

#[tokio::test]
async fn neither_a_provider_nor_its_engine_is_needed() {
    let mut counter = Counter::with(Updating);
    counter.kept.put_ledger(ledger(&counter));
    counter.clusters.engines = EngineRegistry::default();
    counter.world.deleted(RecordId::Provisioner(counter.world.making));
    let forgotten = counter.clusters.forget(&ada(&counter), counter.id, None).await.unwrap();
    assert_eq!(forgotten.remaining.len(), 3);
}
