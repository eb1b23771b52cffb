//! Single reconciliations: what is stored before an engine is called and after each of its answers, and the changes of clusters at rest.

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
    doubles::{ATTACHING, Setting, engine},
    kept::{Commit, Event, FakeStore, call_names, commits},
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

/// The reconciler with one provisioned cluster and all ports.
struct Fixture {
    world: Arc<World>,
    fake: FakeStore,
    provider: Provider,
    probe: Setting<ProbeResult>,
    term: Setting<Option<Term>>,
    id: ClusterId,
    reconciler: Reconciler,
}

impl Fixture {
    /// A cluster with an operation that ann has just requested.
    fn requested(kind: OperationKind) -> Self {
        let lifecycle = match &kind {
            OperationKind::Deploy => Lifecycle::Deploying,
            OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => Lifecycle::Updating,
            OperationKind::Destroy | OperationKind::Detach => Lifecycle::Destroying,
        };
        let has_kubeconfig = kind != OperationKind::Deploy;
        let fixture = Self::new(lifecycle, has_kubeconfig);
        fixture.put_operation(kind);
        fixture
    }

    /// A cluster at rest after a successful deployment.
    fn resting(lifecycle: Lifecycle) -> Self {
        let fixture = Self::new(lifecycle, true);
        fixture.put_operation(OperationKind::Deploy);
        let now = fixture.world.now();
        fixture.change_operation(|operation| operation.end(OperationStatus::Succeeded, None, now));
        fixture
    }

    fn new(lifecycle: Lifecycle, has_kubeconfig: bool) -> Self {
        let world = Arc::new(World::new());
        let cluster = Cluster { lifecycle, has_kubeconfig, ..cluster("made", world.making, &world.people.ann) };
        let id = cluster.id;
        world.put_cluster(cluster);
        let fake = FakeStore::new(&world);
        let provider = Provider::new(&fake.events);
        let probe = Setting::new(ProbeResult::Reached { version: "v1.37.2".into() });
        let term = Setting::new(Some(Term::Held(Revision(7))));
        let engines =
            EngineRegistry::default().with(Arc::new(engine(ATTACHING, Ok(())))).with(Arc::new(provider.engine()));
        let mut inspector = MockClusterInspector::new();
        let (answer, events) = (probe.clone(), fake.events.clone());
        inspector.expect_probe().withf(|given| given.expose() == "of the cluster").returning(move |_| {
            events.note("probe");
            answer.get()
        });
        let mut leadership = MockLeadership::new();
        let held = term.clone();
        leadership.expect_term().returning(move || held.get());
        let store: Arc<dyn crate::port::store::ClusterStore> = Arc::new(fake.store());
        let mut provisioners = MockProvisionerStore::new();
        provisioners.expect_secrets().returning(|_| Ok(None));
        let reconciler = Reconciler {
            catalog: world.catalog.clone(),
            store: store.clone(),
            read_barrier: Arc::new(fake.read_barrier()),
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
        Self { world, fake, provider, probe, term, id, reconciler }
    }

    async fn reconcile(&self) -> Outcome {
        self.reconciler.reconcile(self.id).await.unwrap()
    }

    /// The error of a reconciliation that fails.
    async fn reconcile_error(&self) -> StoreError {
        self.reconciler.reconcile(self.id).await.unwrap_err()
    }

    /// The events since the last call. Every transaction requires the current term, and timeline events of the reconciler name no user.
    fn take_events(&self) -> Vec<Event> {
        let events = self.fake.events.take();
        for Commit { work, .. } in commits(events.clone()) {
            assert_eq!(work.term, Some(Term::Held(Revision(7))));
            assert!(work.timeline.iter().all(|entry| entry.by.is_none() && entry.cluster == self.id), "{work:?}");
            assert!(work.orphan.is_none() && work.forgotten.is_empty(), "{work:?}");
        }
        events
    }

    /// The names of the calls since the last time, except reads of the ledger.
    fn call_names(&self) -> Vec<&'static str> {
        call_names(&self.take_events()).into_iter().filter(|call| *call != "ledger").collect()
    }

    fn commits(&self) -> Vec<Commit> {
        commits(self.take_events())
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
        self.fake.ledger.get().unwrap().value
    }

    fn put_operation(&self, kind: OperationKind) {
        let now = self.world.now();
        let deadline = now + chrono::TimeDelta::hours(1);
        let operation = Operation::requested(self.id, kind, self.world.people.ann.id, now, deadline);
        let cluster = Cluster { operation: Some(operation.id), ..self.cluster() };
        self.world.put_operation(operation);
        self.world.put_cluster(cluster);
    }

    /// Changes the operation, as another writer would.
    fn change_operation(&self, change: impl FnOnce(&mut Operation)) {
        let mut operation = self.operation();
        change(&mut operation);
        self.world.put_operation(operation);
    }

    /// Changes the cluster, as another writer would.
    fn change_cluster(&self, change: impl FnOnce(&mut Cluster)) {
        let mut cluster = self.cluster();
        change(&mut cluster);
        self.world.put_cluster(cluster);
    }

    fn advance(&self, seconds: i64) {
        self.world.clock.advance(chrono::TimeDelta::seconds(seconds));
    }
}

/// The timeline events of a transaction, without the times.
fn timeline(commit: &Commit) -> Vec<(EventKind, &str)> {
    commit.work.timeline.iter().map(|entry| (entry.kind, entry.message.as_str())).collect()
}
