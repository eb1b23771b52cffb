//! Orphans: what people decide about them, and what the reconciling replica finds and takes down.

mod collecting;
mod decisions;
mod taking_down;

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    doubles::{ATTACHING, Dial, Log, engine},
    kept::{Kept, Story, words},
    provider::{Provider, thing},
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

/// A place with a store for orphans that shows what it is given in the catalog, and a provider.
struct Yard {
    world: Arc<World>,
    story: Story,
    provider: Provider,
    written: Log<Write>,
    /// Why the next writes are refused, one each.
    refusals: Log<StoreError>,
    term: Dial<Option<Term>>,
}

impl Yard {
    fn new() -> Self {
        let world = Arc::new(World::new());
        let story = Story::default();
        let provider = Provider::new(&story);
        let term = Dial::new(Some(Term::Held(Revision(7))));
        Self { world, story, provider, written: Log::default(), refusals: Log::default(), term }
    }

    fn store(&self) -> MockOrphanStore {
        let mut store = MockOrphanStore::new();
        let (world, written, refusals) = (self.world.clone(), self.written.clone(), self.refusals.clone());
        store.expect_put().returning(move |orphan, seen, term| {
            if let Some(refusal) = refusals.next() {
                return Err(refusal);
            }
            if world.catalog.orphan(orphan.cluster).map(|view| view.orphan.revision) != seen {
                return Err(StoreError::Conflict);
            }
            let revision = world.next_revision();
            let value = orphan.clone();
            world.catalog.apply(vec![(revision, Change::Put(Record::Orphan(Versioned { value, revision })))]);
            written.push(Write::Put(Box::new(orphan.clone()), seen, term));
            Ok(revision)
        });
        let (world, written, refusals) = (self.world.clone(), self.written.clone(), self.refusals.clone());
        store.expect_remove().returning(move |cluster, seen, term| {
            if let Some(refusal) = refusals.next() {
                return Err(refusal);
            }
            match world.catalog.orphan(cluster) {
                None => return Err(StoreError::Missing),
                Some(view) if view.orphan.revision != seen => return Err(StoreError::Conflict),
                Some(_) => {}
            }
            world.deleted(RecordId::Orphan(cluster));
            written.push(Write::Removed(cluster, term));
            Ok(())
        });
        store
    }

    /// The use cases of people.
    fn orphans(&self) -> Orphans {
        let mut freshness = crate::port::store::MockReadBarrier::new();
        let story = self.story.clone();
        freshness.expect_caught_up().returning(move || {
            story.note("catch up");
            Ok(())
        });
        Orphans {
            catalog: self.world.catalog.clone(),
            store: Arc::new(self.store()),
            freshness: Arc::new(freshness),
            clock: self.world.clock.clone(),
        }
    }

    /// The work of the replica that reconciles.
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
                clusters: Arc::new(Kept::new(&self.world).store()),
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

    /// An orphan of acme that was listed an hour ago and seen then.
    fn orphan(&self, state: OrphanState) -> Orphan {
        let at = self.world.now() - TimeDelta::hours(1);
        Orphan {
            cluster: ClusterId::random(),
            name: Some("left".into()),
            organization: self.world.acme,
            provisioner: self.world.making,
            resources: rows(&["net", "pool"], at),
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

    fn deleting(&self, trouble: Option<Reason>) -> OrphanState {
        OrphanState::Deleting { by: self.world.people.ada.id, since: self.world.now(), last_error: trouble }
    }

    fn ignored(&self) -> OrphanState {
        OrphanState::Ignored { by: self.world.people.ada.id, since: self.world.now() }
    }

    fn shown(&self, cluster: ClusterId) -> Option<Orphan> {
        self.world.catalog.orphan(cluster).map(|view| view.orphan.record.clone())
    }

    fn words(&self) -> Vec<&'static str> {
        words(&self.story.take())
    }
}

/// Rows of things that are there.
fn rows(names: &[&str], since: chrono::DateTime<chrono::Utc>) -> Vec<ResourceRecord> {
    names.iter().map(|name| ResourceRecord { resource: thing(name), state: RecordState::Present, since }).collect()
}
