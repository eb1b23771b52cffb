//! Turns of the reconciler, one at a time: what is written before an engine is called, what after each of its answers, and what comes of
//! clusters at rest.

mod answers;
mod attached;
mod endings;
mod intent;
mod kubeconfigs;
mod observed_statuses;
mod resting;

use std::sync::Arc;

use uuid::Uuid;

use super::{
    doubles::{ATTACHING, Dial, engine},
    kept::{Commit, Event, Kept, commits, words},
    provider::Provider,
    world::{World, cluster},
};
use crate::{
    cluster::{Cluster, Lifecycle},
    id::ClusterId,
    kubeconfig::AddressRules,
    ledger::Ledger,
    observation::{ObservedStatus, ProbeResult},
    operation::{Operation, OperationKind, OperationStatus, Step},
    port::{
        engine::EngineRegistry,
        inspector::MockClusterInspector,
        leader::{MockLeadership, Term},
        store::{MockProvisionerStore, StoreError},
    },
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
    service::{
        provisioners::providers::Providers,
        reconcile::{Outcome, Reconciler},
    },
    timeline::EventKind,
};

fn reason(cause: &str) -> Reason {
    Reason::new(ReasonCode::PermissionDenied, cause, Responsible::Admin, "do something about it")
}

fn failed() -> Lifecycle {
    Lifecycle::Failed { reason: reason("it broke before") }
}

/// The reconciler with one cluster that an engine makes, and everything around the two.
struct Stage {
    world: Arc<World>,
    kept: Kept,
    provider: Provider,
    probe: Dial<ProbeResult>,
    term: Dial<Option<Term>>,
    id: ClusterId,
    reconciler: Reconciler,
}

impl Stage {
    /// With an operation that ann has just asked for.
    fn asked(kind: OperationKind) -> Self {
        let lifecycle = match &kind {
            OperationKind::Deploy => Lifecycle::Deploying,
            OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => Lifecycle::Updating,
            OperationKind::Destroy | OperationKind::Detach => Lifecycle::Destroying,
        };
        let has_kubeconfig = kind != OperationKind::Deploy;
        let stage = Self::new(lifecycle, has_kubeconfig);
        stage.put_operation(kind);
        stage
    }

    /// At rest, made by a deployment that has succeeded.
    fn resting(lifecycle: Lifecycle) -> Self {
        let stage = Self::new(lifecycle, true);
        stage.put_operation(OperationKind::Deploy);
        let now = stage.world.now();
        stage.operation_is(|operation| operation.end(OperationStatus::Succeeded, None, now));
        stage
    }

    fn new(lifecycle: Lifecycle, has_kubeconfig: bool) -> Self {
        let world = Arc::new(World::new());
        let cluster = Cluster { lifecycle, has_kubeconfig, ..cluster("made", world.making, &world.people.ann) };
        let id = cluster.id;
        world.put_cluster(cluster);
        let kept = Kept::new(&world);
        let provider = Provider::new(&kept.story);
        let probe = Dial::new(ProbeResult::Reached { version: "v1.37.2".into() });
        let term = Dial::new(Some(Term::Held(Revision(7))));
        let engines =
            EngineRegistry::default().with(Arc::new(engine(ATTACHING, Ok(())))).with(Arc::new(provider.engine()));
        let mut inspector = MockClusterInspector::new();
        let (answer, story) = (probe.clone(), kept.story.clone());
        inspector.expect_probe().withf(|given| given.expose() == "of the cluster").returning(move |_| {
            story.note("probe");
            answer.get()
        });
        let mut leadership = MockLeadership::new();
        let held = term.clone();
        leadership.expect_term().returning(move || held.get());
        let store: Arc<dyn crate::port::store::ClusterStore> = Arc::new(kept.store());
        let mut provisioners = MockProvisionerStore::new();
        provisioners.expect_secrets().returning(|_| Ok(None));
        let reconciler = Reconciler {
            catalog: world.catalog.clone(),
            store: store.clone(),
            freshness: Arc::new(kept.freshness()),
            providers: Providers {
                catalog: world.catalog.clone(),
                clusters: store,
                provisioners: Arc::new(provisioners),
                engines,
                installation: Uuid::from_u128(42),
            },
            inspector: Arc::new(inspector),
            leadership: Arc::new(leadership),
            addresses: AddressRules::default(),
            clock: world.clock.clone(),
        };
        Self { world, kept, provider, probe, term, id, reconciler }
    }

    async fn turn(&self) -> Outcome {
        self.reconciler.reconcile(self.id).await.unwrap()
    }

    /// A turn that ends in an error, which is told by its name.
    async fn turn_fails(&self) -> StoreError {
        self.reconciler.reconcile(self.id).await.unwrap_err()
    }

    /// What has happened since it was last asked. Every transaction is on the condition that the term has not ended, and what the
    /// reconciler tells nobody has asked for.
    fn happened(&self) -> Vec<Event> {
        let events = self.kept.story.take();
        for Commit { work, .. } in commits(events.clone()) {
            assert_eq!(work.term, Some(Term::Held(Revision(7))));
            assert!(work.timeline.iter().all(|entry| entry.by.is_none() && entry.cluster == self.id), "{work:?}");
            assert!(work.orphan.is_none() && work.forgotten.is_empty(), "{work:?}");
        }
        events
    }

    /// The words for what has happened, without reading the ledger.
    fn words(&self) -> Vec<&'static str> {
        words(&self.happened()).into_iter().filter(|word| *word != "ledger").collect()
    }

    fn commits(&self) -> Vec<Commit> {
        commits(self.happened())
    }

    fn cluster(&self) -> Cluster {
        self.world.catalog.cluster(self.id).unwrap().cluster.record.clone()
    }

    fn revision(&self) -> Revision {
        self.world.catalog.cluster(self.id).unwrap().cluster.revision
    }

    fn operation(&self) -> Operation {
        self.world.catalog.operations_of(self.id)[0].operation.record.clone()
    }

    /// The newest step of the operation.
    fn step(&self) -> Step {
        self.operation().steps.last().unwrap().clone()
    }

    fn observed(&self) -> Option<Arc<ObservedStatus>> {
        self.world.catalog.cluster(self.id).unwrap().observed
    }

    fn ledger(&self) -> Ledger {
        self.kept.ledger.get().unwrap().value
    }

    fn put_operation(&self, kind: OperationKind) {
        let now = self.world.now();
        let deadline = now + chrono::TimeDelta::hours(1);
        let operation = Operation::requested(self.id, kind, self.world.people.ann.id, now, deadline);
        let cluster = Cluster { operation: Some(operation.id), ..self.cluster() };
        self.world.put_operation(operation);
        self.world.put_cluster(cluster);
    }

    /// Somebody changes the operation.
    fn operation_is(&self, change: impl FnOnce(&mut Operation)) {
        let mut operation = self.operation();
        change(&mut operation);
        self.world.put_operation(operation);
    }

    /// Somebody changes the cluster.
    fn cluster_is(&self, change: impl FnOnce(&mut Cluster)) {
        let mut cluster = self.cluster();
        change(&mut cluster);
        self.world.put_cluster(cluster);
    }

    fn advance(&self, seconds: i64) {
        self.world.clock.advance(chrono::TimeDelta::seconds(seconds));
    }
}

/// What is told, without the times.
fn told(commit: &Commit) -> Vec<(EventKind, &str)> {
    commit.work.timeline.iter().map(|entry| (entry.kind, entry.message.as_str())).collect()
}
