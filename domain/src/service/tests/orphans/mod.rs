//! Orphans: the decisions of users, and what the leader finds and deletes.

mod collecting;
mod decisions;
mod taking_down;

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    doubles::{ATTACHING, Log, Setting, engine},
    kept::{EventLog, FakeStore, call_names},
    provider::{Provider, resource},
    world::{World, caller},
};
use crate::{
    catalog::{Change, Record, RecordId},
    id::{ClusterId, ProvisionerId},
    ledger::{RecordState, ResourceRecord},
    orphan::{Orphan, OrphanState},
    port::{
        engine::EngineRegistry,
        leader::{MockLeadership, Term},
        store::{MockOrphanStore, MockProvisionerStore, StoreError},
    },
    reason::{Reason, ReasonCode, Responsible},
    revision::{Revision, Versioned},
    service::{
        clusters::orphans::Orphans, provisioners::providers::Providers, reconcile::orphan_collector::OrphanCollector,
    },
};

fn reason(cause: &str) -> Reason {
    Reason::new(ReasonCode::PermissionDenied, cause, Responsible::Admin, "do something about it")
}

/// What was written, with the term it was written in.
#[derive(Debug, Clone, PartialEq)]
enum Write {
    Put(Box<Orphan>, Option<Revision>, Option<Term>),
    Removed(ClusterId, Option<Term>),
}

/// A store for orphans that shows its records in the catalog, and a provider.
struct Fixture {
    world: Arc<World>,
    events: EventLog,
    provider: Provider,
    written: Log<Write>,
    /// The errors of the next writes, one each.
    refusals: Log<StoreError>,
    term: Setting<Option<Term>>,
}

impl Fixture {
    fn new() -> Self {
        let world = Arc::new(World::new());
        let events = EventLog::default();
        let provider = Provider::new(&events);
        let term = Setting::new(Some(Term::Held(Revision(7))));
        Self { world, events, provider, written: Log::default(), refusals: Log::default(), term }
    }

    fn store(&self) -> MockOrphanStore {
        let mut store = MockOrphanStore::new();
        let (world, written, refusals) = (self.world.clone(), self.written.clone(), self.refusals.clone());
        store.expect_put().returning(move |orphan, expected, term| {
            if let Some(refusal) = refusals.next() {
                return Err(refusal);
            }
            if world.catalog.orphan(orphan.cluster).map(|view| view.orphan.revision) != expected {
                return Err(StoreError::Conflict);
            }
            let revision = world.next_revision();
            let value = orphan.clone();
            world.catalog.apply(vec![(revision, Change::Put(Record::Orphan(Versioned { value, revision })))]);
            written.push(Write::Put(Box::new(orphan.clone()), expected, term));
            Ok(revision)
        });
        let (world, written, refusals) = (self.world.clone(), self.written.clone(), self.refusals.clone());
        store.expect_remove().returning(move |cluster, expected, term| {
            if let Some(refusal) = refusals.next() {
                return Err(refusal);
            }
            match world.catalog.orphan(cluster) {
                None => return Err(StoreError::Missing),
                Some(view) if view.orphan.revision != expected => return Err(StoreError::Conflict),
                Some(_) => {}
            }
            world.deleted(RecordId::Orphan(cluster));
            written.push(Write::Removed(cluster, term));
            Ok(())
        });
        store
    }

    /// The use cases of users.
    fn orphans(&self) -> Orphans {
        let mut read_barrier = crate::port::store::MockReadBarrier::new();
        let events = self.events.clone();
        read_barrier.expect_caught_up().returning(move || {
            events.note("catch up");
            Ok(())
        });
        Orphans {
            catalog: self.world.catalog.clone(),
            store: Arc::new(self.store()),
            read_barrier: Arc::new(read_barrier),
            clock: self.world.clock.clone(),
        }
    }

    /// The collector that runs on the leader.
    fn orphan_collector(&self) -> OrphanCollector {
        let mut leadership = MockLeadership::new();
        let term = self.term.clone();
        leadership.expect_term().returning(move || term.get());
        let mut provisioners = MockProvisionerStore::new();
        provisioners.expect_secrets().returning(|_| Ok(None));
        let engines =
            EngineRegistry::default().with(Arc::new(engine(ATTACHING, Ok(())))).with(Arc::new(self.provider.engine()));
        OrphanCollector {
            catalog: self.world.catalog.clone(),
            store: Arc::new(self.store()),
            providers: Providers {
                catalog: self.world.catalog.clone(),
                clusters: Arc::new(FakeStore::new(&self.world).store()),
                provisioners: Arc::new(provisioners),
                engines,
                installation: Uuid::from_u128(42),
            },
            leadership: Arc::new(leadership),
            clock: self.world.clock.clone(),
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        self.orphan_collector().sweep(self.world.making).await
    }

    /// An orphan of acme that was listed and last seen an hour ago.
    fn orphan(&self, state: OrphanState) -> Orphan {
        let at = self.world.now() - TimeDelta::hours(1);
        Orphan {
            cluster: ClusterId::random(),
            name: Some("left".into()),
            organization: self.world.acme,
            provisioner: self.world.making,
            resources: resource_records(&["net", "pool"], at),
            state,
            listed_at: at,
            seen_at: Some(at),
        }
    }

    fn put(&self, state: OrphanState) -> Orphan {
        let orphan = self.orphan(state);
        self.world.put_orphan(orphan.clone());
        orphan
    }

    fn deleting(&self, last_error: Option<Reason>) -> OrphanState {
        OrphanState::Deleting { by: self.world.people.ada.id, since: self.world.now(), last_error }
    }

    fn ignored(&self) -> OrphanState {
        OrphanState::Ignored { by: self.world.people.ada.id, since: self.world.now() }
    }

    fn shown(&self, cluster: ClusterId) -> Option<Orphan> {
        self.world.catalog.orphan(cluster).map(|view| view.orphan.record.clone())
    }

    fn call_names(&self) -> Vec<&'static str> {
        call_names(&self.events.take())
    }
}

/// Records of present resources.
fn resource_records(names: &[&str], since: chrono::DateTime<chrono::Utc>) -> Vec<ResourceRecord> {
    names.iter().map(|name| ResourceRecord { resource: resource(name), state: RecordState::Present, since }).collect()
}
